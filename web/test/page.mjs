// What the tests do in a page.
import { load } from "/dist/kiln.js";
import { toSafetensors } from "/dist/training.js";

const ARRAYS = {
  f32: Float32Array,
  f16: Float32Array,
  f64: Float64Array,
  i32: Int32Array,
  i64: BigInt64Array,
  u8: Uint8Array,
  bool: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
};

let adapter;
let device;

/** One device for many plans: opening one takes longer than a small network. */
async function shared() {
  if (!device) {
    adapter = await navigator.gpu.requestAdapter();
    const requiredLimits = {};
    for (const name of [
      "maxStorageBuffersPerShaderStage",
      "maxBufferSize",
      "maxStorageBufferBindingSize",
      "maxComputeWorkgroupStorageSize",
      "maxComputeInvocationsPerWorkgroup",
      "maxComputeWorkgroupSizeX",
    ]) {
      requiredLimits[name] = adapter.limits[name];
    }
    device = await adapter.requestDevice({ requiredFeatures: ["subgroups"], requiredLimits });
  }
  return device;
}

const json = async (url) => (await fetch(url)).json();

function tensor({ dtype, shape, data }) {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  return { dtype, shape, data: new ARRAYS[dtype](bytes.buffer) };
}

const tensors = (list) => Object.fromEntries(Object.entries(list).map(([name, value]) => [name, tensor(value)]));

function distance(expected, found) {
  if (expected === found || (Number.isNaN(expected) && Number.isNaN(found))) return 0;
  const apart = Math.abs(expected - found);
  return Number.isNaN(apart) ? Infinity : apart;
}

/** The largest difference relative to the largest finite magnitude that is expected, as in `kiln-graph/src/compare.rs`. */
function apart(expected, found, least) {
  if (expected.length !== found.length) return Infinity;
  let [farthest, largest] = [0, least];
  for (let i = 0; i < expected.length; i++) {
    const wanted = Number(expected[i]);
    farthest = Math.max(farthest, distance(wanted, Number(found[i])));
    if (Number.isFinite(wanted)) largest = Math.max(largest, Math.abs(wanted));
  }
  return farthest === 0 ? 0 : farthest / largest;
}

/** Runs all data sets of a model; the worst difference. */
export async function answer(name) {
  const session = await load(`/plans/${name}.kplan`, { device: await shared(), cache: false });
  try {
    let worst = 0;
    for (const { inputs, outputs } of await json(`/plans/${name}.json`)) {
      const found = await session.run(tensors(inputs));
      for (const [name, expected] of Object.entries(tensors(outputs))) {
        const { dtype, shape, data } = found[name];
        if (dtype !== expected.dtype || shape.join() !== expected.shape.join()) {
          throw new Error(`${name} is ${dtype}[${shape}], but should be ${expected.dtype}[${expected.shape}]`);
        }
        worst = Math.max(worst, apart(expected.data, data, Number.MIN_VALUE));
      }
    }
    return worst;
  } finally {
    session.dispose();
  }
}

/** Each of several models: the difference, or what went wrong. */
export async function answers(names) {
  const results = {};
  for (const name of names) results[name] = await answer(name).catch((error) => String(error));
  return results;
}

const norm = (values) => Math.sqrt(values.reduce((sum, x) => sum + Number(x) ** 2, 0));

function apartFrom(summary, found, least) {
  const values = Array.from(found, Number);
  const elements = values.filter((_, i) => i % summary.every === 0);
  return Math.max(apart(summary.elements, elements, least), apart([summary.norm], [norm(values)], least));
}

