//! Core operators in terms of ONNX.

use kiln_graph::ops::{ArgKind, BinaryOp, Pad, PadMode, Pool, PoolKind, Reduce, ReduceKind, Slice, UnaryOp};
use kiln_graph::{Atom, DType, Dim, Graph, MOST_UNROLLED, Node, NodeId, Op, Tensor};

use super::forms::Form;
use super::writer::{Writer, float, int, ints, string};
use super::{conv, counting, gradient, quantized, resize, selection};
use crate::error::ExportError;
use crate::proto::AttributeProto;
use crate::tensor::data_type_of;

pub(super) type Result<T = ()> = std::result::Result<T, ExportError>;

pub(super) fn refuse<T>(node: &Node, reason: impl Into<String>) -> Result<T> {
    Err(ExportError::NotExpressible { node: node.name.clone(), op: node.op.name(), reason: reason.into() })
}

/// Sizes and indices are below 2^63.
pub(super) fn wide(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Writes one node of the graph, or what it is the last of.
pub(super) fn write(w: &mut Writer<'_>, id: NodeId, form: Option<&Form>) -> Result {
    let graph = w.graph;
    let node = graph.node(id);
    match form {
        Some(Form::Quantize(linear)) => return quantized::write(w, node, "QuantizeLinear", linear),
        Some(Form::Dequantize(linear)) => return quantized::write(w, node, "DequantizeLinear", linear),
        Some(Form::Product(product)) => return conv::product(w, node, product),
        None => {}
    }
    let inputs: Vec<String> = node.inputs.iter().map(|id| w.name(*id).to_owned()).collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let outputs: Vec<String> = node.outputs.iter().map(|id| w.name(*id).to_owned()).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let name = node.name.as_str();
    let mut plain = |op_type: &str, attributes: Vec<AttributeProto>| {
        w.node(name, op_type, &inputs, &outputs, attributes);
        Ok(())
    };
    match &node.op {
        Op::Conv(op) => conv::write(w, node, op, &inputs, &outputs),
        Op::Pool(op) => pool(w, node, op, &inputs, &outputs),
        // Linear layers as ONNX has them; nothing has to be transposed then.
        Op::MatMul(op)
            if (op.transpose_a || op.transpose_b)
                && node.inputs.iter().all(|id| graph.ty(*id).rank() == 2) =>
        {
            let transposed = [("transA", op.transpose_a), ("transB", op.transpose_b)];
            plain("Gemm", transposed.map(|(name, transposed)| int(name, i64::from(transposed))).to_vec())
        }
        Op::MatMul(op) => {
            let mut operands = Vec::new();
            for (i, transpose) in [op.transpose_a, op.transpose_b].into_iter().enumerate() {
                operands.push(if transpose {
                    let rank = graph.ty(node.inputs[i]).rank();
                    let mut perm: Vec<i64> = (0..rank).map(wide).collect();
                    perm.swap(rank - 2, rank - 1);
                    w.inner(name, "Transpose", &inputs[i..=i], vec![ints("perm", perm)])
                } else {
                    inputs[i].to_owned()
                });
            }
            w.node(name, "MatMul", &[&operands[0], &operands[1]], &outputs, vec![]);
            Ok(())
        }
        Op::BatchNorm(op) if op.training && op.unbiased => refuse(
            node,
            "running variances are updated as PyTorch does, with the unbiased one; ONNX has the other",
        ),
        Op::BatchNorm(op) => plain(
            "BatchNormalization",
            vec![
                float("epsilon", op.epsilon),
                float("momentum", op.momentum),
                int("training_mode", i64::from(op.training)),
            ],
        ),
        Op::Softmax(op) => {
            plain(if op.log { "LogSoftmax" } else { "Softmax" }, vec![int("axis", wide(op.axis))])
        }
        Op::Unary(UnaryOp::ToBits | UnaryOp::FromBits) => {
            refuse(node, "the version of ONNX that is written has no BitCast")
        }
        Op::Unary(op) => plain(unary(*op), vec![]),
        Op::Binary(BinaryOp::ShiftLeft | BinaryOp::ShiftRight)
            if graph.ty(node.inputs[0]).dtype.integer_range().is_none_or(|(low, _)| low < 0) =>
        {
            refuse(node, "the version of ONNX that is written shifts unsigned integers only")
        }
        Op::Binary(BinaryOp::ShiftLeft) => plain("BitShift", vec![string("direction", "LEFT")]),
        Op::Binary(BinaryOp::ShiftRight) => plain("BitShift", vec![string("direction", "RIGHT")]),
        Op::Binary(BinaryOp::Rem) => plain("Mod", vec![int("fmod", 1)]),
        Op::Binary(BinaryOp::Mod) if graph.ty(node.inputs[0]).dtype.is_float() => {
            // a - floor(a / b) * b, since Mod of floats is the other remainder.
            let quotient = w.inner(name, "Div", &inputs, vec![]);
            let floor = w.inner(name, "Floor", &[&quotient], vec![]);
            let whole = w.inner(name, "Mul", &[&floor, inputs[1]], vec![]);
            w.node(name, "Sub", &[inputs[0], &whole], &outputs, vec![]);
            Ok(())
        }
        // Whoever reads the file has the gradient of a clamp, too. ONNX's bounds are numbers.
        Op::Binary(op @ (BinaryOp::ClampMin | BinaryOp::ClampMax)) if is_clip(graph, node) => {
            let bounds = if *op == BinaryOp::ClampMin { vec![inputs[1]] } else { vec!["", inputs[1]] };
            w.node(name, "Clip", &[&inputs[..1], &bounds].concat(), &outputs, vec![]);
            Ok(())
        }
        Op::Binary(op) => plain(binary(*op), vec![]),
        Op::Select => plain("Where", vec![]),
        Op::Cast(op) => plain("Cast", vec![int("to", data_type_of(op.to).into())]),
        Op::Reduce(op) if is_global_max_pool(graph, node, op) => plain("GlobalMaxPool", vec![]),
        Op::Reduce(op) => {
            let axes = w.ints(&format!("{name}.axes"), op.axes.iter().map(|a| wide(*a)));
            let keep = |keep: bool| vec![int("keepdims", keep.into()), int("noop_with_empty_axes", 1)];
            let op_type = match op.kind {
                ReduceKind::Sum => "ReduceSum",
                ReduceKind::Mean => "ReduceMean",
                ReduceKind::Max | ReduceKind::MaxFirst => "ReduceMax",
                ReduceKind::Min | ReduceKind::MinFirst => "ReduceMin",
                ReduceKind::Prod => "ReduceProd",
                ReduceKind::Variance => {
                    let mean = w.inner(name, "ReduceMean", &[inputs[0], &axes], keep(true));
                    let apart = w.inner(name, "Sub", &[inputs[0], &mean], vec![]);
                    let squares = w.inner(name, "Mul", &[&apart, &apart], vec![]);
                    w.node(name, "ReduceMean", &[&squares, &axes], &outputs, keep(op.keep_dims));
                    return Ok(());
                }
            };
            w.node(name, op_type, &[inputs[0], &axes], &outputs, keep(op.keep_dims));
            Ok(())
        }
        Op::ArgReduce(op) => plain(
            if op.kind == ArgKind::Max { "ArgMax" } else { "ArgMin" },
            vec![
                int("axis", wide(op.axis)),
                int("keepdims", i64::from(op.keep_dims)),
                int("select_last_index", i64::from(op.select_last_index)),
            ],
        ),
        Op::Reshape(op) => {
            let from = graph.ty(node.inputs[0]).shape.clone();
            // Where the short forms (0 keeps a size, -1 is the rest) do not say it, the sizes are computed.
            let (shape, attributes) = match new_shape(node, &from, &op.shape) {
                Ok(shape) => (w.ints(&format!("{name}.shape"), shape), vec![]),
                Err(_) => (sizes(w, node, &op.shape)?, vec![int("allowzero", 1)]),
            };
            w.node(name, "Reshape", &[inputs[0], &shape], &outputs, attributes);
            Ok(())
        }
        Op::Expand(op) => {
            let from = graph.ty(node.inputs[0]).shape.clone();
            let missing = op.shape.len() - from.len();
            // One keeps what is there.
            let kept = |axis: usize, dim: &Dim| axis >= missing && from[axis - missing] == *dim;
            let shape = op.shape.iter().enumerate();
            let shape: Vec<Dim> =
                shape.map(|(axis, dim)| if kept(axis, dim) { 1.into() } else { dim.clone() }).collect();
            let shape = sizes(w, node, &shape)?;
            w.node(name, "Expand", &[inputs[0], &shape], &outputs, vec![]);
            Ok(())
        }
        Op::Transpose(op) => plain("Transpose", vec![ints("perm", op.perm.iter().map(|a| wide(*a)))]),
        Op::Slice(op) => slice(w, node, op, &inputs, &outputs),
        Op::Concat(op) => plain("Concat", vec![int("axis", wide(op.axis))]),
        Op::Pad(op) => pad(w, node, op, &inputs, &outputs),
        Op::Gather(op) => plain("Gather", vec![int("axis", wide(op.axis))]),
        Op::GatherElements(op) => plain("GatherElements", vec![int("axis", wide(op.axis))]),
        Op::Scatter(op) => plain(
            "ScatterElements",
            vec![int("axis", wide(op.axis)), string("reduction", op.reduction.name())],
        ),
        Op::ArgSort(op) => {
            let size = graph.ty(node.inputs[0]).shape[op.axis].clone();
            let k = sizes(w, node, &[size])?;
            let attributes = vec![int("axis", wide(op.axis)), int("largest", i64::from(op.descending))];
            // Nothing reads the elements, but an output that is not optional needs a name.
            let sorted = w.fresh(&format!("{name}.sorted"));
            w.node(name, "TopK", &[inputs[0], &k], &[&sorted, outputs[0]], attributes);
            Ok(())
        }
        Op::Nonzero(op) => counting::nonzero(w, node, op, &inputs, &outputs),
        Op::Suppress(op) => selection::suppress(w, node, op, &inputs, &outputs),
        Op::Resize(op) => resize::write(w, node, op, &inputs, &outputs),
        Op::ShapeOf(op) => plain("Shape", vec![int("start", wide(op.start)), int("end", wide(op.end))]),
        Op::Iota(op) => counting::iota(w, node, op, &outputs),
        Op::Size(op) => {
            let size = computed(w, node, &op.dim)?;
            let axes = w.ints(&format!("{name}.axes"), [0]);
            let size = w.inner(name, "Squeeze", &[&size, &axes], vec![]);
            w.node(name, "Cast", &[&size], &outputs, vec![int("to", data_type_of(DType::F32).into())]);
            Ok(())
        }
        Op::Random(_) => refuse(node, "ONNX has no random numbers that are the same everywhere"),
        Op::Dropout(op) => {
            let ratio = w.constant(&format!("{name}.ratio"), &Tensor::scalar(op.ratio));
            w.node(name, "Dropout", &[inputs[0], &ratio], &outputs, vec![]);
            Ok(())
        }
        // ONNX says nothing about gradients.
        Op::StopGradient => {
            w.node(name, "Identity", &inputs[..1], &outputs, vec![]);
            Ok(())
        }
        Op::ConvGradWeight(op) => gradient::conv_weight(w, node, op, &inputs, &outputs),
        Op::PoolGrad(op) => gradient::pool(w, node, op, &inputs, &outputs),
        Op::Loop(op) => refuse(
            node,
            format!(
                "loops of {} steps are not written; those of a fixed number of up to {MOST_UNROLLED} are unrolled",
                op.steps
            ),
        ),
    }
}

/// Whether a clamp is what ONNX calls one.
fn is_clip(graph: &Graph, node: &Node) -> bool {
    let bound = graph.ty(node.inputs[1]);
    bound.dtype.is_float() && bound.rank() == 0 && graph.as_constant(node.inputs[1]).is_some()
}

/// Whether a reduction is over all spatial dimensions, with the gradient of a pooling.
fn is_global_max_pool(graph: &Graph, node: &Node, op: &Reduce) -> bool {
    let x = graph.ty(node.inputs[0]);
    let spatial = (2..x.rank()).eq(op.axes.iter().copied());
    op.kind == ReduceKind::MaxFirst && op.keep_dims && spatial && x.rank() > 2 && x.dtype.is_float()
}

fn unary(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Neg => "Neg",
        UnaryOp::Abs => "Abs",
        UnaryOp::Sign => "Sign",
        UnaryOp::Reciprocal => "Reciprocal",
        UnaryOp::Exp => "Exp",
        UnaryOp::Log => "Log",
        UnaryOp::Sqrt => "Sqrt",
        UnaryOp::Sin => "Sin",
        UnaryOp::Cos => "Cos",
        UnaryOp::Tan => "Tan",
        UnaryOp::Asin => "Asin",
        UnaryOp::Acos => "Acos",
        UnaryOp::Atan => "Atan",
        UnaryOp::Sinh => "Sinh",
        UnaryOp::Cosh => "Cosh",
        UnaryOp::Tanh => "Tanh",
        UnaryOp::Asinh => "Asinh",
        UnaryOp::Acosh => "Acosh",
        UnaryOp::Atanh => "Atanh",
        UnaryOp::Relu => "Relu",
        UnaryOp::Sigmoid => "Sigmoid",
        UnaryOp::Softplus => "Softplus",
        UnaryOp::Erf => "Erf",
        UnaryOp::Floor => "Floor",
        UnaryOp::Ceil => "Ceil",
        UnaryOp::Round => "Round",
        UnaryOp::Not => "Not",
        UnaryOp::IsNan => "IsNaN",
        UnaryOp::IsInf => "IsInf",
        UnaryOp::BitNot => "BitwiseNot",
        UnaryOp::ToBits | UnaryOp::FromBits => "BitCast",
    }
}

