//! From a group of nodes to the problem that its kernel has to solve.

use kiln_graph::ops::{BinaryOp, MatMul, Pool, PoolKind, Reduce, ReduceKind};
use kiln_graph::{DType, Def, Dim, Graph, NodeId, Op, Tensor, ValueId, product};

use crate::error::CompileError;
use crate::fuse::{Group, is_size, sums_columns};
use crate::kernels::conv::ConvNode;
use crate::kernels::problem::{
    ConvProblem, EpilogueSummary, MatMulProblem, OperandKind, Operation, Problem, Size, Source, Window,
};
use crate::memory::values::Values;
use crate::passes::constant::{bytes_from, bytes_from_range};
use crate::passes::dequantized::range;

/// The problem of a group whose anchor does more than make another view.
pub(super) fn describe(values: &Values<'_>, group: &Group) -> Result<Problem, CompileError> {
    let graph = values.graph;
    group.nodes.iter().try_for_each(|node| refuse_zero_divisors(values, *node))?;
    let operation = match group.anchor {
        Some(node) => {
            refuse_doubles(values, node)?;
            operation(values, group, node)?
        }
        None => Operation::Simple { op: "map", elements: elements(values, group.outputs.first()) },
    };
    let result = group.outputs.first().copied().or(group.anchor.map(|id| graph.node(id).outputs[0]));
    let Some(result) = result else {
        let message = "has no result".into();
        return Err(CompileError::Defect { place: group.name.clone(), message });
    };
    let inputs = match group.anchor {
        Some(node) => &graph.node(node).inputs,
        None => &vec![],
    };
    let operands = inputs.iter().map(|id| operand(values, *id)).collect();
    let (result, epilogue) = (values.storage(result), epilogue(graph, group));
    Ok(Problem { operation, operands, result, epilogue })
}

fn elements(values: &Values<'_>, value: Option<&ValueId>) -> i64 {
    value.map_or(0, |id| values.maximum(&product(&values.graph.ty(*id).shape)))
}

fn operand(values: &Values<'_>, id: ValueId) -> OperandKind {
    let source = match values.graph.value(id).def {
        Def::Constant(_) => Source::Constant,
        Def::State(_) => Source::State,
        Def::Input | Def::Node { .. } => Source::Computed,
    };
    let bytes = match &values.graph.value(id).def {
        Def::Constant(tensor) => bytes_from(tensor),
        Def::State(_) => None,
        Def::Input | Def::Node { .. } => range(values.graph, id).and_then(bytes_from_range),
    };
    OperandKind { element: values.storage(id), source, bytes }
}

fn epilogue(graph: &Graph, group: &Group) -> EpilogueSummary {
    let anchor = group.anchor.map_or(&[][..], |id| &graph.node(id).inputs);
    let is_read = |id: &&ValueId| {
        let scalar = graph.as_constant(**id).is_some_and(|tensor| tensor.len() == 1);
        !anchor.contains(id) && !scalar && !is_size(graph, **id)
    };
    EpilogueSummary {
        operators: group.nodes.iter().map(|id| graph.node(*id).op.name()).collect(),
        reads: group.inputs.iter().filter(is_read).count(),
    }
}

/// Refuses a node that divides integers by a constant zero: no engine has an answer, and WGSL does not take it.
fn refuse_zero_divisors(values: &Values<'_>, node: NodeId) -> Result<(), CompileError> {
    let node = values.graph.node(node);
    let (Op::Binary(BinaryOp::Div | BinaryOp::Mod | BinaryOp::Rem), [_, divisor]) =
        (&node.op, &node.inputs[..])
    else {
        return Ok(());
    };
    let divisor = values.graph.as_constant(*divisor).filter(|tensor| !tensor.dtype().is_float());
    if divisor.and_then(Tensor::to_ints).is_some_and(|ints| ints.contains(&0)) {
        let message = "divides an integer by zero".into();
        return Err(CompileError::Unsupported { node: node.name.clone(), message });
    }
    Ok(())
}

/// Refuses a node whose kernels are written for 32-bit floats, where its operands have 64.
fn refuse_doubles(values: &Values<'_>, node: NodeId) -> Result<(), CompileError> {
    let node = values.graph.node(node);
    let double = node.inputs.iter().find(|id| values.graph.ty(**id).dtype == DType::F64);
    let only_single = matches!(
        node.op,
        Op::Conv(_)
            | Op::Pool(_)
            | Op::MatMul(_)
            | Op::Softmax(_)
            | Op::Resize(_)
            | Op::ConvGradWeight(_)
            | Op::PoolGrad(_)
            | Op::Suppress(_)
    );
    match double {
        Some(id) if only_single => Err(values.no_such_type(*id)),
        Some(_) | None => Ok(()),
    }
}

