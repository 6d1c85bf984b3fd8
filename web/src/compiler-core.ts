/** The compiler's WebAssembly: one instance for each compilation, whatever comes of it. */
import { fail } from "./errors.js";

/** What is said of a plan beside it. */
export interface Report {
  /** The target that it is for. */
  target: string;
  /** Dispatches of all programs. */
  dispatches: number;
  kernels: number;
  weightBytes: number;
  activationBytes: number;
  /** The largest value of each symbolic dimension. */
  symbols: Record<string, number>;
  /** Whether the weights are random numbers: source has none, and no file was given. */
  untrained: boolean;
  /** Warnings, and what was done to make weights fit. */
  notes: string[];
}

/** What an instance is asked for. */
export interface Job {
  module: WebAssembly.Module;
  model: Uint8Array;
  weights: Uint8Array;
  /** The options, as `crates/kiln-wasm/src/request.rs` has them. */
  request: Record<string, unknown>;
}

interface Exports {
  memory: WebAssembly.Memory;
  kiln_allocate(size: number): number;
  kiln_compile(model: number, n: number, weights: number, n2: number, request: number, n3: number): number;
  kiln_plan(): number;
  kiln_plan_size(): number;
  kiln_report(): number;
  kiln_report_size(): number;
}

/** Compiles. What ends the instance, from a defect to too little memory, is an error like any other. */
export async function compileIn({
  module,
  model,
  weights,
  request,
}: Job): Promise<{ plan: Uint8Array; report: Report }> {
  // A dependency asks a browser for random numbers, which the compiler never needs.
  const imports: WebAssembly.Imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    (imports[from] ??= {})[name] = () => fail("compile", `the compiler has no \`${name}\` here`);
  }
  const instance = await WebAssembly.instantiate(module, imports);
  const wasm = instance.exports as unknown as Exports;
  // Memory moves when it grows, so it is looked at anew each time.
  const bytes = (at: number, size: number) => new Uint8Array(wasm.memory.buffer, at >>> 0, size >>> 0);
  const report = () => new TextDecoder().decode(bytes(wasm.kiln_report(), wasm.kiln_report_size()));
  const put = (given: Uint8Array): [at: number, size: number] => {
    if (!given.length) return [0, 0];
    const at = wasm.kiln_allocate(given.length);
    if (!at) fail("compile", `there is no memory for ${given.length} bytes in the compiler, which has 4 GiB`);
    bytes(at, given.length).set(given);
    return [at, given.length];
  };
  let made: number;
  try {
    made = wasm.kiln_compile(...put(model), ...put(weights), ...put(new TextEncoder().encode(JSON.stringify(request))));
  } catch (error) {
    return fail("compile", ended(error, report), error);
  }
  if (!made) return fail("compile", report());
  return { plan: bytes(wasm.kiln_plan(), wasm.kiln_plan_size()).slice(), report: JSON.parse(report()) };
}

/** Why an instance has ended. */
function ended(error: unknown, report: () => string): string {
  if (error instanceof RangeError) return "the file is nested too deeply for the stack that a browser has";
  if (!(error instanceof WebAssembly.RuntimeError)) return (error as Error).message;
  let said = "";
  try {
    said = report();
  } catch {
    // Not even that is left.
  }
  return said || `the compiler has run out of memory or stack (${error.message})`;
}
