//! Reductions.
//!
//! Sums are formed as trees: in a kernel of blocks, and where much is combined by several kernels, one after the other,
//! each of which leaves less. So there is no limit to what can be combined, there is work for all of the device, and
//! rounding errors stay small. The order is always the same.

use kiln_graph::ops::{Reduce, ReduceKind};
use kiln_graph::{DType, Dim, NodeId, ValueId, product};
use kiln_plan::{Access, Layout};

use super::anchor::{Tail, launch};
use super::arithmetic::wrapped;
use super::context::{Contents, Context, View, computed_type};
use super::elementwise::expression;
use super::expression::{Element, Ends};
use super::kernel::{Params, Request};
use super::operand::{Space, literal, register_type};
use crate::error::CompileError;
use crate::fuse::{Group, sums_columns};
use crate::layout::{self, is_multiple};

/// Sums and products of floats are formed of blocks of so many elements, so that errors do not add up.
pub const BLOCK: i64 = 32;

/// What combines more than this is shared by several invocations.
pub const LONG: i64 = 1024;

/// The axes that are walked: size and stride, slowest first, neighbours merged.
fn walk(view: &View, shape: &[Dim], axes: &[usize], order: &[usize]) -> Vec<(Dim, Dim)> {
    let walked = order.iter().filter(|axis| axes.contains(axis) && !shape[**axis].is(1));
    merged(walked.map(|axis| (shape[*axis].clone(), view.strides[*axis].clone())))
}

/// Loops, slowest first, with those that walk on where the next one ends as one.
fn merged(all: impl Iterator<Item = (Dim, Dim)>) -> Vec<(Dim, Dim)> {
    let mut loops: Vec<(Dim, Dim)> = Vec::new();
    for (size, stride) in all {
        match loops.last_mut() {
            Some(outer) if outer.1 == &stride * &size => *outer = (&outer.0 * &size, stride),
            Some(_) | None => loops.push((size, stride)),
        }
    }
    loops
}

/// The order of dimensions in memory of the value behind a view, by falling strides.
fn memory_order(ctx: &Context<'_>, view: &View) -> Vec<usize> {
    let mut order: Vec<usize> = (0..view.strides.len()).collect();
    order.sort_by_key(|axis| std::cmp::Reverse(ctx.largest(&view.strides[*axis])));
    order
}

/// Lowers a reduction with its epilogue.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Reduce) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, anchor) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let ty = graph.ty(x).clone();
    if sums_columns(graph, node, op) {
        return super::reduce_columns::lower(ctx, group, node, op);
    }
    let view = ctx.view(x)?;
    let order = memory_order(ctx, &view);
    let count = product(op.axes.iter().map(|axis| &ty.shape[*axis]));
    let loops = walk(&view, &ty.shape, &op.axes, &order);
    let kept = |axis: &usize| op.keep_dims || !op.axes.contains(axis);
    let output_axis =
        |axis: usize| if op.keep_dims { axis } else { axis - op.axes.iter().filter(|a| **a < axis).count() };
    let order = order.iter().copied().filter(kept).map(output_axis).collect();
    let strides: Vec<Dim> = (0..ty.rank())
        .filter(kept)
        .map(|a| if op.axes.contains(&a) { 0.into() } else { view.strides[a].clone() })
        .collect();
    let view = View { strides, ..view };
    let flops = product(&ty.shape);
    combine(ctx, group, anchor, Walk { view, order, loops, count, kind: op.kind, flops })
}

