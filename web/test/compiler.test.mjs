// The compiler as WebAssembly, under Node: its plans are those of the command, and nothing that a file says traps.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { before } from "node:test";
import { root } from "./bundle.mjs";
import { kiln, plans } from "./plans.mjs";

const file = join(root, "web/dist/compiler.wasm");
const skip = !existsSync(file) && "there is no compiler.wasm: scripts/web-compiler builds it";
if (skip) console.error(`SKIPPED: ${skip}`);

let compile;
let wasm;

before(async () => {
  if (skip) return;
  mkdirSync(plans, { recursive: true });
  ({ compile } = await import(join(root, "web/dist/compiler.js")));
  wasm = await WebAssembly.compile(readFileSync(file));
});

/** The plan that the command makes. */
function native(name, model, words) {
  const plan = join(plans, `native-${name}.kplan`);
  kiln("compile", model, ...words, "-o", plan);
  return new Uint8Array(readFileSync(plan));
}

const inPage = (model, options = {}) =>
  compile(readFileSync(join(root, model.split(":")[0])), { name: model.split("/").at(-1), wasm, ...options });

const CASES = {
  digits: ["models/digits.onnx", ["--target", "portable"], { target: "portable" }],
  net: ["tests/oracles/fixtures/net/model.onnx", ["--target", "swiftshader", "--max", "N=3"], { batch: 3 }],
  lenet: ["models/lenet5.py", ["--target", "swiftshader"], {}],
  resnet: ["models/resnet.py:resnet18", ["--target", "swiftshader", "--precise"], { precise: true }],
  classes: [
    "models/net.py:Net",
    ["--target", "gpu-subgroups", "--train", "adam", "--max", "N=16"],
    { target: "gpu-subgroups", train: { optimizer: "adam" }, max: { N: 16 } },
  ],
  halves: [
    "models/resnet.py:resnet18",
    ["--target", "gpu", "--precision", "f16", "--precise", "--dim", "H=64", "--dim", "W=64"],
    { target: "gpu", precision: "f16", precise: true, dims: { H: 64, W: 64 } },
  ],
  trained: ["models/digits.onnx", ["--target", "swiftshader", "--train", "sgd"], { train: {} }],
};

for (const [name, [model, words, options]] of Object.entries(CASES)) {
  test(`plans are the command's, byte for byte: ${name}`, { skip }, async (t) => {
    const began = performance.now();
    const { plan, kernels } = await inPage(model, { target: "swiftshader", ...options });
    t.diagnostic(`${(performance.now() - began).toFixed(0)} ms, ${kernels} kernels, ${plan.length} bytes`);
    assert.ok(Buffer.from(plan).equals(Buffer.from(native(name, model, words))), "another plan");
  });
}

/** Weights of `Net`. */
const SHAPES = {
  "conv1.weight": [16, 3, 3, 3],
  "conv1.bias": [16],
  "conv2.weight": [8, 16, 3, 3],
  "conv2.bias": [8],
  "fc1.weight": [32, 512],
  "fc1.bias": [32],
  "fc2.weight": [2, 32],
  "fc2.bias": [2],
};

test("weights of a state dict are loaded, or it is said why not", { skip }, async () => {
  const { toSafetensors } = await import(join(root, "web/dist/training.js"));
  const states = Object.entries(SHAPES).map(([name, shape]) => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
    return [name, { dtype: "f32", shape, data }];
  });
  const weights = toSafetensors(Object.fromEntries(states));
  const path = join(plans, "net.safetensors");
  writeFileSync(path, weights);
  const options = { target: "swiftshader", model: "Net" };
  const { plan, untrained } = await inPage("models/net.py", { ...options, weights });
  assert.ok(!untrained);
  const other = native("weights", "models/net.py:Net", ["--target", "swiftshader", "--weights", path]);
  assert.ok(Buffer.from(plan).equals(Buffer.from(other)), "another plan");
  const pt = readFileSync(join(root, "tests/oracles/fixtures/state_dicts/net.pt"));
  await assert.rejects(inPage("models/net.py", { ...options, weights: pt }), {
    code: "compile",
    message: /the weights do not fit the model\nmissing in the weights:\n {2}conv1\.weight/,
  });
  const broken = inPage("models/net.py", { ...options, weights: pt.subarray(0, 99) });
  await assert.rejects(broken, { code: "compile", message: /the weights/ });
});

test("compiling can be aborted before it starts", { skip }, async () => {
  const signal = AbortSignal.abort();
  await assert.rejects(inPage("models/digits.onnx", { target: "portable", signal }), { name: "AbortError" });
});

const text = (source) => new TextEncoder().encode(source);
const head = "import torch\nimport torch.nn as nn\n";
const model = (forward, init = "") =>
  text(
    `${head}class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n${init}\n    def forward(self, x):\n${forward}\n`,
  );

