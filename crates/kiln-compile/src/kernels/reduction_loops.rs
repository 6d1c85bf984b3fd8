//! The loops of a reduction: which elements are combined to each result, and how a kernel iterates over them.

use kiln_graph::ops::ReduceKind;
use kiln_graph::{DType, Dim};

use crate::element::{literal, register_type};
use crate::error::CompileError;
use crate::layout::{Layout, is_multiple, vectors as vectors_of};
use crate::memory::buffer::View;
use crate::memory::values::Values;
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;

/// Sums and products of floats are formed of blocks of so many elements, so that errors do not add up.
pub(super) const BLOCK: i64 = 32;

/// What combines more than this is shared by several invocations.
pub(super) const LONG: i64 = 1024;

/// What a reduction reads.
pub(super) struct ReductionPlan {
    /// The first element that belongs to each result; strides are by dimension of the result.
    pub view: View,
    /// The dimensions of the result, slowest first, as they are in memory.
    pub order: Vec<usize>,
    /// Size and stride of the loops over what is combined, slowest first.
    pub loops: Vec<(Dim, Dim)>,
    /// What a mean divides by.
    pub count: Dim,
    /// How elements are combined.
    pub kind: ReduceKind,
    /// Floating point operations.
    pub flops: Dim,
}

/// Loops, slowest first, where those that continue where the next one ends are merged with it.
pub(super) fn merged(all: impl Iterator<Item = (Dim, Dim)>) -> Vec<(Dim, Dim)> {
    let mut loops: Vec<(Dim, Dim)> = Vec::new();
    for (size, stride) in all {
        match loops.last_mut() {
            Some(outer) if outer.1 == &stride * &size => *outer = (&outer.0 * &size, stride),
            Some(_) | None => loops.push((size, stride)),
        }
    }
    loops
}

/// A plan as the loops of a kernel.
pub(super) struct ReductionLoops {
    /// The results, slowest dimension first.
    pub space: IterationSpace,
    /// How they lie in memory.
    pub layout: Layout,
    /// The first element of each result, in units of what is loaded at once.
    pub place: View,
    /// Size and stride of the loops, in these units.
    pub loops: Vec<(Dim, Dim)>,
    /// Whether four results lie side by side.
    pub vectors: bool,
    /// Whether the fastest loop reads four elements at a time.
    pub along: bool,
}

impl ReductionLoops {
    /// The loops for results of `shape`.
    pub(super) fn of(shape: &[Dim], plan: &ReductionPlan, dtype: DType) -> Result<Self, CompileError> {
        let ReductionPlan { view, order, loops, kind, .. } = plan;
        let mut order = order.clone();
        let mut loops = loops.clone();
        let strides = &view.strides;
        // Dimensions that were reduced are 1 and go first, so that the fastest one is a real one.
        order.sort_by_key(|axis| !shape[*axis].is(1));
        let inner = order.last().map(|axis| strides[*axis].clone());
        let aligned = is_multiple(&view.base, 4)
            && loops.iter().all(|(_, s)| is_multiple(s, 4))
            && order.iter().rev().skip(1).all(|axis| is_multiple(&strides[*axis], 4));
        let vectors = aligned && inner.as_ref().is_some_and(|s| s.is(1)) && dtype.is_float();
        let layout = Layout { order, lanes: if vectors { 4 } else { 1 } };
        let mut space = IterationSpace::new(shape, &layout);
        if !vectors {
            space.width = 1;
        }
        // Rows that lie together are summed four elements at a time, where the padding cannot be seen.
        let along = loops.last().is_some_and(|(size, stride)| {
            let whole =
                is_multiple(size, 4) || view.zero_lanes && matches!(kind, ReduceKind::Sum | ReduceKind::Mean);
            stride.is(1) && whole
        }) && !vectors
            && dtype.is_float()
            && is_multiple(&view.base, 4)
            && loops.iter().rev().skip(1).all(|(_, s)| is_multiple(s, 4))
            && strides.iter().all(|s| is_multiple(s, 4));
        if along && let Some((size, _)) = loops.last_mut() {
            *size = size.ceil_div(4);
        }
        let unit = if vectors || along { 4 } else { 1 };
        let count = loops.len();
        for (n, (_, stride)) in loops.iter_mut().enumerate().rev() {
            // The fastest loop along the row moves by one vector.
            let fastest = along && n + 1 == count;
            *stride = if fastest {
                1.into()
            } else if unit == 4 {
                vectors_of(stride)?
            } else {
                stride.clone()
            };
        }
        let place = View {
            strides: if along {
                strides.iter().map(vectors_of).collect::<Result<_, _>>()?
            } else {
                strides.clone()
            },
            base: if along { vectors_of(&view.base)? } else { view.base.clone() },
            ..view.clone()
        };
        Ok(Self { space, layout, place, loops, vectors, along })
    }

    /// Sizes and strides of the loops.
    pub(super) fn params(&self) -> Params {
        let mut params = Params::default();
        for (n, (size, stride)) in self.loops.iter().enumerate() {
            params.int(format!("r{n}"), size.clone());
            params.int(format!("r{n}_step"), stride.clone());
        }
        params
    }

    /// What the template reads.
    pub(super) fn template_values(
        &self,
        values: &Values<'_>,
        kind: ReduceKind,
        dtype: DType,
    ) -> minijinja::Value {
        let rounds = dtype.is_float() && !matches!(kind, ReduceKind::Max | ReduceKind::Min);
        let blocked = self.loops.iter().map(|(size, _)| rounds && values.maximum(size) > BLOCK);
        minijinja::context! {
            kind => kind.name(),
            loops => self.loops.len(),
            blocked => blocked.collect::<Vec<_>>(),
            block => BLOCK,
            splits => Vec::<usize>::new(),
            vectors => self.vectors,
            along => self.along,
            float => dtype.is_float(),
            least => extreme_integer(kind, dtype),
            // Sums may need more digits than what is summed.
            total_type => register_type(dtype, 1),
            total => "total",
        }
    }
}

/// Into how many parts the loops of a kernel are split, so that no invocation combines too much: each loop with its
/// number of parts. Nothing if they need not be.
pub(super) fn shares(values: &Values<'_>, loops: &[(Dim, Dim)]) -> Vec<(usize, i64)> {
    let sizes: Vec<i64> = loops.iter().map(|(size, _)| values.maximum(size)).collect();
    let all = sizes.iter().fold(1i64, |all, size| all.saturating_mul(*size));
    if all <= LONG {
        return vec![];
    }
    // As many parts as elements in a part.
    let mut needed = all.isqrt();
    let mut largest: Vec<usize> = (0..sizes.len()).collect();
    largest.sort_by_key(|n| std::cmp::Reverse(sizes[*n]));
    let mut shares = vec![];
    for n in largest {
        if needed > 1 && sizes[n] > 1 {
            // In fours, so that parts can be read so, even if the last ones are empty.
            let parts = (needed.min(sizes[n]) + 3) / 4 * 4;
            shares.push((n, parts));
            needed = needed / parts + i64::from(needed % parts > 0);
        }
    }
    shares.sort_unstable();
    shares
}

/// Of no integers, the largest is the least that the type has, and the smallest the greatest, as WGSL.
fn extreme_integer(kind: ReduceKind, dtype: DType) -> String {
    let (low, high) = dtype.integer_range().unwrap_or_default();
    let end = if kind == ReduceKind::Max { low } else { high };
    #[allow(clippy::as_conversions, reason = "what is rounded up is cut off at the end of the range again")]
    literal(dtype, end as f64, 1)
}
