// The player in Chromium: answers, trainings, and what goes wrong.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { root } from "./bundle.mjs";
import { browser } from "./chromium.mjs";
import { kiln, make, plans } from "./plans.mjs";
import { serve } from "./server.mjs";

/** Outputs may differ so much from the oracle, relative to its largest magnitude, as natively. */
const TOLERANCE = 1e-4;

let server;
let chromium;
let page;
let index;

/** Runs a function of `page.mjs`, or one that gets its exports. */
const call = (name, ...given) =>
  page.evaluate(async ([name, given]) => (await import("/test/page.mjs"))[name](...given), [name, given]);

async function opened() {
  const page = await chromium.newPage();
  page.on("pageerror", (error) => assert.fail(error.stack));
  await page.goto(`${server.url}/test/page.html`);
  return page;
}

before(async () => {
  make();
  index = JSON.parse(readFileSync(join(plans, "index.json"), "utf8"));
  mkdirSync(join(plans, "pages"), { recursive: true });
  server = await serve({
    dist: join(root, "web/dist"),
    test: join(root, "web/test"),
    plans,
    golden: join(root, "tests/plans"),
  });
  chromium = await browser();
  page = await opened();
});

after(async () => {
  await chromium?.close();
  server?.close();
});

test("all models of the native tests give the same answers", async (t) => {
  const [can, cannot] = [[], []];
  for (const [name, why] of Object.entries(index.answers)) (why ? cannot : can).push(name);
  assert.ok(can.length > 500);
  for (const name of cannot) assert.match(index.answers[name], /which the device cannot compute/, name);
  const wrong = [];
  let worst = 0;
  for (let at = 0; at < can.length; at += 50) {
    for (const [name, apart] of Object.entries(await call("answers", can.slice(at, at + 50)))) {
      if (!(apart <= TOLERANCE)) wrong.push(`${name}: ${apart}`);
      else worst = Math.max(worst, apart);
    }
  }
  t.diagnostic(`${can.length} models, at most ${worst.toExponential(1)} off`);
  assert.deepEqual(wrong, []);
});

test("trainings are those of PyTorch", async (t) => {
  assert.ok(index.trainings.length > 40);
  let worst = 0;
  for (const name of index.trainings) {
    const found = await call("training", name);
    for (const [what, apart] of Object.entries(found)) {
      assert.ok(apart <= TOLERANCE, `${name}: ${what} is off by ${apart}`);
      worst = Math.max(worst, apart);
    }
  }
  t.diagnostic(`${index.trainings.length} trainings, at most ${worst.toExponential(1)} off`);
});

test("what goes wrong is said", async (t) => {
  for (const [name, { found, expected }] of Object.entries(await call("mistakes"))) {
    assert.match(found, new RegExp(expected), name);
    t.diagnostic(`${name}: ${found}`);
  }
});

test("damaged plans are refused, and nothing of them is left", async () => {
  const { refused } = JSON.parse(readFileSync(join(root, "tests/plans/verdicts.json"), "utf8"));
  const said = await call("damaged", Object.keys(refused));
  for (const [name, code] of Object.entries(said)) {
    // Before the weights are looked at, it is said that the device lacks what this plan needs: subgroups of eight.
    const isLate = /weights section|padding|follow the end/.test(refused[name]);
    assert.match(code, isLate ? /^(damaged|device)$/ : /^(damaged|invalid)$/, name);
  }
});

test("loading can be aborted", async () => {
  assert.deepEqual(await call("aborted"), { name: "AbortError", soon: true });
});

test("a second load needs no network, and damage in the cache is mended", async () => {
  const asked = () => server.requests.filter((path) => path === "/plans/net.kplan").length;
  const start = asked();
  await call("cached");
  assert.equal(asked() - start, 1);
  await call("cached");
  assert.equal(asked() - start, 1);
  await call("damageCache");
  await call("cached");
  assert.equal(asked() - start, 2);
});

test("of several plans the first one runs that can", async () => {
  const portable = join(plans, "portable.kplan");
  kiln("compile", "tests/oracles/fixtures/net/model.onnx", "--target", "portable", "-o", portable);
  assert.deepEqual(await call("variants"), ["device", "portable", "swiftshader"]);
});

test("progress ends at the size of the file", async () => {
  const { first, last, increasing } = await call("progress");
  assert.ok(first[0] < first[1], `${first}`);
  assert.deepEqual(last, [
    readFileSync(join(plans, "net.kplan")).length,
    readFileSync(join(plans, "net.kplan")).length,
  ]);
  assert.ok(increasing);
});