/// What a reduction reads.
pub struct Walk {
    /// The first element that belongs to each result; strides are by dimension of the result.
    pub view: View,
    /// The dimensions of the result, slowest first, as they lie in memory.
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

/// A walk as a kernel makes it.
struct Arranged {
    /// The results, slowest dimension first.
    space: Space,
    /// How they lie in memory.
    layout: Layout,
    /// The first element of each result, in units of what is loaded at once.
    place: View,
    /// Size and stride of the loops, in these units.
    loops: Vec<(Dim, Dim)>,
    /// Whether four results lie side by side.
    vectors: bool,
    /// Whether the fastest loop reads four elements at a time.
    along: bool,
}

impl Arranged {
    /// The walk for results of `shape`.
    fn of(shape: &[Dim], walk: &Walk, dtype: DType) -> Self {
        let Walk { view, order, loops, kind, .. } = walk;
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
        let mut space = Space::new(shape, &layout);
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
        for (_, stride) in &mut loops {
            *stride = stride.exact_div(&unit.into()).unwrap_or_else(|| 1.into());
        }
        let place = View {
            strides: if along { divided(strides) } else { strides.clone() },
            base: if along { view.base.exact_div(&4.into()).unwrap_or_default() } else { view.base.clone() },
            ..view.clone()
        };
        Self { space, layout, place, loops, vectors, along }
    }

    fn params(&self) -> Params {
        let mut params = Params::default();
        for (n, (size, stride)) in self.loops.iter().enumerate() {
            params.int(format!("r{n}"), size.clone());
            params.int(format!("r{n}_step"), stride.clone());
        }
        params
    }

