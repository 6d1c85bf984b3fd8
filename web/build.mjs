// Builds dist/kiln.js (minified) and the types. With --check: whether what is checked in is what is built from the source, and
// whether it is small enough.
import { build } from "esbuild";
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

/** Bytes of the package, minified and gzipped: a page with it is there at once. */
const LARGEST = 10 * 1024;

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

async function bundle(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: at("src"), loader: "ts" },
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    mangleProps: /^_/,
    write: false,
    logLevel: "error",
    banner: { js: "/* Kiln's player; MIT OR Apache-2.0 */" },
  });
  return outputFiles[0].contents;
}

const bytes = await bundle('export * from "./index.js";');
const gzipped = (contents) => gzipSync(contents, { level: 9 }).length;
const size = gzipped(bytes);
console.log(`kiln.js: ${bytes.length} bytes, ${size} gzipped (at most ${LARGEST})`);
const part = gzipped(await bundle('export { load } from "./index.js";'));
console.log(`load alone: ${part} gzipped`);
if (process.argv.includes("--check")) {
  const there = readFileSync(at("dist/kiln.js"));
  if (!there.equals(bytes)) {
    console.error("dist/kiln.js is not what the source builds: `npm run build` writes it");
    process.exit(1);
  }
} else {
  mkdirSync(at("dist"), { recursive: true });
  writeFileSync(at("dist/kiln.js"), bytes);
}
if (size > LARGEST) {
  console.error("the package has become too large");
  process.exit(1);
}
