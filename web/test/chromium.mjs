// Chromium without a screen, on SwiftShader.
import { chromium } from "playwright-core";

export const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const ARGS = [
  "--headless=new",
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--enable-precise-memory-info",
  "--js-flags=--expose-gc",
];

export async function browser(options = {}) {
  return chromium.launch({ executablePath, headless: true, args: ARGS, ...options });
}
