/** The compiler in a page: an ONNX file or PyTorch source in, a plan for this device out. It is 2 MB that load when needed. */
import { compileIn, type Job, type Report } from "./compiler-core.js";
import { requestAdapter } from "./device.js";
import { fail } from "./errors.js";

export type { Report } from "./compiler-core.js";

/** How a plan trains; names and defaults are those of `kiln train`. */
export interface TrainOptions {
  optimizer?: "sgd" | "adam" | "adamw" | "rmsprop" | "adagrad";
  /** Whether SGD and RMSprop have momentum; how much is an input of each step. */
  momentum?: boolean;
  weightDecay?: number;
  /** Cross-entropy if absent, or `nll` for a model that gives log-probabilities. */
  loss?: "cross-entropy" | "nll" | "mse" | "l1" | "smooth-l1" | "bce";
  labelSmoothing?: number;
  /** The output that is compared; the first if absent. */
  output?: string;
  /** Patterns of names of parameters that stay as they are: `features.*`. */
  freeze?: string[];
  /** Parameters that are trained although the source freezes them. */
  unfreeze?: string[];
  clipNorm?: number;
  /** The decay of a moving average of the parameters, which is evaluated and saved instead of them. */
  ema?: number;
}

/** How a model is compiled. */
export interface CompileOptions {
  /** What the file is called, where it is no `File`: `net.py` or `net.py:Net` is PyTorch source, all else ONNX. */
  name?: string;
  /** The class, function or variable that is the model, where source has several. */
  model?: string;
  /** A state dict: `.pt`, `.pth` or `.safetensors`. */
  weights?: Blob | ArrayBuffer | Uint8Array;
  /** Load weights that fit although others do not. */
  partialWeights?: boolean;
  /** Arguments of the constructor: `n_blocks=100`. */
  args?: string[];
  /** The shape of one sample of each input of source, `3,32,32`; what a comment in it says, if absent. */
  inputs?: string[];
  /** What symbolic dimensions are: `{ H: 224 }`. */
  dims?: Record<string, number | string>;
  /** Values of inputs of an ONNX file that sizes depend on. */
  values?: Record<string, number[]>;
  /** Pass over unknown imports, and over shapes that contradict each other. */
  lenient?: boolean;
  /** Where initial values and the random numbers of a training begin. */
  seed?: number;
  /** The largest batch; 8 if absent. */
  batch?: number;
  /** The largest value of each symbolic dimension. */
  max?: Record<string, number>;
  /** What the plan is for: this browser's adapter if absent, another adapter or device, or a name (`portable`). */
  target?: string | GPUAdapter | GPUDevice;
  /** What weights and activations are kept in. */
  precision?: "f32" | "f16";
  /** Add up only the products that an operator is defined by. */
  precise?: boolean;
  /** A plan that trains, with the programs `train`, `evaluate` and `inference`. */
  train?: TrainOptions;
  /** Metadata by name, as `docs/metadata.md` lists it. */
  metadata?: Record<string, string>;
  /** Ends the compilation when it is aborted. */
  signal?: AbortSignal;
  /** The compiler's WebAssembly; `compiler.wasm` beside this file if absent. */
  wasm?: string | URL | BufferSource | WebAssembly.Module;
}

/** A plan, for `load`. */
export interface Compiled extends Report {
  plan: Uint8Array;
}

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** The compiler's module. One that was fetched is kept for the next time. */
async function moduleOf(wasm: CompileOptions["wasm"]): Promise<WebAssembly.Module> {
  if (wasm instanceof WebAssembly.Module) return wasm;
  if (wasm instanceof ArrayBuffer || ArrayBuffer.isView(wasm)) return WebAssembly.compile(wasm);
  const url = String(wasm ?? new URL("./compiler.wasm", import.meta.url));
  const found = modules.get(url) ?? fetched(url);
  modules.set(url, found);
  found.catch(() => modules.delete(url));
  return found;
}

async function fetched(url: string): Promise<WebAssembly.Module> {
  const response = await fetch(url).catch((error) => fail("network", `the compiler ${url} cannot be fetched`, error));
  if (!response.ok) fail("network", `the compiler ${url} cannot be fetched: status ${response.status}`);
  // Servers need not know what kind of file it is, which streaming insists on.
  return /wasm/.test(response.headers.get("content-type") ?? "")
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}

/** What the compiler should know of an adapter or a device; by its text, what is compiled for it can be kept. */
export function describeAdapter(adapter: GPUAdapter | GPUDevice): Record<string, unknown> {
  const info = "adapterInfo" in adapter ? adapter.adapterInfo : adapter.info;
  const limits: Record<string, number> = {};
  for (const name of [
    "maxStorageBufferBindingSize",
    "maxBufferSize",
    "maxStorageBuffersPerShaderStage",
    "maxComputeWorkgroupStorageSize",
    "maxComputeInvocationsPerWorkgroup",
  ] as const) {
    limits[name] = adapter.limits[name];
  }
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    description: info.description,
    isFallback: !!info.isFallbackAdapter,
    subgroupMinSize: info.subgroupMinSize,
    subgroupMaxSize: info.subgroupMaxSize,
    features: [...adapter.features].sort(),
    limits,
  };
}

async function bytesOf(given: Blob | ArrayBuffer | Uint8Array): Promise<Uint8Array> {
  return given instanceof Uint8Array
    ? given
    : new Uint8Array(given instanceof Blob ? await given.arrayBuffer() : given);
}

const nameOf = (given: unknown) => (globalThis.File && given instanceof File ? given.name : "");

/** Compiles the model in a file. The page stays responsive meanwhile, where there are workers. */
export async function compile(model: Blob | ArrayBuffer | Uint8Array, options: CompileOptions = {}): Promise<Compiled> {
  const { name, model: chosen, weights, dims, target, signal, wasm, ...others } = options;
  signal?.throwIfAborted();
  const adapter = target ?? (await requestAdapter());
  const called = name ?? nameOf(model);
  const request = {
    ...others,
    name: chosen ? `${called.replace(/\.py:.*$/, ".py")}:${chosen}` : called,
    weightsName: nameOf(weights),
    dims: dims && Object.fromEntries(Object.entries(dims).map(([name, size]) => [name, String(size)])),
    target: typeof adapter == "string" ? adapter : describeAdapter(adapter),
  };
  const job = {
    module: await moduleOf(wasm),
    model: await bytesOf(model),
    weights: weights ? await bytesOf(weights) : new Uint8Array(),
    request,
  };
  signal?.throwIfAborted();
  const { plan, report } = await (globalThis.Worker ? inWorker(job, signal) : compileIn(job));
  return { plan, ...report };
}

type Answer = Awaited<ReturnType<typeof compileIn>> | { error: string };

/** A worker for each job: whatever it has come to, nothing of it is left. */
async function inWorker(job: Job, signal?: AbortSignal) {
  const worker = new Worker(new URL("./compiler-worker.js", import.meta.url), { type: "module" });
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) =>
        reject(new Error(`the compiler's worker has ended: ${message || "its file cannot be loaded"}`));
      worker.postMessage(job);
    });
    return "error" in answer ? fail("compile", answer.error) : answer;
  } finally {
    worker.terminate();
  }
}