/** Trains as PyTorch has; how far losses, gradients of the first step, and states are from it. */
export async function training(name) {
  const { lr, momentum, batches, expected, gradients } = await json(`/plans/${name}.json`);
  const session = await load(`/plans/${name}.kplan`, { device: await shared(), cache: false });
  try {
    const { inputs } = session.describe("train");
    const has = inputs.some(({ role }) => role === "momentum" || role === "beta1");
    const found = { loss: 0, gradient: 0, state: 0 };
    const largest = Math.max(...Object.values(gradients).map(({ norm }) => norm));
    for (const [step, batch] of batches.entries()) {
      const { input, target } = tensors(batch);
      const given = { input, target, lr, ...(has && { momentum }) };
      if (step > 0) {
        await session.step(given);
        continue;
      }
      const outputs = await session.run(given, { program: "train" });
      found.loss = apart([expected.losses[0]], outputs.loss.data, 0);
      for (const [parameter, summary] of Object.entries(gradients)) {
        found.gradient = Math.max(
          found.gradient,
          apartFrom(summary, outputs[`${parameter}.grad`].data, 1e-3 * largest),
        );
      }
    }
    const losses = await session.lossesSince();
    losses.forEach((loss, i) => (found.loss = Math.max(found.loss, apart([expected.losses[i + 1]], [loss], 0))));
    if (losses.length !== batches.length - 1) throw new Error(`${losses.length} losses`);
    const nothing = (name) => gradients[name] && gradients[name].norm < 1e-12;
    const drifts = inputs.some(({ role }) => role === "beta1") || !/sgd|momentum|dampened|nesterov/.test(name);
    const someNothing = Object.values(gradients).some(({ norm }) => norm < 1e-12);
    const states = await session.states();
    for (const [name, summary] of Object.entries(expected.state)) {
      // Of what has no influence, optimizers that divide a gradient by its size make chance; see tests/end_to_end/trace.rs.
      if (nothing(name) || (drifts && someNothing && name.endsWith("running_mean"))) continue;
      found.state = Math.max(found.state, apartFrom(summary, states[name].data, 1e-6));
    }
    return found;
  } finally {
    session.dispose();
  }
}

