//! Prefix sums of counts, which several families need: they turn how many into where.

use kiln_graph::Dim;
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::problem::ceil_div;
use crate::memory::buffer::BufferId;
use crate::wgsl::params::Params;
use crate::wgsl::template::{Template, templates};

/// The template, which a family that calls [`prefix_sums`] has among its own.
pub(super) const TEMPLATE: Template = templates!["prefix_sums"][0];

/// Counts that an invocation adds up; more come in chunks.
const CHUNK: i64 = 128;

/// Loop iterations of an invocation.
pub(super) const ITERATIONS: i64 = CHUNK;

/// How many launches there are for lines of up to `length` counts.
pub(super) fn launches(length: i64) -> u32 {
    if length <= CHUNK { 1 } else { 2 + launches(ceil_div(length, CHUNK)) }
}

/// Replaces each count (`u32`) in lines of `size` by the sum of those before it in its line.
pub(super) fn prefix_sums(builder: &mut KernelBuilder<'_, '_>, counts: BufferId, lines: &Dim, size: &Dim) {
    if builder.values.maximum(size) <= CHUNK {
        return launch(builder, [lines, size, &1.into()], Kernel::Whole, vec![(counts, Access::ReadWrite)]);
    }
    let chunks = size.ceil_div(CHUNK);
    let sums = builder.scratch("sums", Storage::U32, &(lines * &chunks));
    let bindings = vec![(counts, Access::Read), (sums, Access::ReadWrite)];
    launch(builder, [lines, size, &chunks], Kernel::Totals, bindings);
    prefix_sums(builder, sums, lines, &chunks);
    let bindings = vec![(counts, Access::ReadWrite), (sums, Access::Read)];
    launch(builder, [lines, size, &chunks], Kernel::Carried, bindings);
}

/// What a kernel does with its chunk.
#[derive(Clone, Copy, PartialEq)]
enum Kernel {
    /// Prefix sums of a line, which is one chunk.
    Whole,
    /// The sum of it.
    Totals,
    /// Prefix sums from the sum of all chunks before it on.
    Carried,
}

fn launch(
    builder: &mut KernelBuilder<'_, '_>,
    [lines, size, chunks]: [&Dim; 3],
    kernel: Kernel,
    bindings: Vec<(BufferId, Access)>,
) {
    let count = lines * chunks;
    let mut params = Params::default();
    params.uint("count", count.clone());
    params.uint("size", size.clone());
    params.uint("chunks", chunks.clone());
    params.uint("chunk", CHUNK);
    builder.launch(KernelLaunch {
        template: TEMPLATE.0,
        kernel: if kernel == Kernel::Totals { "chunk_sums" } else { "prefix_sums" }.into(),
        name: builder.group.name.clone(),
        values: minijinja::context! {
            totals => kernel == Kernel::Totals,
            carried => kernel == Kernel::Carried,
        },
        bindings,
        params,
        workgroups: builder.grid(&count),
        writes: vec![],
        flops: 0.into(),
    });
}
