/** The device of a plan. */
import { fail } from "./errors.js";
import type { Plan, Requirements } from "./plan.js";

/** What WebGPU has everywhere. */
export const GUARANTEED = { binding: 128 * 2 ** 20, buffer: 256 * 2 ** 20, buffers: 8 };

const WORKGROUP = { storage: 16 << 10, invocations: 256 };

type Limits = [name: keyof GPUSupportedLimits & string, what: string, needs: number, guaranteed: number][];

/** Limits that plans ask for. */
export const limitsOf = (r: Requirements): Limits => [
  [
    "maxStorageBufferBindingSize",
    "bytes in one storage buffer binding",
    r.maxStorageBufferBindingSize,
    GUARANTEED.binding,
  ],
  ["maxBufferSize", "bytes in one buffer", r.maxBufferSize, GUARANTEED.buffer],
  [
    "maxStorageBuffersPerShaderStage",
    "storage buffers in one dispatch",
    r.maxStorageBuffersPerShaderStage,
    GUARANTEED.buffers,
  ],
  ["maxComputeWorkgroupStorageSize", "bytes of workgroup memory", r.maxComputeWorkgroupStorageSize, WORKGROUP.storage],
  [
    "maxComputeInvocationsPerWorkgroup",
    "invocations in one workgroup",
    r.maxComputeInvocationsPerWorkgroup,
    WORKGROUP.invocations,
  ],
];

/** Features that a plan needs. */
export const featuresOf = (r: Requirements): GPUFeatureName[] => [
  ...(r.shaderF16 ? (["shader-f16"] as const) : []),
  ...(r.subgroupSize ? (["subgroups"] as const) : []),
];

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
