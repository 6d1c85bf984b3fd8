// Compiles the WGSL files of a folder with Tint, Chromium's compiler, and prints what it refuses.
// usage: node check.mjs FOLDER
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { create, globals } from "webgpu";

// Types that only native devices have.
const ONLY_NATIVE = /\b[if]64\b/;

const [folder] = process.argv.slice(2);
// The classes of errors.
Object.assign(globalThis, globals);
const gpu = create(["backend=null"]);
const adapter = await gpu.requestAdapter();
const features = ["subgroups", "shader-f16"].filter((name) => adapter.features.has(name));
const device = await adapter.requestDevice({ requiredFeatures: features });

// Dawn's bindings crash when modules are collected while others are made.
const kept = [gpu];
const files = readdirSync(folder).filter((name) => name.endsWith(".wgsl"));
let refused = 0;
let native = 0;
for (const file of files) {
  const text = readFileSync(join(folder, file), "utf8");
  // Browsers need the line, naga does not know it yet: whoever hands kernels to a browser adds it.
  const code = text.includes("subgroup") ? `enable subgroups;\n${text}` : text;
  if (ONLY_NATIVE.test(code)) {
    native += 1;
    continue;
  }
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  kept.push(module, await device.popErrorScope());
  const errors = messages.filter((message) => message.type === "error");
  if (errors.length > 0) {
    refused += 1;
    const [{ lineNum, message }] = errors;
    console.log(`${join(folder, file)}:${lineNum}: ${message.split("\n")[0]}`);
    console.log(`    ${code.split("\n")[lineNum - 1]?.trim()}`);
  }
}
console.log(`Tint: ${files.length - native} kernels, ${refused} refused; ${native} have 64-bit types, which WebGPU has not`);
if (files.length === 0) console.log(`there are no kernels in ${folder}`);
process.exit(refused > 0 || files.length === 0 ? 1 : 0);
