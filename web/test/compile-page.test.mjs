// The page that compiles what is dropped on it: LeNet-5 from source and an ONNX file, with the answers of PyTorch and ONNX
// Runtime, and training.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { root } from "./bundle.mjs";
import { browser } from "./chromium.mjs";
import { noise, weights } from "./noise.mjs";
import { kiln, plans } from "./plans.mjs";
import { serve } from "./server.mjs";

const TOLERANCE = 1e-4;
const skip = !existsSync(join(root, "web/dist/compiler.wasm")) && "there is no compiler.wasm";

const folder = join(plans, "compile-page");
const fixtures = join(root, "tests/oracles/fixtures");
const oracle = JSON.parse(readFileSync(join(fixtures, "source/lenet5.json"), "utf8"));
const source = join(root, "models/lenet5.py");
const dict = join(plans, "lenet5.safetensors");
let server;
let chromium;
let page;
const complaints = [];

before(async () => {
  if (skip) return;
  const digits = join(plans, "pages/few");
  mkdirSync(folder, { recursive: true });
  kiln("export-web", "models/digits.toml", "--train", "--data", "digits:2000", "-o", digits);
  for (const from of [join(root, "web/dist"), join(root, "web/demo")]) cpSync(from, folder, { recursive: true });
  cpSync(join(root, "web/demo/compile.html"), join(folder, "index.html"));
  cpSync(source, join(folder, "lenet5.py"));
  cpSync(join(digits, "data.bin"), join(folder, "data.bin"));
  const { toSafetensors } = await import(join(root, "web/dist/training.js"));
  const states = Object.entries(oracle.keys).map(([name, shape]) => [
    name,
    { dtype: "f32", shape, data: weights(name, shape) },
  ]);
  writeFileSync(dict, toSafetensors(Object.fromEntries(states)));
  server = await serve({ page: folder });
  chromium = await browser();
  page = await chromium.newPage();
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.goto(`${server.url}/page/index.html`);
});

after(async () => {
  await chromium?.close();
  server?.close();
});

/** How far numbers are from those that are expected, relative to their largest magnitude. */
function apart(expected, found) {
  assert.equal(found.length, expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(value - found[i]))) / largest;
}

async function ready(what) {
  await page.waitForSelector(`body[data-ready=${what}], body[data-failed]`, { timeout: 120_000 });
  assert.equal(await page.evaluate(() => document.body.dataset.failed ?? ""), "");
}

const clear = () => page.evaluate(() => void delete document.body.dataset.ready);

/** Runs what the page has compiled. */
const run = (data, shape) =>
  page.evaluate(
    async ([data, shape]) => {
      const { session } = globalThis.kiln;
      const found = await session.run({ [session.inputs[0].name]: { data: new Float32Array(data), shape } });
      return Array.from(Object.values(found)[0].data);
    },
    [data, shape],
  );

/** The elements of a tensor of f32 in ONNX's format: the last field is its bytes. */
function elements(path, count) {
  const bytes = readFileSync(path);
  return Array.from(
    new Float32Array(bytes.buffer.slice(bytes.byteOffset + bytes.length - 4 * count, bytes.byteOffset + bytes.length)),
  );
}

test("LeNet-5 from source gives PyTorch's answers", { skip }, async (t) => {
  await page.setInputFiles("#files", [source, dict]);
  await page.click("#run");
  await ready("run");
  t.diagnostic(await page.textContent("#facts"));
  const { target } = await page.evaluate(() => globalThis.kiln.made);
  assert.equal(target, "swiftshader");
  const off = apart(oracle.output.elements, await run(noise(7, 3 * 784), [3, 1, 28, 28]));
  t.diagnostic(`at most ${off.toExponential(1)} off`);
  assert.ok(off <= TOLERANCE, `${off}`);
});

