//! Elementwise operators as WGSL: arithmetic in the types that values have on the device, and conversions between these.

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{DType, NodeId, Op};

use super::drivers::{cancels, not_to_be_cancelled, not_to_be_folded};
use super::expression::Expression;
use crate::element::{literal, register_type};
use crate::error::CompileError;
use crate::memory::values::Values;

/// WGSL for one elementwise operator.
pub(crate) fn compute(
    values: &Values<'_>,
    element: &mut Expression,
    id: NodeId,
    arguments: &[(String, DType)],
    result: DType,
) -> Result<String, CompileError> {
    let node = values.graph.node(id);
    let wrong = |dtype| CompileError::DType { value: node.name.clone(), dtype };
    let arg = |i: usize| arguments.get(i).map_or("", |(name, _)| name.as_str());
    let dtype = arguments.first().map_or(result, |(_, dtype)| *dtype);
    // What is never stored needs the device's arithmetic all the same.
    for id in node.outputs.iter().chain(&node.inputs) {
        values.element(*id)?;
    }
    match &node.op {
        Op::Unary(op) => {
            if dtype == DType::F64 && !in_doubles(*op) {
                return Err(wrong(dtype));
            }
            Ok(compute_unary(element, *op, dtype, result, arg(0)))
        }
        Op::Binary(op) => {
            if dtype == DType::F64 && matches!(op, BinaryOp::Pow) {
                return Err(wrong(dtype));
            }
            let cancels = cancels(values, id, *op);
            Ok(compute_binary(element, *op, arguments, result, cancels))
        }
        Op::Select => {
            let operand = |i: usize| arguments.get(i).map_or(result, |(_, dtype)| *dtype);
            let a = converted(element, operand(1), result, arg(1));
            let b = converted(element, operand(2), result, arg(2));
            Ok(format!("select({b}, {a}, {})", arg(0)))
        }
        Op::Cast(_) => Ok(cast_to(element, dtype, result, arg(0))),
        Op::Conv(_)
        | Op::Pool(_)
        | Op::MatMul(_)
        | Op::BatchNorm(_)
        | Op::Softmax(_)
        | Op::Reduce(_)
        | Op::ArgReduce(_)
        | Op::Reshape(_)
        | Op::Expand(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Gather(_)
        | Op::GatherElements(_)
        | Op::Scatter(_)
        | Op::ArgSort(_)
        | Op::Nonzero(_)
        | Op::Suppress(_)
        | Op::Resize(_)
        | Op::ShapeOf(_)
        | Op::Iota(_)
        | Op::Size(_)
        | Op::Random(_)
        | Op::Dropout(_)
        | Op::StopGradient
        | Op::ConvGradWeight(_)
        | Op::PoolGrad(_)
        | Op::Loop(_) => Err(CompileError::Unsupported {
            node: node.name.clone(),
            message: format!("{} is not an elementwise operator", node.op.name()),
        }),
    }
}

/// A function of `x` of type `dtype`, in the wider of its type and the result's.
fn compute_unary(element: &mut Expression, op: UnaryOp, dtype: DType, result: DType, x: &str) -> String {
    let common = wider(dtype, result);
    let x = converted(element, dtype, common, x);
    let code = unary(element, op, common, &x);
    match result {
        DType::I32 if common == DType::I64 => converted(element, common, result, &code),
        _ => wrapped(element.width(), result, code),
    }
}

/// A function of two operands; `cancels` says that a driver must not see what they have in common.
fn compute_binary(
    element: &mut Expression,
    op: BinaryOp,
    arguments: &[(String, DType)],
    result: DType,
    cancels: bool,
) -> String {
    let dtype = arguments.first().map_or(result, |(_, dtype)| *dtype);
    // What one of them needs 64 bits for is computed with so many.
    let types = arguments.iter().map(|(_, dtype)| *dtype);
    let common = types.chain([result]).reduce(wider).unwrap_or(dtype);
    let common = if common == DType::I64 { common } else { dtype };
    let operand = |i: usize| arguments.get(i).map_or((dtype, ""), |(name, dtype)| (*dtype, name.as_str()));
    let [a, b] = [operand(0), operand(1)].map(|(dtype, name)| converted(element, dtype, common, name));
    let b = if cancels { not_to_be_cancelled(element, common, &b) } else { b };
    let code = binary(element, op, common, &a, &b);
    match result {
        DType::Bool => code,
        DType::I32 if common == DType::I64 => converted(element, common, result, &code),
        _ => wrapped(element.width(), result, code),
    }
}

/// `x` of type `from` as `to`, where one of them is a 64-bit integer that the other is known to fit.
pub(crate) fn converted(element: &Expression, from: DType, to: DType, x: &str) -> String {
    if from == to {
        return x.to_owned();
    }
    widened(from, to, format!("{}({x})", register_type(to, element.width())), element.width())
}

/// What has become a 64-bit integer, without the copies of the highest bit that naga lets an unsigned one have.
fn widened(from: DType, to: DType, code: String, width: usize) -> String {
    if from == DType::U32 && to == DType::I64 {
        return format!("({code} & {})", literal(to, f64::from(u32::MAX), width));
    }
    code
}

/// The type of two that holds both, where one is a 64-bit integer that has 32 bits on the device and the other is not.
fn wider(a: DType, b: DType) -> DType {
    if b == DType::I64 && a == DType::I32 { b } else { a }
}

/// Whether devices have a function for 64-bit floats, too.
fn in_doubles(op: UnaryOp) -> bool {
    matches!(
        op,
        UnaryOp::Neg
            | UnaryOp::Abs
            | UnaryOp::Sign
            | UnaryOp::Reciprocal
            | UnaryOp::Sqrt
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Exp
            | UnaryOp::Log
            | UnaryOp::IsNan
            | UnaryOp::IsInf
    )
}

/// An integer that may have left the range of its type, back in it: it wraps around.
pub(crate) fn wrapped(width: usize, dtype: DType, code: String) -> String {
    let spread = |n: u32| if width == 4 { format!("vec4<u32>({n}u)") } else { format!("{n}u") };
    match dtype {
        DType::I8 => format!("(({code}) << {0}) >> {0}", spread(24)),
        DType::I16 => format!("(({code}) << {0}) >> {0}", spread(16)),
        DType::U8 => format!("({code}) & {}", spread(0xff)),
        DType::U16 => format!("({code}) & {}", spread(0xffff)),
        DType::F32 | DType::F16 | DType::F64 | DType::I32 | DType::I64 | DType::U32 | DType::Bool => code,
    }
}

/// As the evaluator casts: floats are truncated, and saturate; integers wrap around.
fn cast_to(element: &mut Expression, from: DType, to: DType, x: &str) -> String {
    let width = element.width();
    let ty = register_type(to, width);
    if to == DType::Bool {
        return match from {
            DType::Bool => x.into(),
            // NaN is no zero, which a comparison does not promise.
            DType::F32 | DType::F16 => {
                element.used.insert("size_bits");
                format!("size_bits({x}) != {}()", register_type(DType::I32, width))
            }
            DType::F64 => {
                element.used.insert("is_nan_double");
                format!("({x} != {}()) | is_nan_double({x})", register_type(from, width))
            }
            DType::I32 | DType::I64 | DType::U8 | DType::I8 | DType::U16 | DType::I16 | DType::U32 => {
                format!("{x} != {}()", register_type(from, width))
            }
        };
    }
    if to == DType::F16 && from != DType::F16 && from != DType::Bool {
        element.used.insert("round_to_half");
        return format!("round_to_half({}({x}))", register_type(DType::F32, width));
    }
    match (from.is_float(), to.is_float()) {
        _ if from == DType::Bool => format!("select({ty}(), {ty}({}), {x})", literal(to, 1.0, 1)),
        (_, true) => format!("{ty}({x})"),
        (true, false) => {
            let is_double = from == DType::F64;
            let function = match to {
                DType::I64 if is_double => "whole_long_double",
                DType::I64 => "whole_long",
                DType::U32 | DType::U16 | DType::U8 if is_double => "whole_unsigned_double",
                DType::U32 | DType::U16 | DType::U8 => "whole_unsigned",
                _ if is_double => "whole_int_double",
                _ => "whole_int",
            };
            element.used.insert(function);
            let whole = format!("{function}({x})");
            match to.integer_range() {
                Some((low, high)) if matches!(to, DType::I8 | DType::I16 | DType::U8 | DType::U16) => {
                    let limit = |n: i64| literal(to, n as f64, width);
                    format!("clamp({whole}, {}, {})", limit(low), limit(high))
                }
                Some(_) | None => whole,
            }
        }
        (false, false) => widened(from, to, wrapped(element.width(), to, format!("{ty}({x})")), width),
    }
}

fn unary(element: &mut Expression, op: UnaryOp, dtype: DType, x: &str) -> String {
    let mut call = |function: &'static str| {
        element.used.insert(function);
        format!("{function}({x})")
    };
    match op {
        UnaryOp::Neg if dtype.integer_range().is_some_and(|(low, _)| low == 0) => {
            format!("{}() - {x}", register_type(dtype, element.width()))
        }
        UnaryOp::Neg => format!("-{x}"),
        UnaryOp::Abs => format!("abs({x})"),
        UnaryOp::Sign if dtype.integer_range().is_some_and(|(low, _)| low == 0) => {
            format!("min({x}, {})", literal(dtype, 1.0, element.width()))
        }
        UnaryOp::Sign if dtype == DType::F64 => call("sign_safe_double"),
        UnaryOp::Sign if dtype.is_float() => call("sign_safe"),
        UnaryOp::Sign => format!("sign({x})"),
        UnaryOp::Reciprocal => format!("{} / {x}", literal(dtype, 1.0, element.width())),
        UnaryOp::Exp if dtype == DType::F64 => call("exp_double"),
        UnaryOp::Exp => format!("exp({x})"),
        UnaryOp::Log if dtype == DType::F64 => call("log_double"),
        UnaryOp::Log => call("log_safe"),
        UnaryOp::Sqrt => format!("sqrt({x})"),
        UnaryOp::Sin => call("sine"),
        UnaryOp::Cos => call("cosine"),
        UnaryOp::Tan => call("tangent"),
        UnaryOp::Asin => call("arc_sine"),
        UnaryOp::Acos => call("arc_cosine"),
        UnaryOp::Atan => call("arc_tangent"),
        UnaryOp::Sinh => call("sinh_safe"),
        UnaryOp::Cosh => call("cosh_safe"),
        UnaryOp::Tanh => call("tanh_safe"),
        UnaryOp::Asinh => call("asinh_safe"),
        UnaryOp::Acosh => call("acosh_safe"),
        UnaryOp::Atanh => call("atanh_safe"),
        UnaryOp::Relu if !dtype.is_float() => format!("max({x}, {})", literal(dtype, 0.0, element.width())),
        UnaryOp::Relu => call("relu"),
        UnaryOp::Sigmoid => call("sigmoid"),
        UnaryOp::Softplus => call("softplus"),
        UnaryOp::Erf => call("erf"),
        UnaryOp::Floor => format!("floor({x})"),
        UnaryOp::Ceil => format!("ceil({x})"),
        UnaryOp::Round => format!("round({x})"),
        UnaryOp::Not => format!("!{x}"),
        UnaryOp::IsNan if dtype == DType::F64 => call("is_nan_double"),
        UnaryOp::IsNan => call("is_nan"),
        UnaryOp::IsInf if dtype == DType::F64 => call("is_inf_double"),
        UnaryOp::IsInf => call("is_inf"),
        UnaryOp::BitNot => format!("~{x}"),
        UnaryOp::ToBits => format!("bitcast<{}>({x})", register_type(DType::I32, element.width())),
        UnaryOp::FromBits => format!("bitcast<{}>({x})", register_type(DType::F32, element.width())),
    }
}

