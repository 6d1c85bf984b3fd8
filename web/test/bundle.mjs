// Modules of the package as JavaScript, for tests of what it does not export.
import { build } from "esbuild";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export async function load(module) {
  const outfile = join(mkdtempSync(join(tmpdir(), "kiln-web-")), "module.mjs");
  const entry = fileURLToPath(new URL(`../src/${module}.ts`, import.meta.url));
  await build({ entryPoints: [entry], bundle: true, format: "esm", outfile, logLevel: "error" });
  return import(pathToFileURL(outfile));
}