/// What an anchor computes.
fn operation(values: &Values<'_>, group: &Group, id: NodeId) -> Result<Operation, CompileError> {
    let graph = values.graph;
    let node = graph.node(id);
    let sizes = |id: ValueId| graph.ty(id).shape.iter().map(|dim| Size::of(dim, values.max)).collect();
    let defect = |message: &str| CompileError::Defect { place: group.name.clone(), message: message.into() };
    let (x, out) = (node.inputs.first().copied(), node.outputs[0]);
    let first = || x.ok_or_else(|| defect("has no operand"));
    Ok(match &node.op {
        Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Expand(_) | Op::Iota(_) => {
            return Err(defect("is a view and needs no kernel"));
        }
        Op::Conv(_) | Op::ConvGradWeight(_) => {
            conv(values, id).ok_or_else(|| defect("has weights of open shape"))?
        }
        Op::MatMul(op) => matmul(values, id, op),
        Op::Pool(op) => {
            let window = pool_window(op, sizes(first()?), sizes(out));
            Operation::Pool { window, max: op.kind == PoolKind::Max }
        }
        Op::PoolGrad(op) => {
            let window = pool_window(&op.pool, sizes(out), sizes(first()?));
            Operation::PoolGrad { window, max: op.pool.kind == PoolKind::Max }
        }
        Op::Reduce(op) => reduce(values, id, op),
        Op::ArgReduce(op) => {
            let (length, lines) = lines(values, first()?, op.axis);
            Operation::ArgReduce { length, lines }
        }
        Op::Softmax(op) => {
            let (length, lines) = lines(values, first()?, op.axis);
            Operation::Softmax { length, lines }
        }
        Op::ArgSort(op) => {
            let (length, lines) = lines(values, first()?, op.axis);
            let ty = graph.ty(first()?);
            Operation::ArgSort { length, lines, rank: ty.rank(), bits: order_bits(ty.dtype) }
        }
        Op::Scatter(op) => Operation::Scatter {
            elements: elements(values, Some(&out)),
            indices: Size::of(&graph.ty(node.inputs[1]).shape[op.axis], values.max),
        },
        Op::Resize(_) if graph.ty(out).rank() < 3 => {
            let message = "resizes batch or channels; only spatial dimensions can be resized on the device";
            return Err(CompileError::Unsupported { node: group.name.clone(), message: message.into() });
        }
        Op::Nonzero(_) => {
            Operation::Nonzero { elements: elements(values, x.as_ref()), rank: graph.ty(first()?).rank() }
        }
        Op::Suppress(_) => {
            let rank = graph.ty(first()?).rank();
            let (boxes, lines) = lines(values, out, graph.ty(out).rank() - 1);
            Operation::Suppress { boxes, lines, rank }
        }
        Op::Concat(_)
        | Op::Pad(_)
        | Op::Gather(_)
        | Op::GatherElements(_)
        | Op::Resize(_)
        | Op::ShapeOf(_)
        | Op::Size(_)
        | Op::Random(_) => Operation::Simple { op: node.op.name(), elements: elements(values, Some(&out)) },
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) => {
            Operation::Simple { op: "map", elements: elements(values, group.outputs.first()) }
        }
        Op::Loop(_) => return Err(defect("is a loop, which is lowered step by step")),
        Op::BatchNorm(_) => {
            return Err(defect("should have been rewritten as arithmetic by the pass `decompose`"));
        }
        Op::Dropout(_) | Op::StopGradient => {
            return Err(defect("should have been removed by the pass `identity`"));
        }
    })
}

/// How long the lines of a value along an axis are, and how many there are.
fn lines(values: &Values<'_>, id: ValueId, axis: usize) -> (Size, i64) {
    let length = Size::of(&values.graph.ty(id).shape[axis], values.max);
    (length, elements(values, Some(&id)) / length.max.max(1))
}

