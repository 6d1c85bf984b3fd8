/** Loading: the file is checked and its weights are uploaded as it arrives, while kernels are compiled. */
import { stepping } from "./binding.js";
import { requestAdapter, requestDevice } from "./device.js";
import { fail, KilnError } from "./errors.js";
import type { Source } from "./file.js";
import type { Plan } from "./plan.js";
import { Session } from "./session.js";

/** How a plan is loaded. */
export interface LoadOptions {
  /** A device to run on; else the session has one of its own. */
  device?: GPUDevice;
  /** Told how many bytes have come, of how many. */
  onProgress?: (progress: { loaded: number; total: number }) => void;
  /** Whether the file is kept, so that it is fetched once only (with the Cache API). A changed file needs another address. */
  cache?: boolean;
  /** The file's hash (`sha256-...`), which the browser compares; nothing is uploaded before all has come then. */
  integrity?: string;
  /** Ends loading when it is aborted. */
  signal?: AbortSignal;
}

/** A kernel, ready to be dispatched. */
export interface Kernel {
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
  /** Whether its parameters are bound with an offset, the step's. */
  stepping: boolean;
}

/** A plan with everything of it on a device. */
export interface Loaded {
  plan: Plan;
  device: GPUDevice;
  /** Whether the device is the session's own. */
  owned: boolean;
  buffers: GPUBuffer[];
  kernels: Kernel[];
  reader: typeof import("./reader.js");
  /** There if the plan trains. */
  training?: typeof import("./training.js");
  /** There if the plan says how pictures become numbers. */
  pictures?: typeof import("./pictures.js");
  /** The same once more, on another device. */
  again: (device?: GPUDevice) => Promise<Loaded>;
}

/** Where a plan is. */
export type PlanSource = string | URL | Uint8Array | ArrayBuffer | Blob;

const CACHE = "kiln-plans";

/**
 * Loads a plan: from an address, or bytes that are there. Of several, the first one that the device can run; of the others no
 * more than the beginning is fetched.
 */
export async function load(from: PlanSource | readonly PlanSource[], options: LoadOptions = {}): Promise<Session> {
  const sources = Array.isArray(from) ? (from as PlanSource[]) : [from as PlanSource];
  for (const [n, source] of sources.entries()) {
    try {
      return new Session(await loaded(source, options));
    } catch (error) {
      if ((error as KilnError).code != "device" || n + 1 == sources.length) throw error;
    }
  }
  return fail("input", "there is no plan to load");
}

async function loaded(from: PlanSource, options: LoadOptions): Promise<Loaded> {
  if (typeof from != "string" && !(from instanceof URL)) {
    const bytes = new Uint8Array(from instanceof Blob ? await from.arrayBuffer() : (from as ArrayBuffer));
    return place(sourceOf(bytes), from, options);
  }
  const found = options.cache === false ? undefined : await cached(from).catch(() => undefined);
  if (found) {
    try {
      return await place(sourceOfResponse(found.response), from, options);
    } catch (error) {
      if (!(error instanceof KilnError) || error.code != "damaged") throw error;
      // What was kept is damaged, or of another version: it is fetched again.
      await found.cache.delete(from);
    }
  }
  const { signal, integrity } = options;
  const response = await fetch(from, { signal, integrity }).catch((error) => {
    if (signal?.aborted) throw signal.reason;
    const why = integrity ? ", or is not the one that was meant" : "";
    return fail("network", `the plan ${from} cannot be fetched${why}`, error);
  });
  if (!response.ok || !response.body) fail("network", `the plan ${from} cannot be fetched: status ${response.status}`);
  const source = sourceOfResponse(response);
  const kept = options.cache === false ? undefined : keep(from);
  const both = async () => {
    const piece = await source();
    if (piece) kept?.(piece);
    return piece;
  };
  try {
    const result = await place(Object.assign(both, { cancel: source.cancel }), from, options);
    kept?.(undefined);
    return result;
  } catch (error) {
    kept?.(error as Error);
    throw error;
  }
}

/**
 * Keeps what comes piece by piece. Only a file that ended (`undefined`) is there afterwards, one that has failed is not; where
 * there is no room, or no cache, nothing happens.
 */
function keep(url: string | URL): (piece: Uint8Array | Error | undefined) => void {
  let to: ReadableStreamDefaultController | undefined;
  const body = new ReadableStream({ start: (controller) => void (to = controller) });
  const put = async () => (await caches.open(CACHE)).put(url, new Response(body));
  put().catch(() => (to = undefined));
  return (piece) => {
    try {
      if (piece instanceof Error) to?.error(piece);
      else if (piece) to?.enqueue(piece);
      else to?.close();
    } catch {
      // The cache has given up in between.
    }
  };
}

