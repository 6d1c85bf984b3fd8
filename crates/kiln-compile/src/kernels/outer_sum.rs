//! Sums of outer products in parts: so that there is work for all of the device however small the weight is, the sum over
//! all positions is split, and the parts are then summed like any reduction, with the epilogue.

use kiln_graph::Dim;
use kiln_graph::ops::ReduceKind;
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::reduce::{ReductionPlan, lower_reduction};
use crate::error::CompileError;
use crate::memory::buffer::{BufferId, View};
use crate::memory::values::Values;
use crate::target::Target;
use crate::wgsl::params::Params;

/// Most iterations of a part: rounding errors of longer sums add up.
const LONGEST: i64 = 2048;

/// What the number of parts depends on.
pub(super) struct Partial {
    /// Tiles of the result.
    pub tiles: usize,
    /// Tiles in all that keep a device busy.
    pub wanted: usize,
    /// Bytes of one part.
    pub bytes: usize,
    /// What is split, at the maximum.
    pub units: i64,
    /// Loop iterations of a unit.
    pub per_unit: i64,
}

/// Into how many parts the units are split, such that there are about `wanted` tiles in all, if they do not take too much
/// memory, and no part takes too many iterations.
pub(super) fn parts(target: &Target, partial: &Partial) -> i64 {
    const MOST_BYTES: usize = 32 << 20;
    let units = partial.units.max(1);
    let whole = partial.units.saturating_mul(partial.per_unit);
    let needed = whole / (target.max_loop_iterations - 1) + 1;
    let accurate = usize::try_from(whole / LONGEST + 1).unwrap_or(1);
    let affordable = MOST_BYTES / partial.bytes.max(1);
    let useful = partial.wanted.div_ceil(partial.tiles.max(1)).max(accurate).min(affordable).max(1);
    i64::try_from(useful).unwrap_or(1).max(needed).min(units)
}

/// Distances of neighbouring taps, each axis, if the last one's are `step` apart.
pub(super) fn tap_strides(kernel: &[usize], step: usize) -> Vec<Dim> {
    (0..kernel.len()).map(|axis| (kernel[axis + 1..].iter().product::<usize>() * step).into()).collect()
}

/// A sum of outer products.
pub(super) struct OuterSum {
    /// What is split into parts: lines or positions.
    pub units: Dim,
    /// Multiplications and additions.
    pub flops: Dim,
    /// Where the elements of the result are in a part.
    pub strides: Vec<Dim>,
    /// Dimensions of the result as they are in a part, slowest first.
    pub order: Vec<usize>,
    /// Number of parts.
    pub parts: i64,
}

impl OuterSum {
    /// As many units as a part has, at least one.
    pub(super) fn units_of_a_part(&self, values: &Values<'_>) -> Dim {
        if values.maximum(&self.units) == self.parts { 1.into() } else { self.units.ceil_div(self.parts) }
    }

    /// Launches the kernel that computes the parts, of so many `elements` each, and their sum.
    pub(super) fn launch(
        self,
        builder: &mut KernelBuilder<'_, '_>,
        template: &'static str,
        kernel: String,
        read: [BufferId; 2],
        elements: usize,
        (params, values, workgroups): (Params, minijinja::Value, [Dim; 3]),
    ) -> Result<(), CompileError> {
        let buffer = builder.scratch("parts", Storage::F32, &(Dim::from(elements) * self.parts.into()));
        builder.launch(KernelLaunch {
            template,
            kernel,
            name: builder.group.name.clone(),
            values,
            bindings: vec![(read[0], Access::Read), (read[1], Access::Read), (buffer, Access::ReadWrite)],
            params,
            workgroups,
            writes: vec![],
            flops: self.flops,
        });
        let (strides, order) = (self.strides, self.order);
        let view = View { buffer, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
        let count = Dim::from(self.parts);
        let loops = vec![(count.clone(), Dim::from(elements))];
        let (kind, flops) = (ReduceKind::Sum, count.clone());
        lower_reduction(builder, ReductionPlan { view, order, loops, count, kind, flops })
    }
}
