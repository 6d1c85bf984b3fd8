//! Operands as drivers have to see them, which take for granted what holds for finite numbers only.

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{DType, NodeId, Op};

use crate::element::{literal, register_type};
use crate::memory::values::Values;
use crate::wgsl::expression::Expression;

/// Whether a driver takes what comes of the operands for granted, which it is not where they are infinite or NaN: `x - x` and
/// `x + -x` for zero, `x / x` for one, the square of a square root for the absolute value.
pub(crate) fn cancels(values: &Values<'_>, id: NodeId, op: BinaryOp) -> bool {
    let graph = values.graph;
    let &[a, b] = &graph.node(id).inputs[..] else { return false };
    let made_by = |value, op: UnaryOp| {
        let producer = graph.producer(value).map(|id| graph.node(id));
        producer.filter(|node| node.op == Op::Unary(op)).map(|node| node.inputs[0])
    };
    match op {
        _ if !graph.ty(a).dtype.is_float() => false,
        BinaryOp::Sub | BinaryOp::Div => a == b,
        BinaryOp::Add => made_by(a, UnaryOp::Neg) == Some(b) || made_by(b, UnaryOp::Neg) == Some(a),
        BinaryOp::Mul => a == b && made_by(a, UnaryOp::Sqrt).is_some(),
        _ => false,
    }
}

/// A number as a parameter, of which a driver knows nothing.
fn parameter(element: &mut Expression, dtype: DType, name: &str, value: f32) -> String {
    if !element.params.has(name) {
        element.params.float(name, value);
    }
    let scalar = match dtype {
        DType::F64 => format!("f64(params.{name})"),
        _ => format!("params.{name}"),
    };
    match element.width() {
        4 => format!("{}({scalar})", register_type(dtype, 4)),
        _ => scalar,
    }
}

/// The operand times one.
pub(crate) fn not_to_be_cancelled(element: &mut Expression, dtype: DType, operand: &str) -> String {
    format!("({operand} * {})", parameter(element, dtype, "one", 1.0))
}

/// A factor, dividend or divisor of zero is a parameter: a driver takes `x * 0` and `0 / x` for zero.
pub(crate) fn not_to_be_folded(element: &mut Expression, dtype: DType, operand: &str) -> String {
    let is = |zero: f64| operand == literal(dtype, zero, element.width());
    if is(0.0) {
        parameter(element, dtype, "zero", 0.0)
    } else if is(-0.0) {
        parameter(element, dtype, "minus_zero", -0.0)
    } else {
        operand.into()
    }
}
