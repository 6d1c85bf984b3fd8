// Builds dist/: kiln.js, and the parts of it that are loaded when a plan needs them. With --check: whether what is checked in is
// what is built from the source, and whether it is small enough.
import { build } from "esbuild";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

/** Bytes of each part, minified and gzipped. */
const LARGEST = 10 * 1024;

/** The parts with the modules that are in them; whatever else a part imports is in `kiln.js`. */
const PARTS = {
  kiln: null,
  reader: ["check", "check-metadata", "crc32", "file", "guards", "protobuf", "requirements", "schema", "wgsl"],
  pictures: [],
  training: ["crc32", "safetensors", "storage"],
  compiler: ["compiler-core"],
  "compiler-worker": ["compiler-core", "errors"],
};

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const name = (path) => basename(path).replace(/\.js$/, "");

/** Keeps imports between parts as they are. */
const apart = (part) => ({
  name: "parts",
  setup(build) {
    build.onResolve({ filter: /^\.\// }, ({ path, kind }) => {
      if (kind === "dynamic-import") return { path: `./${name(path)}.js`, external: true };
      const own = PARTS[part];
      if (own && !own.includes(name(path)) && name(path) !== part) return { path: "./kiln.js", external: true };
    });
  },
});

async function bundle(part) {
  const contents =
    part === "kiln"
      ? 'export * from "./index.js"; export * from "./internals.js";'
      : part.endsWith("-worker")
        ? `import "./${part}.js";`
        : `export * from "./${part}.js";`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: at("src"), loader: "ts" },
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    write: false,
    logLevel: "error",
    // All of the package but workers is free of side effects, which is what they are for.
    ignoreAnnotations: part.endsWith("-worker"),
    banner: { js: "/* Kiln, MIT OR Apache-2.0 */" },
    plugins: [apart(part)],
  });
  return outputFiles[0].contents;
}

const checks = process.argv.includes("--check");
let [wrong, sum] = [false, 0];
mkdirSync(at("dist"), { recursive: true });
for (const part of Object.keys(PARTS)) {
  const bytes = await bundle(part);
  const size = gzipSync(bytes, { level: 9 }).length;
  sum += size;
  console.log(`${part}.js: ${bytes.length} bytes, ${size} gzipped (at most ${LARGEST})`);
  if (size > LARGEST) {
    console.error(`${part}.js has become too large`);
    wrong = true;
  }
  const path = at(`dist/${part}.js`);
  if (!checks) writeFileSync(path, bytes);
  else if (!readFileSync(path).equals(bytes)) {
    console.error(`${path} is not what the source builds: \`npm run build\` writes it`);
    wrong = true;
  }
}
console.log(`all: ${sum} gzipped`);
process.exit(wrong ? 1 : 0);