    /// Values for the template's holes.
    fn holes(&self, ctx: &Context<'_>, kind: ReduceKind, dtype: DType) -> minijinja::Value {
        let rounds = dtype.is_float() && !matches!(kind, ReduceKind::Max | ReduceKind::Min);
        let blocked = self.loops.iter().map(|(size, _)| rounds && ctx.largest(size) > BLOCK);
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

/// Lowers a reduction that walks as `walk` says, with its epilogue.
pub fn combine(
    ctx: &mut Context<'_>,
    group: &Group,
    anchor: ValueId,
    mut walk: Walk,
) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let dtype = graph.ty(anchor).dtype;
    ctx.element(anchor)?;
    walk.kind = value_of(walk.kind);
    let value = group.outputs.first().copied().unwrap_or(anchor);
    let shape = graph.ty(value).shape.clone();
    let (arranged, count) = loop {
        let arranged = Arranged::of(&shape, &walk, dtype);
        let shares = shares(ctx, &arranged.loops);
        if shares.is_empty() {
            break (arranged, walk.count);
        }
        walk = in_parts(ctx, group, dtype, walk, &arranged, &shares)?;
    };
    let Arranged { space, layout, place, .. } = &arranged;
    let destination = ctx.destination(group, value, layout)?;
    let ends = Ends { source: Some(place), destination: destination.view(), ..Ends::default() };
    let storage = place.storage;
    let finished = expression(ctx, group, space.clone(), Some(anchor), &[storage], ends)?;
    let output = ctx.output(value, layout.clone(), destination, finished.in_place)?;
    let mut params = arranged.params();
    params.int("combined", count);
    let holes = minijinja::context! {
        total => wrapped(1, dtype, "total".into()),
        ..arranged.holes(ctx, walk.kind, dtype)
    };
    let tail = Tail { output, space: space.clone(), finished };
    launch(ctx, group, tail, "reduce", walk.kind.name(), &[storage], params, holes, walk.flops)
}

/// What is computed, apart from gradients.
fn value_of(kind: ReduceKind) -> ReduceKind {
    match kind {
        ReduceKind::MaxFirst => ReduceKind::Max,
        ReduceKind::MinFirst => ReduceKind::Min,
        ReduceKind::Sum | ReduceKind::Mean | ReduceKind::Max | ReduceKind::Min | ReduceKind::Prod => kind,
    }
}

/// Into how many parts the loops of a kernel are split, so that no invocation combines too much: each loop with its
/// number of parts. Nothing if they need not be.
fn shares(ctx: &Context<'_>, loops: &[(Dim, Dim)]) -> Vec<(usize, i64)> {
    let sizes: Vec<i64> = loops.iter().map(|(size, _)| ctx.largest(size)).collect();
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

/// Combines parts of each result, and says how to walk over them.
fn in_parts(
    ctx: &mut Context<'_>,
    group: &Group,
    dtype: DType,
    walk: Walk,
    whole: &Arranged,
    shares: &[(usize, i64)],
) -> Result<Walk, CompileError> {
    // A mean is divided at the end.
    let kind = if walk.kind == ReduceKind::Mean { ReduceKind::Sum } else { walk.kind };
    // Vectors that lie side by side are placed by elements.
    let unit = Dim::from(if whole.vectors { 4 } else { 1 });
    let added = shares.len();
    let mut loops = whole.loops.clone();
    let mut shape: Vec<Dim> = vec![];
    let mut strides: Vec<Dim> = vec![];
    for (n, parts) in shares {
        let chunk = loops[*n].0.ceil_div(*parts);
        shape.push((*parts).into());
        strides.push(&(&chunk * &loops[*n].1) * &unit);
        loops[*n].0 = chunk;
    }
    shape.extend(whole.space.shape.iter().cloned());
    strides.extend(whole.place.strides.iter().cloned());
    let order = (0..added).chain(whole.layout.order.iter().map(|axis| axis + added)).collect();
    let layout = Layout { order, lanes: whole.layout.lanes };
    let space = Space { width: whole.space.width, ..Space::new(&shape, &layout) };
    let part = Arranged {
        place: View { strides, ..whole.place.clone() },
        space,
        layout,
        loops,
        vectors: whole.vectors,
        along: whole.along,
    };
    let mut params = Params::default();
    params.uint("count", part.space.count());
    params.uint("inner", part.space.inner());
    params.extend(part.params());
    let mut outputs = whole.space.count();
    for (n, parts) in shares.iter().rev() {
        params.uint(format!("outputs_{n}"), outputs.clone());
        params.uint(format!("parts_{n}"), *parts);
        params.int(format!("whole_{n}"), whole.loops[*n].0.clone());
        outputs = outputs * (*parts).into();
    }
    let element = computed_type(dtype);
    let name = format!("{} (parts)", group.name);
    let elements = layout::round_up(&layout::elements(&part.layout, &shape), 4);
    let to = ctx.allocate(&name, element, &elements, Contents::Activation);
    let ends = Ends { source: Some(&part.place), ..Ends::default() };
    let finished =
        Element::new(part.space.clone(), &[], ends, 2, &[]).finish("acc", dtype, element, dtype, ends);
    let splits: Vec<usize> = shares.iter().map(|(n, _)| *n).collect();
    let holes = minijinja::context! {
        splits,
        out_binding => 2,
        ..minijinja::context! { ..finished.holes(), ..part.holes(ctx, kind, dtype) }
    };
    params.extend(finished.params);
    let workgroups = ctx.grid(&part.space.count());
    ctx.request(Request {
        template: "reduce",
        kernel: format!("{}_parts", kind.name()),
        name: &group.name,
        holes,
        bindings: vec![(whole.place.storage, Access::Read), (to, Access::ReadWrite)],
        params,
        workgroups,
        writes: vec![],
        flops: walk.flops,
    })?;
    let mut strides = layout::strides(&part.layout, &shape);
    let own = strides.split_off(added);
    let parts = shares.iter().map(|(_, parts)| Dim::from(*parts));
    let view =
        View { storage: to, element, base: 0.into(), strides: own, zero_lanes: part.layout.lanes == 4 };
    let flops = whole.space.count();
    Ok(Walk { view, order: whole.layout.order.clone(), loops: merged(parts.zip(strides)), flops, ..walk })
}

/// Of no integers, the largest is the least that the type has, and the smallest the greatest, as WGSL.
fn extreme_integer(kind: ReduceKind, dtype: DType) -> String {
    let (low, high) = dtype.integer_range().unwrap_or_default();
    let end = if kind == ReduceKind::Max { low } else { high };
    #[allow(clippy::as_conversions, reason = "what is rounded up is cut off at the end of the range again")]
    literal(dtype, end as f64, 1)
}

fn divided(strides: &[Dim]) -> Vec<Dim> {
    strides.iter().map(|s| s.exact_div(&4.into()).unwrap_or_default()).collect()
}
