// Checkpoints of a page: the command resumes from them, and a page from the command's.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { spawnSync } from "node:child_process";
import { root } from "./bundle.mjs";
import { browser } from "./chromium.mjs";
import { built, kiln, plans } from "./plans.mjs";
import { serve } from "./server.mjs";

let server;
let chromium;
let page;

before(async () => {
  mkdirSync(plans, { recursive: true });
  const words = ["--target", "swiftshader", "--train", "adam", "--max", "N=64"];
  kiln("compile", "models/digits.onnx", ...words, "-o", join(plans, "checkpoint.kplan"));
  server = await serve({ dist: join(root, "web/dist"), test: join(root, "web/test"), plans });
  chromium = await browser();
  page = await chromium.newPage();
  await page.goto(`${server.url}/test/page.html`);
});

after(async () => {
  await chromium?.close();
  server?.close();
});

/** Trains in the page, from a checkpoint perhaps; what is saved, and the progress. */
const trained = (steps, epoch, from) =>
  page.evaluate(
    async ([steps, epoch, from]) => {
      const { load } = await import("/dist/kiln.js");
      const session = await load("/plans/checkpoint.kplan", { cache: false });
      if (from) await session.restoreFrom(new Uint8Array(from));
      const start = { ...session.progress };
      for (let step = 0; step < steps; step++) {
        const input = Float32Array.from({ length: 64 * 784 }, (_, i) => Math.sin(i + step) ** 2);
        await session.step({ input, target: Int32Array.from({ length: 64 }, (_, i) => i % 10), lr: 0.001 });
      }
      session.progress.epoch += epoch;
      const bytes = Array.from(await session.save());
      const weights = Array.from(await session.save({ weights: true }));
      session.dispose();
      return { start, bytes, weights };
    },
    [steps, epoch, from],
  );

const resume = (folder, epochs) => {
  const words = ["train", "models/digits.toml", "--data", "digits:700", "--epochs", String(epochs), "-o", folder];
  return spawnSync(built("kiln"), [...words, "--resume"], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NODEVICE_SELECT: "1" },
  });
};

test("the command resumes what a page has begun, and a page what the command goes on with", async (t) => {
  const folder = join(plans, "resumed");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "checkpoints"), { recursive: true });
  const { start, bytes, weights } = await trained(10, 1);
  assert.deepEqual(start, { step: 0, epoch: 0 });
  assert.ok(!Buffer.from(weights).includes("kiln.progress"));
  writeFileSync(join(folder, "checkpoints/step-00000010.safetensors"), Buffer.from(bytes));
  const { status, stderr } = resume(folder, 2);
  t.diagnostic(stderr.split("\n").slice(0, 6).join("\n"));
  assert.equal(status, 0, stderr);
  assert.match(stderr, /resuming from .*step-00000010\.safetensors after 10 steps \(1 epochs\)/);
  const last = readdirSync(join(folder, "checkpoints"))
    .filter((name) => /^step-/.test(name))
    .sort()
    .at(-1);
  const steps = Number(last.match(/\d+/)[0]);
  assert.ok(steps > 10, last);
  const again = await trained(1, 0, [...readFileSync(join(folder, "checkpoints", last))]);
  assert.deepEqual(again.start, { step: steps, epoch: 2 });
  const third = await trained(0, 0, again.bytes);
  assert.deepEqual(third.start, { step: steps + 1, epoch: 2 });
});
