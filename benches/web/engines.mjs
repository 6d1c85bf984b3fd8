// What each engine does for a page: `first` gives a function that answers; the page measures.
export const kiln = `
import { load } from "/dist/kiln.js";
export async function first(model, input, shape) {
  const session = await load(model);
  return async () => (await session.run({ input: { data: input, shape } })).output.data;
}`;

const ort = (entry, providers) => `
import * as ort from "onnxruntime-web/${entry}";
ort.env.wasm.wasmPaths = "/ort/";
ort.env.wasm.numThreads = navigator.hardwareConcurrency;
export async function first(model, input, shape) {
  const session = await ort.InferenceSession.create(model, { executionProviders: ["${providers}"] });
  return async () => (await session.run({ input: new ort.Tensor("float32", input, shape) })).output.getData();
}`;
export const ortWebgpu = ort("webgpu", "webgpu");
export const ortWasm = ort("wasm", "wasm");

export const jax = `
import { init, defaultDevice, jit, numpy as np } from "@jax-js/jax";
import { ONNXModel } from "@jax-js/onnx";
export async function first(model, input, shape) {
  await init("webgpu");
  defaultDevice("webgpu");
  const loaded = new ONNXModel(new Uint8Array(await (await fetch(model)).arrayBuffer()));
  const run = jit((input) => loaded.run({ input }).output);
  return async () => (await run(np.array(input, { shape })).data());
}`;

// A training step of simple_cnn with plain SGD on a batch of 64.
export const kilnStep = `
import { load } from "/dist/kiln.js";
export async function first(model, input, target) {
  const session = await load(model);
  return async () => {
    await session.step({ input, target, lr: 0.01 });
    return session.lossesSince();
  };
}`;

export const tfStep = `
import * as tf from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import "@tensorflow/tfjs-backend-webgpu";
export async function first(_, input, target) {
  await tf.setBackend("webgpu");
  await tf.ready();
  const model = layers.sequential();
  [[4, 1], [8], [16], [32], [2]].forEach(([filters, channels], i) => model.add(layers.layers.conv2d({
    filters, kernelSize: 3, strides: 2, padding: "same", ...(i < 4 && { activation: "relu" }), ...(channels && { inputShape: [28, 28, 1] }),
  })));
  model.add(layers.layers.flatten());
  const x = tf.tensor4d(input, [64, 28, 28, 1]);
  const y = tf.oneHot(tf.tensor1d(target, "int32"), 2);
  const optimizer = tf.train.sgd(0.01);
  const loss = () => tf.losses.softmaxCrossEntropy(y, model.apply(x, { training: true }));
  return async () => {
    const value = optimizer.minimize(loss, true);
    const data = await value.data();
    value.dispose();
    return data;
  };
}`;

export const jaxStep = `
import { init, defaultDevice, jit, lax, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
export async function first(_, input, target) {
  await init("webgpu");
  defaultDevice("webgpu");
  const sizes = [[1, 4], [4, 8], [8, 16], [16, 32], [32, 2]];
  const random = (count, scale) => Float32Array.from({ length: count }, () => (Math.random() * 2 - 1) * scale);
  let parameters = sizes.map(([from, to]) => ({
    w: np.array(random(from * to * 9, Math.sqrt(1 / (from * 9))), { shape: [to, from, 3, 3] }), b: np.zeros([1, to, 1, 1]),
  }));
  const x = np.array(input, { shape: [64, 1, 28, 28] });
  const y = nn.oneHot(np.array(target, { dtype: np.int32 }), 2);
  const loss = (parameters, x, y) => {
    let h = x;
    parameters.forEach(({ w, b }, i) => {
      h = lax.convGeneralDilated(h, w, [2, 2], [[1, 1], [1, 1]]).add(b);
      if (i < 4) h = nn.relu(h);
    });
    return nn.logSoftmax(h.reshape([64, 2])).mul(y).sum().mul(-1 / 64);
  };
  const step = jit((parameters, x, y) => {
    const [value, gradients] = valueAndGrad(loss)(tree.ref(parameters), x, y);
    return [value, tree.map((p, g) => p.sub(g.mul(0.01)), parameters, gradients)];
  });
  return async () => {
    const [value, next] = step(parameters, x.ref, y.ref);
    parameters = next;
    return value.data();
  };
}`;
