// Kiln beside other engines in one browser: bytes before the first answer, time to it (cold, and with what the browser has
// kept), time of a run. Usage: node compare.mjs FOLDER [NETWORK...]; FOLDER has what models.py and `kiln` have made.
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as engines from "./engines.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const [folder, ...only] = process.argv.slice(2);
const NETWORKS = [
  "resnet18",
  "mobilenet_v2",
  "squeezenet1_1",
  "net",
  "lenet5",
].filter((name) => !only.length || only.includes(name));
const RUNS_FOR = 4000;

/** Engines with the file of the model that each takes. */
const INFERENCE = [
  ["Kiln (subgroups)", "kiln", "precise.kplan"],
  ["Kiln (subgroups, Winograd)", "kiln", "swiftshader.kplan"],
  ["Kiln (portable)", "kiln", "portable.kplan"],
  ["onnxruntime-web, WebGPU", "ortWebgpu", "model.onnx"],
  ["onnxruntime-web, wasm", "ortWasm", "model.onnx"],
  ["jax-js, WebGPU", "jax", "model.onnx"],
];
const TRAINING = [
  ["Kiln (subgroups)", "kilnStep", "train.kplan"],
  ["TensorFlow.js, WebGPU", "tfStep", ""],
  ["jax-js, WebGPU", "jaxStep", ""],
];

const TYPES = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
};
const compressed = new Map();
let sent = 0;

async function bundled(name) {
  const { outputFiles } = await build({
    stdin: { contents: engines[name], resolveDir: here, loader: "js" },
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
    external: ["/dist/*"],
    logLevel: "error",
    conditions: ["onnxruntime-web-use-extern-wasm"],
  });
  return outputFiles[0].contents;
}

const pages = new Map();
for (const name of Object.keys(engines))
  pages.set(`/engine/${name}.js`, await bundled(name));
pages.set("/", Buffer.from('<!doctype html><link rel="icon" href="data:,">'));

const roots = {
  dist: join(here, "../../web/dist"),
  ort: join(here, "node_modules/onnxruntime-web/dist"),
  models: folder,
};
const server = createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  if (!compressed.has(path)) {
    const [, first, ...rest] = path.split("/");
    const file = roots[first] && join(roots[first], ...rest);
    const bytes =
      pages.get(path) ??
      (file && existsSync(file) && statSync(file).isFile()
        ? readFileSync(file)
        : undefined);
    compressed.set(path, bytes && gzipSync(bytes));
  }
  const bytes = compressed.get(path);
  if (!bytes) return response.writeHead(404).end();
  sent += bytes.length;
  response
    .writeHead(200, {
      "content-type":
        TYPES[extname(path) || ".html"] ?? "application/octet-stream",
      "content-encoding": "gzip",
      "cache-control": "public, max-age=31536000, immutable",
      // For threads of wasm.
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    })
    .end(bytes);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}/`;

/** Measured in the page, from the import of the engine on. */
async function measure([engine, model, trains, shape, runsFor]) {
  const bytes = async (url) =>
    new Float32Array(await (await fetch(url)).arrayBuffer());
  // Inputs are no part of what is downloaded for an answer.
  const folder = model.slice(0, model.lastIndexOf("/"));
  const input = trains
    ? Float32Array.from(
        { length: 64 * 784 },
        (_, i) => ((i * 7919) % 1000) / 1000,
      )
    : await bytes(`${folder}/input.bin`);
  const expected = trains ? undefined : await bytes(`${folder}/expected.bin`);
  const target = Int32Array.from({ length: 64 }, (_, i) => i % 2);
  const began = performance.now();
  const { first } = await import(`/engine/${engine}.js`);
  const run = await first(model, input, trains ? target : shape);
  const answer = await run();
  const toFirst = performance.now() - began;
  let apart = 0;
  if (expected) {
    const largest = Math.max(...expected.map(Math.abs));
    expected.forEach(
      (value, i) =>
        (apart = Math.max(apart, Math.abs(value - answer[i]) / largest)),
    );
  }
  const times = [];
  for (
    const start = performance.now();
    times.length < 3 ||
    (performance.now() - start < runsFor && times.length < 200);
  ) {
    const began = performance.now();
    await run();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return {
    toFirst,
    apart,
    run: times[Math.floor(times.length / 2)],
    least: times[0],
    runs: times.length,
  };
}

const args = ["--headless=new", "--no-sandbox", "--enable-unsafe-webgpu"];
async function both(engine, model, trains, shape) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args,
  });
  try {
    const context = await browser.newContext();
    const results = [];
    for (const again of [false, true]) {
      const page = await context.newPage();
      page.setDefaultTimeout(600_000);
      await page.goto(url);
      const before = sent;
      const found = await page.evaluate(measure, [
        engine,
        model,
        trains,
        shape,
        again ? 0 : RUNS_FOR,
      ]);
      const folder = model.slice(0, model.lastIndexOf("/"));
      const given =
        again || trains
          ? 0
          : ["input.bin", "expected.bin"].reduce(
              (sum, name) =>
                sum + (compressed.get(`${folder}/${name}`)?.length ?? 0),
              0,
            );
      results.push({ ...found, bytes: sent - before - given });
      await page.close();
    }
    return results;
  } finally {
    await browser.close();
  }
}

const seconds = (ms) =>
  ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toPrecision(3)} s`;
const size = (bytes) =>
  bytes < 1e6
    ? `${(bytes / 1e3).toFixed(0)} KB`
    : `${(bytes / 1e6).toFixed(1)} MB`;

async function table(name, list, trains) {
  const shape = trains
    ? []
    : JSON.parse(readFileSync(join(folder, name, "shape.json"), "utf8"));
  console.log(
    `\n### ${name}\n\n| engine | bytes | first answer | again | run | beside Kiln |\n| --- | ---: | ---: | ---: | ---: | ---: |`,
  );
  let own;
  for (const [title, engine, file] of list) {
    try {
      const [cold, warm] = await both(
        engine,
        `/models/${name}/${file}`,
        trains,
        shape,
      );
      own ??= cold.run;
      const wrong =
        cold.apart > 1e-3 ? `, WRONG by ${cold.apart.toExponential(1)}` : "";
      console.log(
        `| ${title} | ${size(cold.bytes)} | ${seconds(cold.toFirst)} | ${seconds(warm.toFirst)} | ${seconds(cold.run)}${wrong} | ${(cold.run / own).toFixed(1)} |`,
      );
    } catch (error) {
      console.log(
        `| ${title} | does not run: ${String(error.message).split("\n")[0].replace(/^page.evaluate: (Error: )?/, "").slice(0, 140)} | | | | |`,
      );
    }
  }
}

for (const name of NETWORKS) await table(name, INFERENCE, false);
if (!only.length || only.includes("simple_cnn"))
  await table("simple_cnn", TRAINING, true);
server.close();