fn binary(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "Add",
        BinaryOp::Sub => "Sub",
        BinaryOp::Mul => "Mul",
        BinaryOp::Div => "Div",
        BinaryOp::Pow => "Pow",
        BinaryOp::Mod | BinaryOp::Rem => "Mod",
        BinaryOp::Min | BinaryOp::ClampMax => "Min",
        BinaryOp::Max | BinaryOp::ClampMin => "Max",
        BinaryOp::Equal => "Equal",
        BinaryOp::Less => "Less",
        BinaryOp::LessOrEqual => "LessOrEqual",
        BinaryOp::Greater => "Greater",
        BinaryOp::GreaterOrEqual => "GreaterOrEqual",
        BinaryOp::And => "And",
        BinaryOp::Or => "Or",
        BinaryOp::Xor => "Xor",
        BinaryOp::BitAnd => "BitwiseAnd",
        BinaryOp::BitOr => "BitwiseOr",
        BinaryOp::BitXor => "BitwiseXor",
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight => "BitShift",
    }
}

/// A shape for `Reshape`, in which 0 copies a dimension and -1 takes what is left.
pub(super) fn new_shape(node: &Node, from: &[Dim], to: &[Dim]) -> Result<Vec<i64>> {
    let mut free = None;
    let mut shape = Vec::with_capacity(to.len());
    for (axis, dim) in to.iter().enumerate() {
        shape.push(match dim.as_const() {
            // Zero would mean to copy.
            Some(0) => return refuse(node, "it makes a tensor without elements"),
            Some(number) => number,
            None if from.get(axis) == Some(dim) => 0,
            None if free.replace(dim).is_none() => -1,
            None => return refuse(node, format!("both `{}` and `{dim}` are symbolic", free.unwrap_or(dim))),
        });
    }
    Ok(shape)
}

