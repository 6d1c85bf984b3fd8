// A video as input, and the camera of a page, with Chromium's made-up camera.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { root } from "./bundle.mjs";
import { ARGS, browser } from "./chromium.mjs";
import { kiln, plans } from "./plans.mjs";
import { serve } from "./server.mjs";

const MODEL = "tests/oracles/fixtures/net/model.onnx";
const PICTURES = ["--resize", "36", "--crop", "32", "--mean", "0.5", "--std", "0.25"];

let server;
let chromium;

before(async () => {
  mkdirSync(join(plans, "pages"), { recursive: true });
  kiln("compile", MODEL, "--target", "swiftshader", ...PICTURES, "-o", join(plans, "picture.kplan"));
  const page = join(plans, "pages/camera");
  kiln("export-web", MODEL, "--variant", "swiftshader", ...PICTURES, "-o", page);
  server = await serve({ dist: join(root, "web/dist"), test: join(root, "web/test"), plans, page });
  chromium = await browser({
    args: [...ARGS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
});

after(async () => {
  await chromium?.close();
  server?.close();
});

test("a frame of a video gives what its pixels give", async (t) => {
  const page = await chromium.newPage();
  await page.goto(`${server.url}/test/page.html`);
  const { size, answers, moved } = await page.evaluate(async () => {
    const { load } = await import("/dist/kiln.js");
    const session = await load("/plans/picture.kplan", { cache: false });
    const [{ name }] = session.inputs;
    const run = async (picture) => Array.from(Object.values(await session.run({ [name]: picture }))[0].data);
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } });
    const video = document.createElement("video");
    video.srcObject = stream;
    video.muted = true;
    await video.play();
    const first = await run(video);
    await new Promise((resolve) => setTimeout(resolve, 700));
    // The picture stands still, so that its pixels can be looked at.
    video.pause();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const answers = [await run(video), await run(await createImageBitmap(video))];
    const frame = new VideoFrame(video);
    answers.push(await run(frame));
    frame.close();
    const moved = first.some((value, i) => value !== answers[0][i]);
    const size = [video.videoWidth, video.videoHeight];
    stream.getTracks().forEach((track) => track.stop());
    session.dispose();
    return { size, answers, moved };
  });
  await page.close();
  assert.deepEqual(size, [320, 240]);
  assert.ok(moved, "the made-up camera shows the same all the time");
  const [video, bitmap, frame] = answers;
  const largest = Math.max(...bitmap.map(Math.abs));
  for (const other of [video, frame]) {
    const off = Math.max(...bitmap.map((value, i) => Math.abs(value - other[i]))) / largest;
    t.diagnostic(`${off.toExponential(1)} off`);
    assert.ok(off < 2e-2, `${off}: ${other} for ${bitmap}`);
  }
});

test("the camera of a page is answered until it is stopped", async () => {
  const page = await chromium.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.stack));
  await page.goto(`${server.url}/page/index.html`);
  await page.waitForSelector("body[data-ready]", { timeout: 60_000 });
  await page.click("text=Camera");
  for (let n = 0; n < 3; n++) {
    await page.evaluate(() => void delete document.body.dataset.answer);
    await page.waitForSelector("body[data-answer]");
  }
  const track = await page.evaluateHandle(() => document.querySelector("video").srcObject.getTracks()[0]);
  assert.equal(await track.evaluate((track) => track.readyState), "live");
  await page.click("text=Stop");
  await page.waitForSelector("text=Camera");
  assert.equal(await track.evaluate((track) => track.readyState), "ended");
  assert.deepEqual(complaints, []);
  await page.close();
});