/** Kinds of mistakes, each with what is said. */
export async function mistakes() {
  const device = await shared();
  const net = await load("/plans/net.kplan", { cache: false });
  const trains = await load("/plans/trace-net-adam.kplan", { device, cache: false });
  const input = net.inputs[0].name;
  const sample = (n) => new Float32Array(n * 3 * 32 * 32);
  const step = { input: new Float32Array(8 * 3 * 32 * 32), target: new Int32Array(8), lr: 0.1 };
  const cases = {
    "no plan": [() => load("/test/page.html"), "not a plan file; `kiln compile` makes plans"],
    "an older version": [
      () => load("/golden/refused/003.kplan"),
      "version 4; this page reads version 5: compile the model again",
    ],
    "no such file": [() => load("/plans/nothing.kplan"), "cannot be fetched: status 404"],
    "another hash": [
      () =>
        load("/plans/net.kplan", { cache: false, integrity: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }),
      "not the one that was meant",
    ],
    "a device that lacks something": [
      async () => {
        const device = await (await navigator.gpu.requestAdapter()).requestDevice();
        return load("/plans/net.kplan", { device, cache: false });
      },
      "needs `subgroups`, which this device does not have",
    ],
    "an unknown input": [() => net.run({ picture: sample(1) }), "there is no input `picture`; there are"],
    "a missing input": [() => net.run({}), "is missing: f32 of shape \\[N, 3, 32, 32\\]"],
    "too few numbers": [() => net.run({ [input]: new Float32Array(5) }), "5 elements for .* of shape"],
    "another type": [
      () => net.run({ [input]: new Int32Array(3072) }),
      "takes f32 \\(Float32Array\\), but a Int32Array was given",
    ],
    "another shape": [
      () => net.run({ [input]: { data: sample(1), shape: [1, 3, 1024] } }),
      "has shape \\[1, 3, 1024\\], but should have",
    ],
    "too large a batch": [() => net.run({ [input]: sample(99) }), "makes N 99, but the plan was compiled for up to"],
    "no such program": [
      () => net.run({ [input]: sample(1) }, { program: "train" }),
      "the plan has no program `train`; it has inference",
    ],
    "no such output": [() => net.run({ [input]: sample(1) }, { outputs: ["loss"] }), "there is no output `loss`"],
    "training where there is none": [() => net.step(step), "this plan does not train: `kiln compile MODEL --train`"],
    "a picture where there are numbers": [
      () => net.run({ [input]: new ImageData(32, 32) }),
      "does not say how .* is made of pictures",
    ],
    "a step without a rate": [
      () => trains.step({ input: step.input, target: step.target }),
      "the input `lr` is missing",
    ],
    "a class that is no integer": [
      () => trains.step({ ...step, target: [0.5, 0, 0, 0, 0, 0, 0, 0] }),
      "element 0 of `target` is 0.5",
    ],
    "weights of another model": [
      () =>
        trains.restoreFrom(toSafetensors({ other: { dtype: "f32", shape: [1], data: new Float32Array(1) } }), {
          partly: true,
        }),
      "`other` is not a state of this plan",
    ],
    "weights that are missing": [() => trains.restoreFrom(toSafetensors({})), "the file does not have"],
    "a damaged file of weights": [
      async () => {
        const bytes = await trains.save();
        bytes[bytes.length - 5] ^= 1;
        return trains.restoreFrom(bytes);
      },
      "do not have the checksum that was written",
    ],
    "a cut file of weights": [
      async () => trains.restoreFrom((await trains.save()).slice(0, 2000)),
      "this is no whole safetensors file",
    ],
    "a buffer that cannot be read": [
      () => net.run({ [input]: device.createBuffer({ size: 12288, usage: GPUBufferUsage.STORAGE }) }),
      "was made without COPY_SRC",
    ],
    "a buffer that is too small": [
      () =>
        net.run(
          { [input]: sample(1) },
          { into: { output: device.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_DST }) } },
        ),
      "bytes of `output` from 0 on do not lie in a buffer of 4 bytes",
    ],
    "after disposing": [() => (net.dispose(), net.run({ [input]: sample(1) })), "the session was disposed of"],
  };
  const found = {};
  for (const [name, [act, expected]] of Object.entries(cases)) {
    let said = "nothing";
    try {
      await act();
    } catch (error) {
      said = error.name === "KilnError" ? error.message : String(error.stack);
    }
    found[name] = { found: said, expected };
  }
  trains.dispose();
  return found;
}

/** The code of the error for each damaged plan. */
export async function damaged(names) {
  const device = await shared();
  const codes = {};
  for (const name of names) {
    codes[name] = await load(`/golden/${name}`, { device }).then(
      () => "loaded",
      (error) => error.code ?? String(error.stack),
    );
    const kept = await (await caches.open("kiln-plans")).match(`/golden/${name}`);
    if (kept) codes[name] = "kept in the cache";
  }
  return codes;
}

export async function aborted() {
  const controller = new AbortController();
  const began = performance.now();
  setTimeout(() => controller.abort(), 300);
  const error = await load("/plans/net.kplan?slow", { signal: controller.signal, cache: false }).catch(
    (error) => error,
  );
  return { name: error.name, soon: performance.now() - began < 3000 };
}