/** What a file says, and what is said of it. */
const HOSTILE = {
  "not ONNX": [text("nothing of the kind"), "a.onnx", /not|cannot/],
  empty: [new Uint8Array(1), "a.onnx", /./],
  "a plan": [text("KILNPLAN and so on"), "a.onnx", /a plan already/],
  "not text": [new Uint8Array([255, 254, 0]), "a.py", /UTF-8/],
  "no syntax": [text("class Net(:\n"), "a.py", /a\.py:1/],
  "no model": [text("x = 1\n"), "a.py", /./],
  "another module": [
    model("        return self.body(x)", "        import resnet\n        self.body = resnet.resnet18()"),
    "a.py",
    /`resnet`/,
  ],
  "an endless loop": [model("        return x", "        while True:\n            pass"), "a.py", /steps|limit|long/],
  "endless recursion": [
    model("        return x", "        def f(n):\n            return f(n + 1)\n        f(0)"),
    "a.py",
    /deep|recursion|calls/,
  ],
  "deep parentheses": [
    model(`        return ${"(".repeat(5000)}x${")".repeat(5000)}`),
    "a.py",
    /deep|nest|stack|calls/,
  ],
  "a long sum": [model(`        return x${" + x".repeat(9000)}`), "a.py", /deep|nest|stack|long/],
  "too many weights": [
    model("        return self.fc(x)", "        self.fc = nn.Linear(30000, 30000)"),
    "a.py",
    /more than \d+ elements/,
  ],
  "another option": [
    model("        return x"),
    "a.py",
    /options cannot be read: unknown field `colour`/,
    { colour: 1 },
  ],
  "another target": [model("        return x"), "a.py", /there is no target `abacus`/, { target: "abacus" }],
  "no shape": [model("        return x"), "a.py", /the shape of the input is not known/, { inputs: [] }],
};

for (const [name, [bytes, file, expected, options = {}]] of Object.entries(HOSTILE)) {
  test(`nothing traps: ${name}`, { skip }, async (t) => {
    const began = performance.now();
    const said = await compile(bytes, { name: file, wasm, target: "portable", inputs: ["3,8,8"], ...options }).then(
      ({ plan }) => `${plan.length} bytes of plan`,
      (error) => `${error.code}: ${error.message}`,
    );
    t.diagnostic(`${(performance.now() - began).toFixed(0)} ms: ${said.slice(0, 300)}`);
    assert.match(said, /^compile: /);
    assert.match(said, expected);
  });
}

test("an instance that traps is an error", async () => {
  const name = (text) => [text.length, ...Buffer.from(text)];
  const section = (id, ...bytes) => [id, bytes.length, ...bytes];
  const [i32, func, memory] = [0x7f, 0, 2];
  const exported = ["kiln_allocate", "kiln_compile", "kiln_report", "kiln_report_size"];
  const code = { kiln_compile: [0x00], kiln_allocate: [0x41, 0xc0, 0x00] };
  const traps = new WebAssembly.Module(
    new Uint8Array([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, 3, 0x60, 1, i32, 1, i32, 0x60, 6, i32, i32, i32, i32, i32, i32, 1, i32, 0x60, 0, 1, i32),
      ...section(3, 4, 0, 1, 2, 2),
      ...section(5, 1, 0, 1),
      ...section(7, 5, ...exported.flatMap((text, i) => [...name(text), func, i]), ...name("memory"), memory, 0),
      ...section(
        10,
        4,
        ...exported.map((text) => code[text] ?? [0x41, 0]).flatMap((code) => [code.length + 2, 0, ...code, 0x0b]),
      ),
    ]),
  );
  const { compile } = await import(join(root, "web/dist/compiler.js"));
  await assert.rejects(compile(new Uint8Array(1), { target: "portable", wasm: traps }), {
    code: "compile",
    message: "the compiler has run out of memory or stack (unreachable)",
  });
});

test("damaged files are errors", { skip }, async () => {
  const whole = readFileSync(join(root, "models/digits.onnx"));
  let [seed, plans] = [7, 0];
  const random = (below) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
  for (let n = 0; n < 60; n++) {
    const bytes = new Uint8Array(whole);
    for (let k = 0; k <= n % 4; k++) bytes[random(bytes.length)] = random(256);
    const cut = n % 3 ? bytes : bytes.subarray(0, random(bytes.length));
    try {
      await compile(cut, { name: "a.onnx", wasm, target: "portable" });
      plans++;
    } catch (error) {
      assert.equal(error.code, "compile", error.stack);
      assert.doesNotMatch(error.message, /defect|unreachable|RuntimeError/);
    }
  }
  assert.ok(plans < 60);
});
