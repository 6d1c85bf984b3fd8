//! Long lines that a workgroup combines: what invocations have found is combined by a tree in workgroup memory, in a fixed
//! order.
//!
//! For GPUs, where a line an invocation leaves most lanes without work, and each waits for one load after the other. On
//! CPUs workgroup memory is memory like any other, and barriers split loops.

use super::family::Estimate;
use crate::target::{DeviceClass, Target};

/// Invocations of workgroups that are worth trying for lines of `length` elements; each has four loads on their way.
pub(super) fn lanes(target: &Target, length: i64) -> Vec<i64> {
    let sizes: &[i64] = match target.class {
        DeviceClass::Cpu => &[],
        DeviceClass::Gpu => &[64, 128, 256],
    };
    sizes.iter().copied().filter(|lanes| 4 * lanes <= length).collect()
}

/// The steps of a tree that ends with `side` results: how many invocations combine what two have found.
pub(super) fn halves(lanes: i64, side: i64) -> Vec<i64> {
    let steps = std::iter::successors(Some(lanes / 2), |half| Some(half / 2));
    steps.take_while(|half| *half >= side.max(1)).collect()
}

/// Bytes of workgroup memory, for vectors of numbers of up to 64 bits and what tells NaN beside them.
pub(super) fn workgroup_memory(lanes: i64) -> u32 {
    u32::try_from(lanes.saturating_mul(48)).unwrap_or(u32::MAX)
}

/// Work of a step of a tree: workgroup memory is read and written, and all wait for all.
const WORK_OF_A_STEP: f64 = 8.0;

/// Work of a tree.
pub(super) fn work(lanes: i64, side: i64) -> f64 {
    halves(lanes, side).iter().map(|_| WORK_OF_A_STEP).sum()
}

impl Estimate {
    /// With so many loads that an invocation of a GPU waits for, one after the other.
    pub(crate) fn waiting(self, loads: f64) -> Self {
        Self { parts: self.parts + loads, ..self }
    }
}
