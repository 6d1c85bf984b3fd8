/** Whether a device has what a plan needs, and what it lacks. */
import { featuresOf, limitsOf } from "./device.js";
import { fail } from "./errors.js";
import type { Plan } from "./plan.js";

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