/// A shape as a tensor, for an operator of `node`; symbolic sizes are computed from the shapes of the inputs.
pub(super) fn sizes(w: &mut Writer<'_>, node: &Node, shape: &[Dim]) -> Result<String> {
    named_sizes(w, node, "shape", shape)
}

/// As [`sizes`], with a name for what they are.
fn named_sizes(w: &mut Writer<'_>, node: &Node, what: &str, shape: &[Dim]) -> Result<String> {
    if let Some(known) = shape.iter().map(Dim::as_const).collect::<Option<Vec<i64>>>() {
        return Ok(w.ints(&format!("{}.{what}", node.name), known));
    }
    let mut parts = Vec::new();
    for dim in shape {
        parts.push(computed(w, node, dim)?);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(w.inner(&node.name, "Concat", &parts, vec![int("axis", 0)]))
}

/// A size as an int64 tensor of one element: a sum of products of the inputs' dimensions.
fn computed(w: &mut Writer<'_>, node: &Node, dim: &Dim) -> Result<String> {
    let graph = w.graph;
    let mut sum: Option<String> = None;
    for (atoms, coefficient) in dim.terms() {
        let mut product = w.ints(&node.name, [*coefficient]);
        for atom in atoms {
            let size = match atom {
                Atom::Symbol(symbol) => {
                    let wanted = Dim::symbol(symbol.clone());
                    let inputs = graph.inputs().iter();
                    let found = inputs.copied().find_map(|id| {
                        graph.ty(id).shape.iter().position(|dim| *dim == wanted).map(|axis| (id, axis))
                    });
                    let Some((input, axis)) = found else {
                        return refuse(node, format!("`{symbol}` is not the size of an input"));
                    };
                    let input = w.name(input).to_owned();
                    let ends = vec![int("start", wide(axis)), int("end", wide(axis + 1))];
                    w.inner(&node.name, "Shape", &[&input], ends)
                }
                Atom::Count(name) => {
                    let found = graph.nodes().iter().find(|node| node.op.count() == Some(name));
                    let Some(positions) = found.and_then(|node| node.outputs.first()) else {
                        return refuse(node, format!("nothing finds `{name}`"));
                    };
                    let positions = w.name(*positions).to_owned();
                    w.inner(&node.name, "Shape", &[&positions], vec![])
                }
                Atom::Min(a, b) => {
                    let sides = [computed(w, node, a)?, computed(w, node, b)?];
                    w.inner(&node.name, "Min", &[&sides[0], &sides[1]], vec![])
                }
                Atom::FloorDiv(inner, divisor) => {
                    let inner = computed(w, node, inner)?;
                    let divisor = w.ints(&node.name, [*divisor]);
                    w.inner(&node.name, "Div", &[&inner, &divisor], vec![])
                }
            };
            product = w.inner(&node.name, "Mul", &[&product, &size], vec![]);
        }
        sum = Some(match sum {
            Some(sum) => w.inner(&node.name, "Add", &[&sum, &product], vec![]),
            None => product,
        });
    }
    Ok(match sum {
        Some(sum) => sum,
        None => w.ints(&node.name, [0]),
    })
}

/// Pads as the format has them: all beginnings, then all ends.
pub(super) fn begins_then_ends(pads: &[[i64; 2]]) -> Vec<i64> {
    pads.iter().map(|p| p[0]).chain(pads.iter().map(|p| p[1])).collect()
}

fn pool(w: &mut Writer<'_>, node: &Node, op: &Pool, inputs: &[&str], outputs: &[&str]) -> Result {
    let (op_type, attributes) = pool_attributes(op);
    w.node(&node.name, op_type, inputs, outputs, attributes);
    Ok(())
}

/// A pooling's operator and attributes.
pub(super) fn pool_attributes(op: &Pool) -> (&'static str, Vec<AttributeProto>) {
    let mut attributes = vec![
        ints("kernel_shape", op.kernel.iter().map(|n| wide(*n))),
        ints("strides", op.strides.iter().map(|n| wide(*n))),
        ints("pads", begins_then_ends(&op.pads)),
        ints("dilations", op.dilations.iter().map(|n| wide(*n))),
        int("ceil_mode", i64::from(op.ceil_mode)),
    ];
    let op_type = match op.kind {
        PoolKind::Max => "MaxPool",
        PoolKind::Average { count_include_pad } => {
            attributes.push(int("count_include_pad", i64::from(count_include_pad)));
            "AveragePool"
        }
    };
    (op_type, attributes)
}

fn slice(w: &mut Writer<'_>, node: &Node, op: &Slice, inputs: &[&str], outputs: &[&str]) -> Result {
    let shape = &w.graph.ty(node.inputs[0]).shape;
    let (mut starts, mut ends, mut axes, mut steps) = (vec![], vec![], vec![], vec![]);
    for cut in &op.axes {
        let size = &shape[cut.axis];
        let end = cut.start.clone() + &cut.length * &cut.step.into();
        let from_end = |dim: &Dim| (dim.clone() - size.clone()).as_const();
        let start = match (cut.start.as_const(), from_end(&cut.start)) {
            (Some(start), _) => start.into(),
            (None, Some(back)) if back < 0 => back.into(),
            (None, _) => cut.start.clone(),
        };
        let end = match (end.as_const(), from_end(&end)) {
            // Walking backwards, the end before the first element is given by a number far below.
            (Some(end), _) if end < 0 => (i64::MIN + 1).into(),
            (Some(end), _) => end.into(),
            (None, Some(0..)) => i64::MAX.into(),
            (None, Some(back)) => back.into(),
            (None, None) if cut.step > 0 => end,
            // It may be before the first element, and would count from the end.
            (None, None) => return refuse(node, format!("it ends at `{end}`")),
        };
        starts.push(start);
        ends.push(end);
        axes.push(wide(cut.axis));
        steps.push(cut.step);
    }
    let name = node.name.as_str();
    let (starts, ends) = (named_sizes(w, node, "starts", &starts)?, named_sizes(w, node, "ends", &ends)?);
    let (axes, steps) = (w.ints(&format!("{name}.axes"), axes), w.ints(&format!("{name}.steps"), steps));
    w.node(name, "Slice", &[inputs[0], &starts, &ends, &axes, &steps], outputs, vec![]);
    Ok(())
}

fn pad(w: &mut Writer<'_>, node: &Node, op: &Pad, inputs: &[&str], outputs: &[&str]) -> Result {
    let name = node.name.as_str();
    let amounts = w.ints(&format!("{name}.pads"), begins_then_ends(&op.pads));
    let (mode, value) = match op.mode {
        PadMode::Constant(value) => ("constant", value),
        PadMode::Reflect => ("reflect", 0.0),
        PadMode::Edge => ("edge", 0.0),
        PadMode::Wrap => ("wrap", 0.0),
    };
    let dtype = w.graph.ty(node.inputs[0]).dtype;
    let value = Tensor::number(value.into(), dtype);
    let value = w.constant(&format!("{name}.value"), &value);
    w.node(name, "Pad", &[inputs[0], &amounts, &value], outputs, vec![string("mode", mode)]);
    Ok(())
}