export async function cached() {
  const session = await load("/plans/net.kplan", { device: await shared() });
  session.dispose();
  // It is written while the page goes on.
  for (let n = 0; n < 100 && !(await caches.match("/plans/net.kplan")); n++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function damageCache() {
  const cache = await caches.open("kiln-plans");
  const bytes = new Uint8Array(await (await cache.match("/plans/net.kplan")).arrayBuffer());
  bytes[bytes.length - 300] ^= 1;
  bytes[bytes.length - 600] ^= 1;
  await cache.put("/plans/net.kplan", new Response(bytes));
}

export async function progress() {
  const told = [];
  const onProgress = ({ loaded, total }) => told.push([loaded, total]);
  const session = await load("/plans/net.kplan", { device: await shared(), cache: false, onProgress });
  session.dispose();
  return {
    first: told[0],
    last: told.at(-1),
    increasing: told.every(([loaded], i) => i === 0 || loaded >= told[i - 1][0]),
  };
}

/** Of several plans the first that can run, and what is said if none can. */
export async function variants() {
  const device = await (await navigator.gpu.requestAdapter()).requestDevice();
  const none = await load(["/plans/net.kplan", "/plans/net.kplan"], { device, cache: false }).catch(
    (error) => error.code,
  );
  const session = await load(["/plans/net.kplan", "/plans/portable.kplan"], { device, cache: false });
  const first = await load(["/plans/net.kplan", "/plans/portable.kplan"], { cache: false });
  const found = [none, session.plan.target, first.plan.target];
  session.dispose();
  first.dispose();
  return found;
}

/** Loses the device in the middle of a training; how far the end is from that of one without a loss. */
export async function lost(name) {
  const { lr, batches } = await json(`/plans/${name}.json`);
  const given = (batch) => ({ ...tensors(batch), lr });
  const trained = async (session, some) => {
    for (const batch of some) await session.step(given(batch));
  };
  const whole = await load(`/plans/${name}.kplan`);
  await trained(whole, batches);
  const expected = await whole.states();
  whole.dispose();
  const session = await load(`/plans/${name}.kplan`);
  let events = 0;
  session.addEventListener("lost", () => events++);
  await trained(session, batches.slice(0, 2));
  await session.snapshot();
  await trained(session, batches.slice(2, 3));
  session.device.destroy();
  await session.device.lost;
  await new Promise((resolve) => setTimeout(resolve));
  const said = await session.step(given(batches[3])).then(
    () => "",
    (error) => error.message,
  );
  await session.restore();
  await trained(session, batches.slice(2));
  const found = await session.states();
  let worst = 0;
  for (const [name, { data }] of Object.entries(expected))
    worst = Math.max(worst, apart(data, found[name].data, 1e-30));
  session.dispose();
  return { events, said, apart: worst };
}

/** Runs many times; how many buffers are made, and how much the heap grows. */
export async function steady(times) {
  const session = await load("/plans/net.kplan", { device: await shared(), cache: false });
  const [name] = session.inputs.map(({ name }) => name);
  const input = new Float32Array(3 * 32 * 32).fill(0.5);
  for (let i = 0; i < 20; i++) await session.run({ [name]: input });
  const make = session.device.createBuffer.bind(session.device);
  let buffers = 0;
  session.device.createBuffer = (given) => (buffers++, make(given));
  const used = () => performance.memory?.usedJSHeapSize ?? 0;
  globalThis.gc?.();
  const before = used();
  for (let i = 0; i < times; i++) await session.run({ [name]: input });
  globalThis.gc?.();
  const heap = used() - before;
  delete session.device.createBuffer;
  session.dispose();
  return { buffers, heap };
}

export async function overlapping() {
  const session = await load("/plans/net.kplan", { device: await shared(), cache: false });
  const [{ inputs, outputs }] = await json("/plans/net.json");
  const [name] = Object.keys(inputs);
  const [output] = Object.keys(outputs);
  const given = tensors(inputs)[name];
  const other = { ...given, data: given.data.map((x) => -x) };
  const alone = [await session.run({ [name]: given }), await session.run({ [name]: other })];
  const together = await Promise.all([given, other, given].map((tensor) => session.run({ [name]: tensor })));
  session.dispose();
  const same = (a, b) => a[output].data.join() === b[output].data.join();
  return (
    same(together[0], alone[0]) &&
    same(together[1], alone[1]) &&
    same(together[2], alone[0]) &&
    !same(alone[0], alone[1])
  );
}

export async function onDevice() {
  const device = await shared();
  const session = await load("/plans/net.kplan", { device, cache: false });
  const [{ inputs }] = await json("/plans/net.json");
  const [name] = Object.keys(inputs);
  const given = tensors(inputs)[name];
  const wanted = await session.run({ [name]: given });
  const [output] = Object.keys(wanted);
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const [from, to] = [given.data.byteLength, wanted[output].data.byteLength].map((size) =>
    device.createBuffer({ size, usage }),
  );
  device.queue.writeBuffer(from, 0, given.data);
  const rest = await session.run({ [name]: { buffer: from, shape: given.shape } }, { into: { [output]: to } });
  const staging = device.createBuffer({ size: to.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(to, 0, staging, 0, to.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const found = new Float32Array(staging.getMappedRange()).join();
  for (const buffer of [from, to, staging]) buffer.destroy();
  session.dispose();
  return found === wanted[output].data.join() && !(output in rest);
}

export async function inWorker() {
  const worker = new Worker("/test/worker.mjs", { type: "module" });
  const { error, apart } = await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
  worker.terminate();
  if (error) throw new Error(error);
  return apart <= 1e-4;
}

/** A picture of each kind; how far what the network says of it is from what it says of pixels that were resized here. */
export async function pictures() {
  const session = await load("/plans/picture.kplan", { device: await shared(), cache: false });
  const [W, H] = [100, 75];
  const canvas = new OffscreenCanvas(W, H);
  const context = canvas.getContext("2d");
  const gradient = context.createLinearGradient(0, 0, W, H);
  gradient.addColorStop(0, "#d04010");
  gradient.addColorStop(0.5, "#20c0a0");
  gradient.addColorStop(1, "#f0e020");
  context.fillStyle = gradient;
  context.fillRect(0, 0, W, H);
  const [{ name, shape }] = session.inputs;
  const output = session.outputs[0].name;
  const image = context.getImageData(0, 0, W, H);
  const { data } = image;
  // 36 x 48 by the shorter side, of which 32 x 32 are cut out of the middle; the triangle filter by its definition.
  const [height, width] = [36, 48];
  const [, channels] = shape;
  const input = new Float32Array(channels * 32 * 32);
  const share = (at, centre, reach) => Math.max(0, 1 - Math.abs((at + 0.5 - centre) / reach));
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 32; x++) {
      const [sx, sy] = [W / width, H / height];
      const [cx, cy] = [(x + 8 + 0.5) * sx, (y + 2 + 0.5) * sy];
      let sum = 0;
      const rgb = [0, 0, 0];
      for (let j = 0; j < H; j++) {
        for (let i = 0; i < W; i++) {
          const weight = share(i, cx, sx) * share(j, cy, sy);
          sum += weight;
          for (let c = 0; c < 3; c++) rgb[c] += (weight * data[4 * (j * W + i) + c]) / 255;
        }
      }
      const values =
        channels === 1 ? [(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / sum] : rgb.map((v) => v / sum);
      values.forEach((value, c) => (input[c * 1024 + y * 32 + x] = (value - 0.5) / 0.25));
    }
  }
  const wanted = (await session.run({ [name]: input }))[output].data;
  const url = URL.createObjectURL(await canvas.convertToBlob());
  const element = new Image();
  element.src = url;
  await element.decode();
  const visible = document.createElement("canvas");
  [visible.width, visible.height] = [W, H];
  visible.getContext("2d").putImageData(image, 0, 0);
  const frame = new VideoFrame(canvas, { timestamp: 0 });
  const kinds = {
    ImageData: image,
    ImageBitmap: await createImageBitmap(canvas),
    OffscreenCanvas: canvas,
    HTMLCanvasElement: visible,
    HTMLImageElement: element,
    VideoFrame: frame,
    batch: [image, image],
  };
  const found = {};
  for (const [kind, picture] of Object.entries(kinds)) {
    const said = (await session.run({ [name]: picture }))[output].data;
    found[kind] = apart(wanted, said.slice(said.length - wanted.length), 1e-3);
  }
  frame.close();
  session.dispose();
  return found;
}

export { load };