/// Whether an operand is a number written into the kernel, and finite.
fn number(operand: &str) -> bool {
    let scalar = operand.strip_prefix("vec4<f32>(").unwrap_or(operand);
    scalar.starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

fn binary(element: &mut Expression, op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
    let float = dtype.is_float();
    let (a, b) = if float && matches!(op, BinaryOp::Mul | BinaryOp::Div) {
        (not_to_be_folded(element, dtype, a), not_to_be_folded(element, dtype, b))
    } else {
        (a.to_owned(), b.to_owned())
    };
    let (a, b) = (a.as_str(), b.as_str());
    let is_bool = dtype == DType::Bool;
    let mut call = |function: &'static str| {
        element.used.insert(function);
        format!("{function}({a}, {b})")
    };
    match op {
        BinaryOp::Add => format!("{a} + {b}"),
        BinaryOp::Sub => format!("{a} - {b}"),
        BinaryOp::Mul => format!("{a} * {b}"),
        BinaryOp::Div => format!("{a} / {b}"),
        BinaryOp::Pow if float => call("power"),
        BinaryOp::Pow if dtype == DType::I64 => call("power_long"),
        BinaryOp::Pow if dtype.integer_range().is_some_and(|(low, _)| low == 0) => call("power_unsigned"),
        BinaryOp::Pow => call("power_int"),
        BinaryOp::Mod if dtype == DType::F64 => call("floor_mod_double"),
        BinaryOp::Mod if float => call("floor_mod"),
        BinaryOp::Mod if dtype == DType::I64 => call("floor_mod_long"),
        BinaryOp::Mod if dtype.integer_range().is_some_and(|(low, _)| low == 0) => format!("{a} % {b}"),
        BinaryOp::Mod => call("floor_mod_int"),
        BinaryOp::Rem if dtype == DType::F64 => call("remainder_double"),
        BinaryOp::Rem if float => call("remainder"),
        BinaryOp::Rem if dtype == DType::I64 => format!("{a} % {b}"),
        BinaryOp::Rem if dtype.integer_range().is_some_and(|(low, _)| low == 0) => format!("{a} % {b}"),
        BinaryOp::Rem => call("remainder_int"),
        // A number that is no NaN needs only one comparison, which is false for NaN.
        BinaryOp::Min | BinaryOp::ClampMax if float && number(b) => format!("select({a}, {b}, {a} > {b})"),
        BinaryOp::Max | BinaryOp::ClampMin if float && number(b) => format!("select({a}, {b}, {a} < {b})"),
        BinaryOp::Min | BinaryOp::ClampMax if dtype == DType::F64 => call("minimum_double"),
        BinaryOp::Max | BinaryOp::ClampMin if dtype == DType::F64 => call("maximum_double"),
        BinaryOp::Min | BinaryOp::ClampMax if float => call("minimum"),
        BinaryOp::Min | BinaryOp::ClampMax => format!("min({a}, {b})"),
        BinaryOp::Max | BinaryOp::ClampMin if float => call("maximum"),
        BinaryOp::Max | BinaryOp::ClampMin => format!("max({a}, {b})"),
        BinaryOp::Equal => format!("{a} == {b}"),
        BinaryOp::Less => format!("{a} < {b}"),
        BinaryOp::LessOrEqual => format!("{a} <= {b}"),
        BinaryOp::Greater => format!("{a} > {b}"),
        BinaryOp::GreaterOrEqual => format!("{a} >= {b}"),
        BinaryOp::And => format!("{a} & {b}"),
        BinaryOp::Or => format!("{a} | {b}"),
        BinaryOp::Xor if is_bool => format!("{a} != {b}"),
        BinaryOp::Xor | BinaryOp::BitXor => format!("{a} ^ {b}"),
        BinaryOp::BitAnd => format!("{a} & {b}"),
        BinaryOp::BitOr => format!("{a} | {b}"),
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight => shift(element, op, dtype, a, b),
    }
}

/// By as many places as there can be at most: to the right of a signed number that leaves copies of the sign, which is
/// what more places, or less than none, leave too. Of other numbers they leave zero.
fn shift(element: &mut Expression, op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
    let width = element.width();
    let zero = literal(dtype, 0.0, width);
    let signed = dtype.integer_range().is_some_and(|(low, _)| low < 0);
    let counted = if signed { DType::I32 } else { DType::U32 };
    let (b, most) = if dtype == DType::I64 {
        element.used.insert("places_long");
        (format!("places_long({b})"), 63.0)
    } else {
        (b.to_owned(), 31.0)
    };
    let (none, limit) = (literal(counted, 0.0, width), literal(counted, most, width));
    let inside =
        if signed { format!("({b} >= {none}) & ({b} <= {limit})") } else { format!("{b} <= {limit}") };
    let places = format!("{}(select({limit}, {b}, {inside}))", register_type(DType::U32, width));
    match op {
        BinaryOp::ShiftRight if signed => format!("{a} >> {places}"),
        BinaryOp::ShiftRight => format!("select({zero}, {a} >> {places}, {inside})"),
        _ => format!("select({zero}, {a} << {places}, {inside})"),
    }
}
