//! Ranges of integers: the proof that 64-bit values fit into 32 bits.
//!
//! Most devices compute with 32 bits. A 64-bit value is stored in 32 bits only where its range, which follows from sizes,
//! constants and indices, is known to fit; nothing is narrowed without proof. What does not fit is computed with 64
//! bits where the device can, and refused by name where it cannot.

use kiln_graph::ops::{BinaryOp, Loop, PadMode, Reduce, ReduceKind, ScatterReduction, UnaryOp};
use kiln_graph::{Bindings, DType, Data, Def, Dim, Graph, Node, Op, Tensor, ValueId};

/// Smallest and largest value.
pub(crate) type Range = (i64, i64);

const ANY: Range = (i64::MIN, i64::MAX);
/// What the host may give: it is checked to fit when it is uploaded.
const GIVEN: Range = (i32::MIN as i64, i32::MAX as i64);

/// Most nodes that are looked at while ranges grow.
const MOST_NODES: i64 = 1 << 20;

/// Ranges of all integer values of a graph, by value.
pub(crate) fn ranges(graph: &Graph, max: &Bindings) -> Vec<Range> {
    let given = |id: &ValueId| match graph.ty(*id).dtype {
        DType::I64 => GIVEN,
        dtype => dtype.integer_range().unwrap_or(ANY),
    };
    let inputs: Vec<Range> = graph.inputs().iter().map(given).collect();
    ranges_given(graph, &inputs, max)
}

/// The same, where those of the inputs are known.
fn ranges_given(graph: &Graph, inputs: &[Range], max: &Bindings) -> Vec<Range> {
    let mut ranges = vec![ANY; graph.values().len()];
    for id in graph.value_ids() {
        ranges[id.index()] = match &graph.value(id).def {
            Def::Input => ANY,
            Def::State(_) => match graph.ty(id).dtype {
                DType::I64 => GIVEN,
                dtype => dtype.integer_range().unwrap_or(ANY),
            },
            Def::Constant(tensor) => constant(tensor),
            Def::Node { .. } => ANY,
        };
    }
    for (id, range) in graph.inputs().iter().zip(inputs) {
        ranges[id.index()] = *range;
    }
    for node in graph.nodes() {
        if let Op::Loop(op) = &node.op {
            let inputs: Vec<Range> = node.inputs.iter().map(|id| ranges[id.index()]).collect();
            let body = body_ranges(op, &inputs, max);
            let carried = op.body.inputs().iter().take(op.carried).copied();
            let stacked = op.body.outputs().iter().skip(op.carried).map(|output| output.value);
            for (id, of) in node.outputs.iter().zip(carried.chain(stacked)) {
                ranges[id.index()] = body[of.index()];
            }
            continue;
        }
        let range = of_node(graph, node, &ranges, max);
        for id in &node.outputs {
            // What is smaller wraps around in its own type.
            let own = graph.ty(*id).dtype.integer_range().unwrap_or(ANY);
            // An end of the 64 bits is where an overflow was cut off: the value itself has wrapped around to anywhere.
            let cut = range.0 == i64::MIN || range.1 == i64::MAX;
            let inside = range.0 >= own.0 && range.1 <= own.1 && !cut;
            ranges[id.index()] = if inside { range } else { own };
        }
    }
    ranges
}

/// Ranges of all values of the body, for all steps together; `inputs` are those of the loop's inputs. A carried input has
/// those of all its values, the last one included.
fn body_ranges(op: &Loop, inputs: &[Range], max: &Bindings) -> Vec<Range> {
    let steps = op.steps.upper(max);
    let most = MOST_NODES / i64::try_from(op.body.nodes().len()).unwrap_or(MOST_NODES).max(1);
    let mut given = inputs.to_vec();
    let mut step = 0;
    loop {
        let ranges = ranges_given(&op.body, &given, max);
        let becomes = op.body.outputs().iter().take(op.carried).map(|output| ranges[output.value.index()]);
        let grown: Vec<Range> =
            given.iter().zip(becomes).map(|(before, after)| union(*before, after)).collect();
        if grown == given[..op.carried] {
            return ranges;
        }
        step += 1;
        let known = steps <= most;
        if known && step >= steps {
            // The last step has been looked at: what it leaves is not read by another one.
            return with_last(op, ranges, &grown);
        }
        for (range, grown) in given.iter_mut().zip(grown) {
            if *range != grown {
                *range = if known || step < 8 { grown } else { ANY };
            }
        }
    }
}

