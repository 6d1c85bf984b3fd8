//! From an estimate to a time, for a ranking of candidates. The numbers are round ones: they are compared with one
//! another and shown to people, never with a clock.

use crate::kernels::family::Estimate;
use crate::target::{CORE_LANES, DeviceClass, Target};

/// What a device takes, in nanoseconds.
struct Rates {
    /// A launch.
    launch: f64,
    /// Invocations that run at once.
    lanes: f64,
    /// A multiply-add of a vector of four, of one invocation.
    work: f64,
    /// A byte written and read again.
    byte: f64,
    /// A load that is waited for, of which four are on their way at a time.
    part: f64,
}

/// Lanes of a vector register of a CPU.
const CPU_LANES: f64 = 8.0;

fn rates(target: &Target) -> Rates {
    match target.class {
        DeviceClass::Cpu => Rates { launch: 30_000.0, lanes: CPU_LANES, work: 1.0, byte: 0.05, part: 0.0 },
        DeviceClass::Gpu => Rates {
            launch: 5_000.0,
            lanes: f64::from(target.cores * CORE_LANES),
            work: 3.0,
            byte: 0.002,
            part: 100.0,
        },
    }
}

/// Nanoseconds that a candidate is estimated to take. A GPU that is not full takes as long as one that is.
pub(crate) fn time(estimate: &Estimate, target: &Target) -> f64 {
    let rates = rates(target);
    let waves = estimate.invocations / rates.lanes;
    let waves = match target.class {
        DeviceClass::Cpu => waves,
        DeviceClass::Gpu => waves.max(1.0),
    };
    f64::from(estimate.launches) * rates.launch
        + waves * estimate.work * rates.work
        + estimate.bytes * rates.byte
        + estimate.parts * rates.part
}
