// What the tests do in a page.
import { load } from "/dist/kiln.js";

const ARRAYS = {
  f32: Float32Array, f16: Float32Array, f64: Float64Array, i32: Int32Array, i64: BigInt64Array, u8: Uint8Array, bool: Uint8Array,
  i8: Int8Array, u16: Uint16Array, i16: Int16Array, u32: Uint32Array,
};

let adapter;
let device;

/** One device for many plans: opening one takes longer than a small network. */
async function shared() {
  if (!device) {
    adapter = await navigator.gpu.requestAdapter();
    const requiredLimits = {};
    for (const name of ["maxStorageBuffersPerShaderStage", "maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupStorageSize", "maxComputeInvocationsPerWorkgroup", "maxComputeWorkgroupSizeX"]) {
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
        found.gradient = Math.max(found.gradient, apartFrom(summary, outputs[`${parameter}.grad`].data, 1e-3 * largest));
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

export { load };
