/** The device of a plan: what it has to have, and why it has not. */
import { GUARANTEED } from "./check.js";
import { fail } from "./errors.js";
import type { Plan, Requirements } from "./plan.js";

/** What WebGPU guarantees of workgroups. */
const WORKGROUP = { storage: 16 << 10, invocations: 256 };

type Limits = [name: keyof GPUSupportedLimits & string, what: string, needs: number, guaranteed: number][];

const limitsOf = (r: Requirements): Limits => [
  ["maxStorageBufferBindingSize", "bytes in one storage buffer binding", r.maxStorageBufferBindingSize, GUARANTEED.binding],
  ["maxBufferSize", "bytes in one buffer", r.maxBufferSize, GUARANTEED.buffer],
  ["maxStorageBuffersPerShaderStage", "storage buffers in one dispatch", r.maxStorageBuffersPerShaderStage, GUARANTEED.buffers],
  ["maxComputeWorkgroupStorageSize", "bytes of workgroup memory", r.maxComputeWorkgroupStorageSize, WORKGROUP.storage],
  [
    "maxComputeInvocationsPerWorkgroup",
    "invocations in one workgroup",
    r.maxComputeInvocationsPerWorkgroup,
    WORKGROUP.invocations,
  ],
];

const featuresOf = (r: Requirements): GPUFeatureName[] => [
  ...(r.shaderF16 ? (["shader-f16"] as const) : []),
  ...(r.subgroupSize ? (["subgroups"] as const) : []),
];

/** Complains if an adapter or a device cannot run a plan. */
export function checkDevice(plan: Plan, has: GPUAdapter | GPUDevice, info: GPUAdapterInfo | undefined): void {
  const { requirements: r, target } = plan;
  const cannot = (reason: string) =>
    fail(
      "device",
      `the plan \`${plan.name}\` was made for the target \`${target}\` and needs ${reason}; ` +
        "`kiln compile MODEL --target portable` makes one for any device",
    );
  if (r.shaderInt64 || r.shaderFloat64) cannot("64-bit numbers, which WebGPU does not have");
  for (const [name, what, needs] of limitsOf(r)) {
    const limit = has.limits[name] as number;
    if (needs > limit) cannot(`${needs} ${what}, this device has ${limit}`);
  }
  for (const feature of featuresOf(r)) {
    if (!has.features.has(feature)) cannot(`\`${feature}\`, which this device does not have`);
  }
  const { subgroupMinSize: min, subgroupMaxSize: max } = info ?? {};
  if (r.subgroupSize && min !== undefined && (min != r.subgroupSize || max != r.subgroupSize)) {
    cannot(`subgroups of ${r.subgroupSize}, those of this device have ${min == max ? min : `${min} to ${max}`}`);
  }
}

/** The browser's WebGPU. */
export function gpu(): GPU {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) {
    fail(
      "unsupported",
      globalThis.isSecureContext === false
        ? "WebGPU is there only in pages from https:// or from localhost"
        : "this browser has no WebGPU: Chrome and Edge 113, Safari 26 and Firefox 141 or newer have it",
    );
  }
  return gpu;
}

/** The adapter to ask for a device. */
export async function requestAdapter(): Promise<GPUAdapter> {
  const adapter = await gpu().requestAdapter({ powerPreference: "high-performance" });
  return adapter ?? fail("unsupported", "WebGPU finds no graphics adapter: hardware acceleration may be switched off");
}

/** A device with what the plan needs, and no more. */
export async function requestDevice(plan: Plan, adapter: GPUAdapter): Promise<GPUDevice> {
  checkDevice(plan, adapter, adapter.info);
  const requiredLimits: Record<string, number> = {};
  for (const [name, , needs, guaranteed] of limitsOf(plan.requirements)) {
    if (needs > guaranteed) requiredLimits[name] = needs;
  }
  const { maxComputeInvocationsPerWorkgroup: invocations } = plan.requirements;
  if (invocations > WORKGROUP.invocations) {
    requiredLimits.maxComputeWorkgroupSizeX = Math.min(invocations, adapter.limits.maxComputeWorkgroupSizeX);
  }
  return adapter.requestDevice({ label: plan.name, requiredFeatures: featuresOf(plan.requirements), requiredLimits });
}
