// Takes the pictures of the README: node pictures.mjs FOLDER-WITH-PAGES FOLDER-FOR-PICTURES
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { browser } from "./chromium.mjs";

const [from, to] = process.argv.slice(2);
const chromium = await browser();

async function opened(name, width, height) {
  const page = await chromium.newPage({ viewport: { width, height }, deviceScaleFactor: 1 });
  await page.goto(pathToFileURL(resolve(from, name)).href);
  return page;
}

/** PNG as WebP, which takes a third. */
async function save(page, name, clip) {
  const png = (await page.screenshot({ clip })).toString("base64");
  const webp = await page.evaluate(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.85).split(",")[1];
  }, png);
  writeFileSync(join(to, name), Buffer.from(webp, "base64"));
}

const view = await opened("view.html", 1200, 760);
await view.waitForSelector("body[data-ready]");
const stages = await view.$$eval("#stage option", (all) => all.map((one) => [one.value, one.textContent]));
await view.selectOption("#stage", stages.find(([, text]) => text === "Fused")[0]);
await view.click('.node[data-id="g:2"]');
await view.click("#tab-time");
await view.waitForTimeout(500);
await save(view, "view.webp");

const report = await opened("digits/report.html", 1200, 900);
const heading = (text) => report.locator("h2", { hasText: text }).first();
await heading("Filters").evaluate((element) => element.scrollIntoView({ block: "start" }));
await report.waitForTimeout(300);
await save(report, "report.webp");

const moons = await opened("moons/report.html", 640, 900);
const chart = moons.locator("figure.chart", { hasText: "Decision surface" });
await chart.scrollIntoViewIfNeeded();
await save(moons, "moons.webp", await chart.boundingBox());
await chromium.close();
