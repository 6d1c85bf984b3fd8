// The page of `kiln view` in Chromium: it draws every stage, says what a kernel is, and complains of nothing.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import test, { after, before } from "node:test";
import { browser } from "./chromium.mjs";
import { kiln, plans } from "./plans.mjs";

const folder = join(plans, "view");
const models = { lenet5: ["models/lenet5.toml", "--profile"], resnet50: ["models/resnet.py:resnet50"] };

let chromium;

before(async () => {
  mkdirSync(folder, { recursive: true });
  for (const [name, given] of Object.entries(models)) kiln("view", ...given, "-o", join(folder, `${name}.html`));
  chromium = await browser();
});

after(() => chromium?.close());

/** Opens a page from the disk, without a network; gives it with what it complains of. */
async function opened(name, options = {}) {
  const context = await chromium.newContext({ viewport: { width: 1200, height: 800 }, offline: true, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.stack));
  const start = Date.now();
  await page.goto(pathToFileURL(join(folder, `${name}.html`)).href);
  await page.waitForSelector("body[data-ready], body[data-failed]");
  return { page, complaints, seconds: (Date.now() - start) / 1000, close: () => context.close() };
}

const stages = (page) =>
  page.$$eval("#stage option", (options) => options.map((option) => [option.value, option.textContent]));
const title = (page) => page.textContent("#panel h2");

test("a click on a kernel shows its WGSL, and every stage is drawn", async () => {
  const { page, complaints, close } = await opened("lenet5");
  await page.click('.node[data-id="g:0"]');
  assert.match(await page.textContent("#panel pre.wgsl"), /@compute/);
  const said = await page.textContent("#panel");
  for (const part of ["Not fused further: ", "workgroups", "candidates", "measured", ".py"])
    assert.ok(said.includes(part), `${part} in ${said.slice(0, 500)}`);
  const all = await stages(page);
  const names = all.map(([, text]) => text);
  for (const name of ["As read", "Pass fold", "Fused", "Backward", "Step"])
    assert.ok(
      names.some((one) => one.startsWith(name)),
      `${name} in ${names}`,
    );
  for (const [value] of all) {
    await page.selectOption("#stage", value);
    assert.ok((await page.locator("#canvas .node").count()) > 5);
    // The layer that was clicked is marked wherever it still is.
    assert.ok((await page.locator(".node.same, .node.selected").count()) > 0, `stage ${value}`);
  }
  assert.deepEqual(complaints, []);
  await close();
});

test("kernels that share a dispatch say so", async () => {
  const { page, complaints, close } = await opened("lenet5");
  const all = await stages(page);
  await page.selectOption("#stage", all.find(([, text]) => text === "Step")[0]);
  await page.selectOption("#fold", "99");
  const id = await page.$$eval(
    "#canvas .node",
    (nodes) => nodes.find((node) => node.textContent.includes("dispatch "))?.dataset.id,
  );
  assert.ok(id, "no kernel shares a dispatch");
  await page.$eval(`.node[data-id="${id}"]`, (node) => node.dispatchEvent(new MouseEvent("click", { bubbles: true })));
  assert.match(await page.textContent("#panel"), /Shares a dispatch with/);
  assert.ok((await page.locator(".node.shared").count()) > 0);
  assert.deepEqual(complaints, []);
  await close();
});

test("memory, times, search, keys and the picture", async () => {
  const { page, complaints, close } = await opened("lenet5", { colorScheme: "dark" });
  await page.keyboard.press("m");
  assert.ok((await page.locator("#chart rect.live").count()) > 3);
  assert.match(await page.textContent("#chart"), /most alive: .*B at dispatch \d+/);
  await page.keyboard.press("b");
  assert.match(await page.textContent("#chart"), /Measured on/);
  await page.fill("#search", "avg_pool");
  assert.match(await page.textContent("#found"), /^[1-9]\d* found$/);
  await page.press("#search", "Enter");
  const found = await title(page);
  await page.press("#search", "Escape");
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await title(page), found);
  const download = page.waitForEvent("download");
  await page.keyboard.press("s");
  const svg = readFileSync(await (await download).path(), "utf8");
  assert.match(svg, /^<svg[^>]*viewBox/);
  assert.ok(!svg.includes("NaN"));
  const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await back();
  await page.keyboard.press("t");
  assert.notEqual(await back(), dark);
  assert.deepEqual(complaints, []);
  await close();
});

test("resnet50 is below a megabyte and opens soon", async (t) => {
  assert.ok(statSync(join(folder, "resnet50.html")).size < 1 << 20);
  const { page, complaints, seconds, close } = await opened("resnet50", { viewport: { width: 400, height: 800 } });
  t.diagnostic(
    `${(statSync(join(folder, "resnet50.html")).size / 1024).toFixed(0)} KiB, drawn after ${seconds.toFixed(2)} s`,
  );
  assert.ok(seconds < 10, `${seconds} s`);
  for (const [value, text] of await stages(page)) {
    const start = Date.now();
    await page.selectOption("#stage", value);
    const boxes = await page.locator("#canvas .node").count();
    assert.ok(boxes > 5, text);
    if (["Fused", "Backward", "Step"].includes(text))
      t.diagnostic(`${text}: ${boxes} boxes after ${Date.now() - start} ms`);
  }
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.deepEqual(complaints, []);
  await close();
});