test("a lost device is an event, and training continues from the snapshot", async () => {
  const { events, said, apart } = await call(
    "lost",
    index.trainings.find((name) => name.includes("net-adam")),
  );
  assert.equal(events, 1);
  assert.match(said, /session\.restore/);
  assert.equal(apart, 0);
});

test("memory stays as it is over a thousand runs", async (t) => {
  const { buffers, heap } = await call("steady", 1000);
  t.diagnostic(`${buffers} buffers made in 1000 runs; the heap grew by ${(heap / 1024).toFixed(0)} KiB`);
  assert.ok(buffers <= 4, `${buffers} buffers`);
  assert.ok(heap < 4 << 20, `${heap} bytes`);
});

test("runs overlap, and keep their order", async () => assert.ok(await call("overlapping")));

test("buffers of the device go in and come out without being read", async () => assert.ok(await call("onDevice")));

test("a worker runs plans", async () => assert.ok(await call("inWorker")));

test("pictures of all kinds give what their pixels give", async (t) => {
  const plan = join(plans, "picture.kplan");
  kiln(
    "compile",
    "tests/oracles/fixtures/net/model.onnx",
    "--target",
    "swiftshader",
    "--resize",
    "36",
    "--crop",
    "32",
    "--mean",
    "0.5",
    "--std",
    "0.25",
    "-o",
    plan,
  );
  const found = await call("pictures");
  t.diagnostic(JSON.stringify(found));
  for (const [kind, apart] of Object.entries(found)) assert.ok(apart < 2e-2, `${kind}: ${apart}`);
});

test("without WebGPU it is said what to do", async () => {
  const other = await browser({
    args: [
      "--headless=new",
      "--no-sandbox",
      "--disable-features=WebGPU",
      "--disable-gpu",
      "--disable-blink-features=WebGPU",
    ],
  });
  try {
    const page = await other.newPage();
    await page.goto(`${server.url}/test/page.html`);
    const said = await page.evaluate(async () => {
      Object.defineProperty(navigator, "gpu", { value: undefined });
      const { load } = await import("/test/page.mjs");
      return load("/plans/net.kplan").then(
        () => "",
        (error) => `${error.code}: ${error.message}`,
      );
    });
    assert.match(said, /^unsupported: this browser has no WebGPU/);
  } finally {
    await other.close();
  }
});

test("what a page has trained gives the command line the same accuracy", async (t) => {
  const folder = join(plans, "pages/digits");
  kiln(
    "export-web",
    "models/digits.toml",
    "--train",
    "--data",
    "digits:6000",
    "--variant",
    "swiftshader",
    "-o",
    folder,
  );
  const pages = await serve({ page: folder });
  const page = await chromium.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.stack));
  try {
    await page.goto(`${pages.url}/page/index.html`);
    await page.waitForSelector("body[data-ready]", { timeout: 60_000 });
    await page.click("button.first");
    await page.waitForSelector("body[data-training=idle]", { timeout: 300_000 });
    const accuracy = Number(await page.evaluate(() => document.body.dataset.accuracy));
    t.diagnostic(`accuracy in the page: ${accuracy}`);
    assert.ok(accuracy >= 0.98, `${accuracy}`);
    const download = page.waitForEvent("download");
    await page.click("text=Save weights");
    const file = join(plans, "digits.safetensors");
    await (await download).saveAs(file);
    const said = JSON.parse(
      kiln("eval", "models/digits.onnx", "--weights", file, "--data", "digits:6000", "--no-normalize", "--json"),
    );
    assert.equal(said.scores.accuracy, accuracy);
    // A digit drawn with the pointer.
    await page.evaluate(() => window.scrollTo(0, 0));
    const pad = await page.locator("canvas.pad").boundingBox();
    await page.mouse.move(pad.x + pad.width * 0.5, pad.y + pad.height * 0.15);
    await page.mouse.down();
    await page.mouse.move(pad.x + pad.width * 0.5, pad.y + pad.height * 0.85, { steps: 8 });
    await page.mouse.up();
    await page.waitForSelector("body[data-answer]");
    assert.equal(await page.evaluate(() => document.body.dataset.answer), "1");
    // What is kept in the browser comes back after a reload.
    await page.reload();
    await page.waitForSelector("body[data-ready]", { timeout: 60_000 });
    assert.notEqual(Number(await page.evaluate(() => document.body.dataset.accuracy)), accuracy);
    await page.click("text=Load what this browser has kept");
    await page.waitForFunction((accuracy) => Number(document.body.dataset.accuracy) === accuracy, accuracy);
    assert.deepEqual(complaints, []);
  } finally {
    await page.close();
    pages.close();
  }
});