/// How many bits of an element of this type decide its order among others.
fn order_bits(dtype: DType) -> u32 {
    match dtype {
        DType::Bool => 1,
        DType::U8 | DType::I8 => 8,
        DType::U16 | DType::I16 => 16,
        // 16-bit floats are read as 32-bit ones.
        DType::F16 | DType::F32 | DType::U32 | DType::I32 => 32,
        DType::F64 | DType::I64 => 64,
    }
}

fn reduce(values: &Values<'_>, id: NodeId, op: &Reduce) -> Operation {
    let graph = values.graph;
    let node = graph.node(id);
    let shape = &graph.ty(node.inputs[0]).shape;
    if !sums_columns(graph, id, op) {
        let length = values.maximum(&product(op.axes.iter().map(|axis| &shape[*axis])));
        let results = elements(values, node.outputs.first());
        return Operation::Reduce { kind: op.kind, length, results };
    }
    // Channels are the second dimension, if there is one.
    let channels = usize::from(shape.len() > 1);
    let rest = product(shape.iter().enumerate().filter(|(axis, _)| *axis != channels).map(|(_, dim)| dim));
    let columns = shape.get(channels).cloned().unwrap_or_else(|| 1.into());
    Operation::SumColumns {
        variance: op.kind == ReduceKind::Variance,
        rows: Size::of(&rest, values.max),
        columns: Size::of(&columns, values.max),
    }
}

fn conv(values: &Values<'_>, id: NodeId) -> Option<Operation> {
    let graph = values.graph;
    let node = graph.node(id);
    let sizes = |id: ValueId| graph.ty(id).shape.iter().map(|dim| Size::of(dim, values.max)).collect();
    let ConvNode { conv, x, w, y } = ConvNode::of(node)?;
    let is_grad = matches!(node.op, Op::ConvGradWeight(_));
    let w = graph.ty(w).static_shape()?;
    let window = Window {
        x: sizes(x),
        y: sizes(y),
        kernel: w[2..].to_vec(),
        strides: conv.strides.clone(),
        dilations: conv.dilations.clone(),
        pads: conv.pads.clone(),
        input_dilations: conv.input_dilations.clone(),
    };
    let groups = conv.groups;
    let problem = ConvProblem { window, groups, group_in: w[1], group_out: w[0] / groups.max(1) };
    Some(if is_grad { Operation::ConvGradWeight(problem) } else { Operation::Conv(problem) })
}

fn pool_window(op: &Pool, x: Vec<Size>, y: Vec<Size>) -> Window {
    Window {
        x,
        y,
        kernel: op.kernel.clone(),
        strides: op.strides.clone(),
        dilations: op.dilations.clone(),
        pads: op.pads.clone(),
        input_dilations: vec![1; op.kernel.len()],
    }
}

fn matmul(values: &Values<'_>, id: NodeId, op: &MatMul) -> Operation {
    let graph = values.graph;
    let node = graph.node(id);
    let (a, b, out) = (graph.ty(node.inputs[0]), graph.ty(node.inputs[1]), &graph.ty(node.outputs[0]).shape);
    let depth = &a.shape[a.rank() - if op.transpose_a { 2 } else { 1 }];
    let depth = Size::of(depth, values.max);
    let (batch, last) = out.split_at(out.len() - 2);
    if let Some((rows, columns)) = is_outer(graph, id, op) {
        return Operation::OuterProduct { rows, columns, depth };
    }
    let size = |dim: &Dim| Size::of(dim, values.max);
    Operation::MatMul(MatMulProblem {
        batches: size(&product(batch)),
        rows: size(&last[0]),
        columns: size(&last[1]),
        depth,
        transposed: [op.transpose_a, op.transpose_b],
        shared_right: b.shape[..b.rank() - 2].iter().all(|dim| dim.is(1)),
    })
}

/// Rows and columns of a matrix product that sums over many rows of both operands, as the gradient of a linear layer's
/// weight does.
fn is_outer(graph: &Graph, id: NodeId, op: &MatMul) -> Option<(usize, usize)> {
    let node = graph.node(id);
    let single = |id: &ValueId| {
        let shape = &graph.ty(*id).shape;
        shape[..shape.len() - 2].iter().all(|dim| dim.is(1)) && graph.ty(*id).dtype == DType::F32
    };
    let shape = &graph.ty(node.outputs[0]).shape;
    let (rows, columns) = (shape[shape.len() - 2].as_usize()?, shape[shape.len() - 1].as_usize()?);
    (op.transpose_a && !op.transpose_b && node.inputs.iter().all(single)).then_some((rows, columns))
}