test("an ONNX file gives ONNX Runtime's answers", { skip }, async (t) => {
  await clear();
  await page.setInputFiles("#files", join(fixtures, "lenet5/model.onnx"));
  await page.click("#run");
  await ready("run");
  t.diagnostic(await page.textContent("#facts"));
  const set = join(fixtures, "lenet5/test_data_set_0");
  const shape = await page.evaluate(() => globalThis.kiln.session.inputs[0].shape);
  const count = shape.slice(1).reduce((a, b) => a * b);
  const found = await run(elements(join(set, "input_0.pb"), count), [1, ...shape.slice(1)]);
  const off = apart(elements(join(set, "output_0.pb"), found.length), found);
  t.diagnostic(`at most ${off.toExponential(1)} off`);
  assert.ok(off <= TOLERANCE, `${off}`);
});

test("five steps of training are PyTorch's", { skip }, async (t) => {
  const { losses } = oracle.optimizers.momentum;
  const batches = losses.map((_, step) => ({
    input: noise(100 + step, 8 * 784),
    target: noise(200 + step, 8).map((y) => Math.trunc(((y + 1) / 2) * 10)),
  }));
  const found = await page.evaluate(
    async ([batches, dict, lr, momentum, weightDecay]) => {
      const [{ load }, { compile }] = await Promise.all([import("./kiln.js"), import("./compiler.js")]);
      const train = { optimizer: "sgd", momentum: true, weightDecay };
      const text = await (await fetch("lenet5.py")).blob();
      const { plan } = await compile(text, { name: "lenet5.py", weights: new Uint8Array(dict), train, batch: 8 });
      const session = await load(plan);
      for (const { input, target } of batches) {
        await session.step({ input: new Float32Array(input), target: new Int32Array(target), lr, momentum });
      }
      const losses = Array.from(await session.lossesSince());
      session.dispose();
      return losses;
    },
    [batches, [...readFileSync(dict)], oracle.lr, oracle.momentum_value, oracle.weight_decay],
  );
  const off = apart(losses, found);
  t.diagnostic(`losses at most ${off.toExponential(1)} off`);
  assert.ok(off <= TOLERANCE, `${off}: ${found}`);
});

test("a network from source learns digits in the page", { skip }, async (t) => {
  await clear();
  await page.click("#example");
  await page.click("#train");
  await ready("train");
  const before = Number(await page.evaluate(() => document.body.dataset.accuracy));
  await page.click("main button.first");
  await page.waitForSelector("body[data-training=running]");
  await page.waitForSelector("body[data-training=idle]", { timeout: 300_000 });
  const accuracy = Number(await page.evaluate(() => document.body.dataset.accuracy));
  t.diagnostic(`accuracy ${before}, then ${accuracy}`);
  assert.ok(accuracy > 0.8, `${accuracy}`);
});

test("what cannot be compiled is said, and the page goes on", { skip }, async (t) => {
  await clear();
  await page.setInputFiles("#files", { name: "net.onnx", mimeType: "", buffer: Buffer.from("nothing of the kind") });
  await page.click("#run");
  await page.waitForSelector("#error:not([hidden])");
  t.diagnostic(await page.textContent("#error"));
  assert.match(await page.textContent("#error"), /this is not an ONNX model/);
  await page.click("#example");
  await page.waitForSelector("#editor[open]");
  await page.fill(
    "#source",
    "from torch import nn\n\n# kiln: --input 3,8,8\nclass Net(nn.Module):\n    def forward(self, x):\n        return x + y\n",
  );
  await page.click("#run");
  await page.waitForFunction(() => /`y`/.test(document.getElementById("error").textContent));
  // A long compilation can be stopped.
  await page.setInputFiles("#files", join(root, "models/resnet.py"));
  await page.evaluate(() => (document.getElementById("model").value = "resnet50"));
  await page.click("#run");
  await page.click("#stop");
  await page.waitForFunction(() => document.getElementById("status").textContent === "Stopped.");
  assert.deepEqual(complaints, []);
});