/** A source of bytes that are there. */
function sourceOf(bytes: Uint8Array): Source {
  let rest: Uint8Array | undefined = bytes;
  return async () => {
    const piece = rest;
    rest = undefined;
    return piece;
  };
}

async function cached(url: string | URL): Promise<{ cache: Cache; response: Response } | undefined> {
  const cache = await caches.open(CACHE);
  const response = await cache.match(url);
  return response && { cache, response };
}

function sourceOfResponse(response: Response): Source & { cancel?: () => void } {
  const reader = response.body!.getReader();
  const source = async () => {
    const { done, value } = await reader.read();
    return done ? undefined : value;
  };
  return Object.assign(source, { cancel: () => void reader.cancel().catch(() => {}) });
}

/** Puts a plan on a device. */
async function place(
  source: Source & { cancel?: () => void },
  from: PlanSource,
  options: LoadOptions,
): Promise<Loaded> {
  const { signal, onProgress } = options;
  const buffers: GPUBuffer[] = [];
  let device: GPUDevice | undefined;
  try {
    signal?.throwIfAborted();
    const reading = import("./reader.js");
    // The adapter is looked for while the header comes.
    const looked = options.device ? undefined : requestAdapter();
    looked?.catch(() => {});
    const reader = await reading;
    const file = await reader.open(
      async () => {
        signal?.throwIfAborted();
        return source();
      },
      onProgress && ((loaded, total) => onProgress({ loaded, total })),
    );
    const { plan } = file;
    const adapter = await looked;
    reader.checkDevice(plan, options.device ?? adapter!, options.device?.adapterInfo ?? adapter?.info);
    // What only some plans need comes while their weights do.
    const trains = plan.programs.some(({ name }) => name == "train" || name == "evaluate");
    const parts = Promise.all([
      trains ? import("./training.js") : undefined,
      plan.metadata?.preprocessing?.pictures ? import("./pictures.js") : undefined,
    ]);
    parts.catch(() => {});
    device = options.device ?? (await requestDevice(plan, adapter!));
    signal?.throwIfAborted();
    for (const filter of ["validation", "out-of-memory"] as const) device.pushErrorScope(filter);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    for (const { name, size } of plan.buffers) buffers.push(device.createBuffer({ label: name, size, usage }));
    const scopes = [device.popErrorScope(), device.popErrorScope()];
    const compiling = compile(device, plan);
    compiling.catch(() => {});
    for (const error of await Promise.all(scopes)) {
      if (error) fail("device", `the plan's memory cannot be had: ${error.message || "there is too little"}`, error);
    }
    const { queue } = device;
    await file.segments(({ buffer, offset }, bytes) =>
      queue.writeBuffer(buffers[buffer]!, offset, bytes as Uint8Array<ArrayBuffer>),
    );
    const kernels = await compiling;
    const [training, pictures] = await parts;
    signal?.throwIfAborted();
    const again = (other?: GPUDevice) => loaded(from, { ...options, device: other, signal: undefined });
    return { plan, device, owned: !options.device, buffers, kernels, reader, training, pictures, again };
  } catch (error) {
    source.cancel?.();
    for (const buffer of buffers) buffer.destroy();
    if (device && !options.device) device.destroy();
    throw signal?.aborted ? signal.reason : error;
  }
}

/** Compiles all kernels, without waiting for one before the next. */
function compile(device: GPUDevice, plan: Plan): Promise<Kernel[]> {
  const steps = stepping(plan);
  const kernels = plan.shaders.map(async ({ name, wgsl, access, paramsSize }, index): Promise<Kernel> => {
    const stepping = steps.has(index);
    // Browsers want to be told; the kernels do not say so themselves, since naga does not know the line.
    const code = /\bsubgroup/.test(wgsl) ? `enable subgroups;\n${wgsl}` : wgsl;
    const entries: GPUBindGroupLayoutEntry[] = access.map((access, i) => ({
      binding: i + 1,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: access == 1 ? "read-only-storage" : "storage" },
    }));
    const uniform = { type: "uniform", hasDynamicOffset: stepping } as const;
    if (paramsSize) entries.push({ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: uniform });
    const layout = device.createBindGroupLayout({ label: name, entries });
    const module = device.createShaderModule({ label: name, code });
    try {
      const pipeline = await device.createComputePipelineAsync({
        label: name,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: "main" },
      });
      return { pipeline, layout, stepping };
    } catch (error) {
      const { messages } = await module.getCompilationInfo();
      const [said] = messages.filter(({ type }) => type == "error");
      return fail(
        "device",
        `the kernel \`${name}\` cannot be compiled: ${said ? `line ${said.lineNum}: ${said.message}` : (error as Error).message}`,
        error,
      );
    }
  });
  return Promise.all(kernels);
}