/// The same with what the last step leaves where it is carried.
fn with_last(op: &Loop, mut ranges: Vec<Range>, grown: &[Range]) -> Vec<Range> {
    for (input, grown) in op.body.inputs().iter().zip(grown) {
        ranges[input.index()] = *grown;
    }
    ranges
}

/// The body of a loop with the element types that its values have on the device.
pub(crate) fn body_types(op: &Loop, inputs: &[Range], max: &Bindings) -> Graph {
    held(&op.body, &body_ranges(op, inputs, max))
}

/// What a node computes, before it is cut to the types of its outputs.
fn of_node(graph: &Graph, node: &Node, ranges: &[Range], max: &Bindings) -> Range {
    let of = |i: usize| node.inputs.get(i).map_or(ANY, |id: &ValueId| ranges[id.index()]);
    let dims = |shape: &[Dim]| {
        let most = shape.iter().map(|d| d.upper(max)).max();
        (0, most.unwrap_or(0))
    };
    match &node.op {
        // What functions write for a zero of the type of something.
        Op::Binary(BinaryOp::Sub) if node.inputs[0] == node.inputs[1] => (0, 0),
        Op::Unary(op) => unary(*op, of(0)),
        Op::Binary(op) => binary(*op, of(0), of(1)),
        Op::Select => union(of(1), of(2)),
        Op::Cast(_) if graph.ty(node.inputs[0]).dtype == DType::Bool => (0, 1),
        Op::Cast(_) if graph.ty(node.inputs[0]).dtype.is_float() => ANY,
        Op::Iota(op) => dims(&op.shape),
        Op::ShapeOf(_) => dims(&graph.ty(node.inputs[0]).shape),
        // A position, or nothing found.
        Op::Nonzero(_) => {
            let most = graph.ty(node.inputs[0]).elements();
            (0, (most.upper(max) - 1).max(0))
        }
        Op::Suppress(_) => (0, 1),
        Op::ArgSort(op) => dims(&graph.ty(node.inputs[0]).shape[op.axis..=op.axis]),
        Op::Scatter(op) => match op.reduction {
            ScatterReduction::None | ScatterReduction::Max | ScatterReduction::Min => union(of(0), of(2)),
            ScatterReduction::Add | ScatterReduction::Mul => ANY,
        },
        Op::ArgReduce(op) => dims(&graph.ty(node.inputs[0]).shape[op.axis..=op.axis]),
        Op::Concat(_) => node.inputs.iter().map(|id| ranges[id.index()]).reduce(union).unwrap_or(ANY),
        Op::Reduce(op) => reduce(op, of(0), &graph.ty(node.inputs[0]).shape, max),
        Op::Pad(op) => match op.mode {
            PadMode::Constant(value) => union(of(0), (value.floor() as i64, value.ceil() as i64)),
            PadMode::Reflect | PadMode::Edge | PadMode::Wrap => of(0),
        },
        Op::Cast(_)
        | Op::Reshape(_)
        | Op::Expand(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Gather(_)
        | Op::GatherElements(_)
        | Op::StopGradient => of(0),
        Op::Conv(_)
        | Op::Pool(_)
        | Op::MatMul(_)
        | Op::BatchNorm(_)
        | Op::Softmax(_)
        | Op::Size(_)
        | Op::Random(_)
        | Op::Dropout(_)
        | Op::ConvGradWeight(_)
        | Op::PoolGrad(_)
        // Each of its outputs has a range of its own.
        | Op::Loop(_)
        | Op::Resize(_) => ANY,
    }
}

fn reduce(op: &Reduce, x: Range, shape: &[Dim], max: &Bindings) -> Range {
    if op.kind.chooses() {
        // Of no elements it is an end of the type's own range.
        return if op.axes.iter().any(|axis| shape[*axis].is(0)) { ANY } else { x };
    }
    if op.kind != ReduceKind::Sum {
        return ANY;
    }
    let count = op.axes.iter().map(|axis| shape[*axis].upper(max));
    let count = count.fold(1, i64::saturating_mul).max(1);
    let (low, high) = x;
    // Partial sums, too, lie between zero and the largest sums.
    (low.min(0).saturating_mul(count), high.max(0).saturating_mul(count))
}

fn constant(tensor: &Tensor) -> Range {
    match tensor.data() {
        Data::I64(v) => (v.iter().min().copied().unwrap_or(0), v.iter().max().copied().unwrap_or(0)),
        _ => tensor.dtype().integer_range().unwrap_or(ANY),
    }
}

fn union(a: Range, b: Range) -> Range {
    (a.0.min(b.0), a.1.max(b.1))
}

fn unary(op: UnaryOp, x: Range) -> Range {
    match op {
        UnaryOp::Neg => (x.1.saturating_neg(), x.0.saturating_neg()),
        UnaryOp::Abs => (0, x.0.saturating_abs().max(x.1.saturating_abs())),
        UnaryOp::Sign => (-1, 1),
        UnaryOp::Relu => (x.0.max(0), x.1.max(0)),
        // `-1 - x`
        UnaryOp::BitNot => (!x.1, !x.0),
        _ => ANY,
    }
}

fn binary(op: BinaryOp, a: Range, b: Range) -> Range {
    let corners = |f: fn(i64, i64) -> i64| {
        let all = [f(a.0, b.0), f(a.0, b.1), f(a.1, b.0), f(a.1, b.1)];
        (all.into_iter().min().unwrap_or(i64::MIN), all.into_iter().max().unwrap_or(i64::MAX))
    };
    // A remainder is nearer to zero than the divisor, and no farther from it than the dividend.
    let rest = b.0.saturating_abs().max(b.1.saturating_abs()).saturating_sub(1).max(0);
    match op {
        BinaryOp::Add => corners(i64::saturating_add),
        BinaryOp::Sub => corners(i64::saturating_sub),
        BinaryOp::Mul => corners(i64::saturating_mul),
        BinaryOp::Min | BinaryOp::ClampMax => (a.0.min(b.0), a.1.min(b.1)),
        BinaryOp::Max | BinaryOp::ClampMin => (a.0.max(b.0), a.1.max(b.1)),
        // Only a divisor of -1 leads out of the range of the dividend.
        BinaryOp::Div if b.0 >= 0 => (a.0.min(0), a.1.max(0)),
        BinaryOp::Div => {
            let most = a.0.saturating_abs().max(a.1.saturating_abs());
            (most.saturating_neg(), most)
        }
        BinaryOp::Rem => (a.0.min(0).max(rest.saturating_neg()), a.1.max(0).min(rest)),
        BinaryOp::Mod => (if b.0 < 0 { -rest } else { 0 }, if b.1 > 0 { rest } else { 0 }),
        // All bits above the highest of either are copies of the sign.
        BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor => {
            let highest = |x: i64| if x < 0 { !x } else { x };
            let all = [a.0, a.1, b.0, b.1].map(highest).into_iter().fold(0, |all, x| all | x);
            let most = i64::MAX.unbounded_shr(all.leading_zeros().saturating_sub(1));
            let low = if a.0 < 0 || b.0 < 0 { !most } else { 0 };
            (low, most)
        }
        // Places that are out of range leave zero.
        BinaryOp::ShiftLeft if b.0 >= 0 && b.1 < 32 => {
            let shifted = |x: i64| x.saturating_mul(1i64.wrapping_shl(b.1 as u32));
            union((0, 0), union((shifted(a.0), shifted(a.1)), a))
        }
        BinaryOp::ShiftRight => (a.0.min(-1), a.1.max(0)),
        BinaryOp::Pow
        | BinaryOp::ShiftLeft
        | BinaryOp::Equal
        | BinaryOp::Less
        | BinaryOp::LessOrEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterOrEqual
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor => ANY,
    }
}

/// The graph with the element types that its values have on the device: 64-bit integers that fit into 32 bits have 32.
pub(crate) fn device_types(graph: &Graph, max: &Bindings) -> Graph {
    held(graph, &ranges(graph, max))
}

fn held(graph: &Graph, ranges: &[Range]) -> Graph {
    graph.held_as(|id| {
        let (low, high) = ranges[id.index()];
        match graph.ty(id).dtype {
            DType::I64 if low >= GIVEN.0 && high <= GIVEN.1 => DType::I32,
            dtype => dtype,
        }
    })
}
