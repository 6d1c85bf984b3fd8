//! From an estimate to a time, for a ranking of candidates: launches, and what takes longest of computing and of what comes
//! through the caches. The numbers are round ones: they are compared with one another and shown to people, never with a
//! clock.

use crate::kernels::family::Estimate;
use crate::target::{DeviceClass, Target};

/// A load that is waited for, of which four are on their way at a time, in nanoseconds, on a GPU.
const LATENCY: f64 = 100.0;
/// What the caches of a GPU give, beside its memory.
const CACHES: f64 = 4.0;

/// Nanoseconds that a candidate is estimated to take. A GPU that is not full takes as long as one that is.
pub(crate) fn time(estimate: &Estimate, target: &Target) -> f64 {
    let waves = estimate.invocations / f64::from(target.cores.max(1) * target.lanes.max(1));
    // A multiply-add of a vector of four, of one invocation.
    let work = 4000.0 / f64::from(target.clock.max(1));
    // A GB/s is a byte in a nanosecond.
    let bandwidth = f64::from(target.bandwidth.max(1));
    let rest = f64::from(estimate.launches) * f64::from(target.launch) + estimate.bytes / bandwidth;
    match target.class {
        DeviceClass::Cpu => rest + waves * estimate.work * work,
        DeviceClass::Gpu => {
            let computing = waves.max(1.0) * estimate.work * work;
            rest + computing.max(estimate.traffic / (CACHES * bandwidth)) + estimate.parts * LATENCY
        }
    }
}
