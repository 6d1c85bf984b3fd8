//! Functions of single elements, and arithmetic with numbers and other tensors.

use kiln_graph::functions::activation as act;
use kiln_graph::functions::elementary::{exp_minus_one, floor_quotient, log_one_plus};
use kiln_graph::ops::{BinaryOp, Cast, UnaryOp, broadcast};
use kiln_graph::{DType, Op, ShapeDisplay, ValueId};
use ruff_python_ast::{CmpOp, Operator};

use super::{Function, functions};
use crate::python::{Bound, Fault, Interpreter, Result, Value};

macro_rules! unary {
    ($op:ident) => {
        |i, b| {
            let x = i.tensor(b, "input")?;
            let x = i.as_float(x)?;
            Ok(Value::tensor(i.op(Op::Unary(UnaryOp::$op), &[x])?))
        }
    };
}

/// Whole numbers are as they are.
macro_rules! rounding {
    ($op:ident) => {
        |i, b| {
            let x = i.tensor(b, "input")?;
            Ok(Value::tensor(if i.dtype(x).is_float() { i.op(Op::Unary(UnaryOp::$op), &[x])? } else { x }))
        }
    };
}

macro_rules! binary {
    ($op:ident) => {
        |i, b| i.combine(BinaryOp::$op, &b.get("input"), &b.get("other"))
    };
}

pub(super) static FUNCTIONS: &[Function] = functions! {
    TM "abs" or "absolute" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        Ok(Value::tensor(i.op(Op::Unary(UnaryOp::Abs), &[x])?))
    },
    TM "neg" or "negative" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        Ok(Value::tensor(i.op(Op::Unary(UnaryOp::Neg), &[x])?))
    },
    TM "sign" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        let sign = i.op(Op::Unary(UnaryOp::Sign), &[x])?;
        if !i.dtype(x).is_float() {
            return Ok(Value::tensor(sign));
        }
        // PyTorch's sign of NaN is zero.
        let mut f = i.formula();
        let nan = f.unary(UnaryOp::IsNan, x)?;
        let zero = f.number_like(0.0, x);
        Ok(Value::tensor(f.select(nan, zero, sign)?))
    },
    TM "exp" ("input") => unary!(Exp),
    TM "log" ("input") => unary!(Log),
    TM "sqrt" ("input") => unary!(Sqrt),
    TM "reciprocal" ("input") => unary!(Reciprocal),
    TM "sin" ("input") => unary!(Sin),
    TM "cos" ("input") => unary!(Cos),
    TM "tan" ("input") => unary!(Tan),
    TM "asin" or "arcsin" ("input") => unary!(Asin),
    TM "acos" or "arccos" ("input") => unary!(Acos),
    TM "atan" or "arctan" ("input") => unary!(Atan),
    TM "sinh" ("input") => unary!(Sinh),
    TM "cosh" ("input") => unary!(Cosh),
    TM "asinh" ("input") => unary!(Asinh),
    TM "acosh" ("input") => unary!(Acosh),
    TM "atanh" ("input") => unary!(Atanh),
    TM "erf" ("input") => unary!(Erf),
    TM "floor" ("input") => rounding!(Floor),
    TM "ceil" ("input") => rounding!(Ceil),
    TM "round" ("input") => rounding!(Round),
    TM "isnan" ("input") => unary!(IsNan),
    TM "isinf" ("input") => unary!(IsInf),
    TM "logical_not" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        let x = i.as_type(x, DType::Bool)?;
        Ok(Value::tensor(i.op(Op::Unary(UnaryOp::Not), &[x])?))
    },
    TM "rsqrt" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        let x = i.as_float(x)?;
        let root = i.op(Op::Unary(UnaryOp::Sqrt), &[x])?;
        Ok(Value::tensor(i.op(Op::Unary(UnaryOp::Reciprocal), &[root])?))
    },
    TM "square" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        Ok(Value::tensor(i.op(Op::Binary(BinaryOp::Mul), &[x, x])?))
    },
    TM "log2" ("input") => |i, b| scaled_log(i, b, std::f64::consts::LOG2_E),
    TM "log10" ("input") => |i, b| scaled_log(i, b, std::f64::consts::LOG10_E),
    TM "log1p" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        let x = i.as_float(x)?;
        Ok(Value::tensor(log_one_plus(&mut i.formula(), x)?))
    },
    TM "expm1" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        let x = i.as_float(x)?;
        Ok(Value::tensor(exp_minus_one(&mut i.formula(), x)?))
    },
    TM "clamp" or "clip" ("input, min=None, max=None") => clamp,
    TM "clamp_min" ("input, min") => |i, b| limited(i, &b.get("input"), Limit::Min, &b.get("min")),
    TM "clamp_max" ("input, max") => |i, b| limited(i, &b.get("input"), Limit::Max, &b.get("max")),
    TM "add" ("input, other, *, alpha=1") => |i, b| {
        let other = scaled(i, b)?;
        i.combine(BinaryOp::Add, &b.get("input"), &other)
    },
    TM "sub" or "subtract" ("input, other, *, alpha=1") => |i, b| {
        let other = scaled(i, b)?;
        i.combine(BinaryOp::Sub, &b.get("input"), &other)
    },
    TM "mul" or "multiply" ("input, other") => binary!(Mul),
    TM "div" or "divide" or "true_divide" ("input, other, *, rounding_mode=None") => |i, b| {
        let op = match b.get("rounding_mode") {
            Value::None => Operator::Div,
            Value::Str(mode) if &*mode == "floor" => Operator::FloorDiv,
            Value::Str(mode) if &*mode == "trunc" => return truncated(i, b),
            _ => return Err(b.wrong("rounding_mode", "None, 'floor' or 'trunc'")),
        };
        i.tensor_binary(op, &b.get("input"), &b.get("other"))
    },
    TM "pow" ("input, exponent") => |i, b| i.tensor_binary(Operator::Pow, &b.get("input"), &b.get("exponent")),
    TM "remainder" ("input, other") => binary!(Mod),
    TM "fmod" ("input, other") => binary!(Rem),
    TM "maximum" ("input, other") => binary!(Max),
    TM "minimum" ("input, other") => binary!(Min),
    TM "eq" ("input, other") => binary!(Equal),
    TM "ne" ("input, other") => |i, b| i.tensor_compare(CmpOp::NotEq, &b.get("input"), &b.get("other")),
    TM "lt" ("input, other") => binary!(Less),
    TM "le" ("input, other") => binary!(LessOrEqual),
    TM "gt" ("input, other") => binary!(Greater),
    TM "ge" ("input, other") => binary!(GreaterOrEqual),
    TM "logical_and" ("input, other") => binary!(And),
    TM "logical_or" ("input, other") => binary!(Or),
    TM "logical_xor" ("input, other") => binary!(Xor),
    T "where" ("condition, input, other") => choose,
    M "where" ("input, condition, other") => choose,
    M "masked_fill" ("input, mask, value") => |i, b| {
        let mask = i.tensor(b, "mask")?;
        let [x, y] = i.promoted(&b.get("input"), &b.get("value"))?;
        Ok(Value::tensor(i.op(Op::Select, &[mask, y, x])?))
    },
    TM "lerp" ("input, end, weight") => |i, b| {
        let apart = i.combine(BinaryOp::Sub, &b.get("end"), &b.get("input"))?;
        let part = i.combine(BinaryOp::Mul, &apart, &b.get("weight"))?;
        i.combine(BinaryOp::Add, &b.get("input"), &part)
    },
};

/// `where(condition, input, other)`, of which both may be numbers.
fn choose(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let condition = i.tensor(b, "condition")?;
    let (mut input, other) = (b.get("input"), b.get("other"));
    if i.optional_tensor_of(&input)?.is_none() && i.optional_tensor_of(&other)?.is_none() {
        let dtype = match (&input, &other) {
            (Value::Bool(_), Value::Bool(_)) => DType::Bool,
            (Value::Int(_) | Value::Bool(_), Value::Int(_) | Value::Bool(_)) => DType::I64,
            _ => DType::F32,
        };
        let number = input.as_f64().ok_or_else(|| b.wrong("input", "a tensor or a number"))?;
        let number = i.formula().number(number);
        input = Value::tensor(i.as_type(number, dtype)?);
    }
    let [x, y] = i.promoted(&input, &other)?;
    Ok(Value::tensor(i.op(Op::Select, &[condition, x, y])?))
}

/// One side of a clamp.
#[derive(Clone, Copy)]
enum Limit {
    Min,
    Max,
}

fn clamp(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (x, low, high) = (b.get("input"), b.get("min"), b.get("max"));
    let tensors = [&x, &low, &high].map(|value| i.optional_tensor_of(value));
    let [Some(_), Some(_), Some(_)] = [tensors[0].clone()?, tensors[1].clone()?, tensors[2].clone()?] else {
        let x = if b.is_none("min") { x } else { limited(i, &x, Limit::Min, &low)? };
        return if b.is_none("max") { Ok(x) } else { limited(i, &x, Limit::Max, &high) };
    };
    let [x, low] = i.promoted(&x, &low)?;
    let [x, high] = i.promoted(&Value::tensor(x), &high)?;
    let low = i.as_type(low, i.dtype(x))?;
    Ok(Value::tensor(act::clamp_between(&mut i.formula(), x, low, high)?))
}

/// PyTorch's gradient on the limit is zero for a number and half for a tensor.
fn limited(i: &mut Interpreter, x: &Value, side: Limit, limit: &Value) -> Result<Value> {
    let op = match (side, i.optional_tensor_of(limit)?) {
        (Limit::Min, Some(_)) => BinaryOp::Max,
        (Limit::Max, Some(_)) => BinaryOp::Min,
        (Limit::Min, None) => BinaryOp::ClampMin,
        (Limit::Max, None) => BinaryOp::ClampMax,
    };
    i.combine(op, x, limit)
}

/// A quotient without what is behind its point. The core operator does this with integers.
fn truncated(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let pair = i.promoted(&b.get("input"), &b.get("other"))?;
    let quotient = i.op(Op::Binary(BinaryOp::Div), &pair)?;
    if !i.dtype(quotient).is_float() {
        return Ok(Value::tensor(quotient));
    }
    let sign = i.op(Op::Unary(UnaryOp::Sign), &[quotient])?;
    let size = i.op(Op::Unary(UnaryOp::Abs), &[quotient])?;
    let size = i.op(Op::Unary(UnaryOp::Floor), &[size])?;
    Ok(Value::tensor(i.op(Op::Binary(BinaryOp::Mul), &[sign, size])?))
}

fn scaled_log(i: &mut Interpreter, b: &Bound, factor: f64) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let x = i.as_float(x)?;
    let log = Value::tensor(i.op(Op::Unary(UnaryOp::Log), &[x])?);
    i.combine(BinaryOp::Mul, &log, &Value::Float(factor))
}

fn scaled(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    match b.get("alpha").as_f64() {
        Some(1.0) => Ok(b.get("other")),
        _ => i.binary(Operator::Mult, &b.get("other"), &b.get("alpha")),
    }
}

impl Interpreter {
    /// As another element type.
    pub(crate) fn as_type(&mut self, x: ValueId, to: DType) -> Result<ValueId> {
        if self.dtype(x) == to { Ok(x) } else { self.op(Op::Cast(Cast { to }), &[x]) }
    }

    /// Integers become `f32`, as PyTorch's functions of real numbers make them.
    pub(crate) fn as_float(&mut self, x: ValueId) -> Result<ValueId> {
        if self.dtype(x).is_float() { Ok(x) } else { self.as_type(x, DType::F32) }
    }

    /// Two operands, of which one is a tensor, as tensors of one element type. A number takes the type of the tensor,
    /// unless that is of integers and the number has a point.
    pub(crate) fn promoted(&mut self, left: &Value, right: &Value) -> Result<[ValueId; 2]> {
        let (a, b) = (self.optional_tensor_of(left)?, self.optional_tensor_of(right)?);
        let pair = match (a, b) {
            (Some(a), Some(b)) => {
                let dtype = wider(self.dtype(a), self.dtype(b));
                [self.as_type(a, dtype)?, self.as_type(b, dtype)?]
            }
            (Some(a), None) => {
                let (a, b) = self.with_number(a, right)?;
                [a, b]
            }
            (None, Some(b)) => {
                let (b, a) = self.with_number(b, left)?;
                [a, b]
            }
            (None, None) => {
                return Err(Fault::type_error(format!(
                    "this takes tensors, but is given a {} and a {}",
                    left.type_name(),
                    right.type_name()
                )));
            }
        };
        let shapes = [self.shape(pair[0]), self.shape(pair[1])];
        if self.assume(|guards| broadcast(&shapes[0], &shapes[1], guards).ok()).is_none() {
            let [x, y] = pair.map(|id| format!("`{}` ({})", self.maker(id), ShapeDisplay(&self.shape(id))));
            return Err(Fault::value(format!("the shapes of {x} and {y} do not fit each other"))
                .help(super::advice::to_fit(&shapes[0], &shapes[1])));
        }
        Ok(pair)
    }

    fn with_number(&mut self, tensor: ValueId, number: &Value) -> Result<(ValueId, ValueId)> {
        let dtype = self.dtype(tensor);
        let tensor = match (dtype, number) {
            (DType::I32 | DType::I64 | DType::U8, Value::Float(_)) => self.as_type(tensor, DType::F32)?,
            (DType::Bool, Value::Float(_)) => self.as_type(tensor, DType::F32)?,
            (DType::Bool, Value::Int(_)) => self.as_type(tensor, DType::I64)?,
            _ => tensor,
        };
        let id = match number {
            Value::Size(dim) => {
                let mut f = self.formula();
                let size = f.size((**dim).clone())?;
                let dtype = f.ty(tensor).dtype;
                f.cast(size, dtype)?
            }
            Value::Opaque(opaque) => return Err(crate::python::unknown(opaque)),
            other => {
                let value = other.as_f64().ok_or_else(|| {
                    let fault =
                        Fault::type_error(format!("a tensor and a {} cannot be combined", other.type_name()));
                    match other {
                        Value::None => fault.help("does a `forward` lack its `return`?"),
                        Value::Tuple(_) => fault
                            .help("does the function give several results? `y, _ = f(x)` takes the first"),
                        _ => fault,
                    }
                })?;
                let mut f = self.formula();
                f.number_like(value, tensor)
            }
        };
        Ok((tensor, id))
    }

    /// An elementwise function of two operands, with broadcasting.
    pub(crate) fn combine(&mut self, op: BinaryOp, left: &Value, right: &Value) -> Result<Value> {
        let mut pair = self.promoted(left, right)?;
        // Of truth values, PyTorch's sums and products are truth values, too.
        let op = match op {
            BinaryOp::Add | BinaryOp::Max | BinaryOp::ClampMin if self.dtype(pair[0]) == DType::Bool => {
                BinaryOp::Or
            }
            BinaryOp::Mul | BinaryOp::Min | BinaryOp::ClampMax if self.dtype(pair[0]) == DType::Bool => {
                BinaryOp::And
            }
            op => op,
        };
        let is_logic = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor);
        if is_logic {
            pair = [self.as_type(pair[0], DType::Bool)?, self.as_type(pair[1], DType::Bool)?];
        } else if self.dtype(pair[0]) == DType::Bool && op != BinaryOp::Equal {
            pair = [self.as_type(pair[0], DType::I64)?, self.as_type(pair[1], DType::I64)?];
        }
        Ok(Value::tensor(self.op(Op::Binary(op), &pair)?))
    }

    /// `left op right` with a tensor among them.
    pub(crate) fn tensor_binary(&mut self, op: Operator, left: &Value, right: &Value) -> Result<Value> {
        self.trace.function(match op {
            Operator::Add => "add",
            Operator::Sub => "sub",
            Operator::Mult => "mul",
            Operator::Div => "div",
            Operator::FloorDiv => "floor_divide",
            Operator::Pow => "pow",
            Operator::MatMult => "matmul",
            Operator::Mod => "remainder",
            Operator::BitAnd => "logical_and",
            Operator::BitOr => "logical_or",
            Operator::BitXor => "logical_xor",
            Operator::LShift | Operator::RShift => "shift",
        });
        match op {
            Operator::Add => self.combine(BinaryOp::Add, left, right),
            Operator::Sub => self.combine(BinaryOp::Sub, left, right),
            Operator::Mult => self.combine(BinaryOp::Mul, left, right),
            Operator::Mod => self.combine(BinaryOp::Mod, left, right),
            Operator::Div => {
                let [a, b] = self.promoted(left, right)?;
                let (a, b) = (self.as_float(a)?, self.as_float(b)?);
                Ok(Value::tensor(self.op(Op::Binary(BinaryOp::Div), &[a, b])?))
            }
            Operator::FloorDiv => {
                let [a, b] = self.promoted(left, right)?;
                if !self.dtype(a).is_float() {
                    // What is left once the remainder, which has the divisor's sign, is taken away can be divided.
                    let rest = self.op(Op::Binary(BinaryOp::Mod), &[a, b])?;
                    let whole = self.op(Op::Binary(BinaryOp::Sub), &[a, rest])?;
                    return Ok(Value::tensor(self.op(Op::Binary(BinaryOp::Div), &[whole, b])?));
                }
                self.nodes()?;
                Ok(Value::tensor(floor_quotient(&mut self.formula(), a, b)?))
            }
            Operator::Pow => {
                if let (Some(x), Some(exponent)) = (self.optional_tensor_of(left)?, right.as_f64())
                    && let Some(power) = self.simple_power(x, exponent)?
                {
                    return Ok(Value::tensor(power));
                }
                self.combine(BinaryOp::Pow, left, right)
            }
            Operator::MatMult => {
                let (Some(a), Some(b)) = (self.optional_tensor_of(left)?, self.optional_tensor_of(right)?)
                else {
                    return Err(Fault::type_error("`@` is between two tensors"));
                };
                Ok(Value::tensor(kiln_graph::functions::linear::matmul(&mut self.formula(), a, b)?))
            }
            Operator::BitAnd => self.bits(BinaryOp::And, left, right),
            Operator::BitOr => self.bits(BinaryOp::Or, left, right),
            Operator::BitXor => self.bits(BinaryOp::Xor, left, right),
            Operator::LShift | Operator::RShift => {
                Err(Fault::unsupported("shifts of tensors are not supported"))
            }
        }
    }

    /// The powers that PyTorch does not compute by logarithms either: exact, and cheaper. Its roots are those of
    /// `sqrt`, so that of -0 and minus infinity they are not what other powers are.
    fn simple_power(&mut self, x: ValueId, exponent: f64) -> Result<Option<ValueId>> {
        let simple: &[f64] = match self.dtype(x) {
            DType::Bool => &[],
            dtype if dtype.is_float() => &[2.0, 3.0, 0.5, -0.5, -1.0, -2.0],
            _ => &[2.0, 3.0],
        };
        if !simple.contains(&exponent) {
            return Ok(None);
        }
        let mut base = if exponent.abs() == 0.5 { self.op(Op::Unary(UnaryOp::Sqrt), &[x])? } else { x };
        if exponent < 0.0 {
            base = self.op(Op::Unary(UnaryOp::Reciprocal), &[base])?;
        }
        let power = match exponent.abs() {
            2.0 | 3.0 => self.op(Op::Binary(BinaryOp::Mul), &[base, base])?,
            _ => base,
        };
        Ok(Some(if exponent == 3.0 { self.op(Op::Binary(BinaryOp::Mul), &[power, base])? } else { power }))
    }

    /// `&`, `|`, `^`: the logical functions for truth values, another one for numbers.
    fn bits(&mut self, op: BinaryOp, left: &Value, right: &Value) -> Result<Value> {
        let [a, _] = self.promoted(left, right)?;
        if self.dtype(a) != DType::Bool {
            return Err(Fault::unsupported("`&`, `|` and `^` are for boolean tensors"));
        }
        self.combine(op, left, right)
    }

    /// `-x`, `~x`
    pub(crate) fn tensor_unary(&mut self, op: ruff_python_ast::UnaryOp, operand: &Value) -> Result<Value> {
        let Some(x) = self.optional_tensor_of(operand)? else { return Ok(Value::None) };
        self.trace.function(if op == ruff_python_ast::UnaryOp::USub { "neg" } else { "logical_not" });
        let op = match op {
            ruff_python_ast::UnaryOp::USub => UnaryOp::Neg,
            _ if self.dtype(x) == DType::Bool => UnaryOp::Not,
            _ => return Err(Fault::unsupported("`~` is for boolean tensors")),
        };
        Ok(Value::tensor(self.op(Op::Unary(op), &[x])?))
    }

    /// `left < right` and its like, element by element.
    pub(crate) fn tensor_compare(&mut self, op: CmpOp, left: &Value, right: &Value) -> Result<Value> {
        self.trace.function("compare");
        let (op, negate) = match op {
            CmpOp::Eq => (BinaryOp::Equal, false),
            CmpOp::NotEq => (BinaryOp::Equal, true),
            CmpOp::Lt => (BinaryOp::Less, false),
            CmpOp::LtE => (BinaryOp::LessOrEqual, false),
            CmpOp::Gt => (BinaryOp::Greater, false),
            CmpOp::GtE => (BinaryOp::GreaterOrEqual, false),
            CmpOp::Is | CmpOp::IsNot | CmpOp::In | CmpOp::NotIn => {
                return Err(Fault::unsupported("tensors cannot be compared like this"));
            }
        };
        let result = self.combine(op, left, right)?;
        match (negate, self.optional_tensor_of(&result)?) {
            (true, Some(id)) => Ok(Value::tensor(self.op(Op::Unary(UnaryOp::Not), &[id])?)),
            _ => Ok(result),
        }
    }
}

/// The type that both can be represented in, as PyTorch promotes types.
pub(super) fn wider(a: DType, b: DType) -> DType {
    let rank = |dtype| match dtype {
        DType::Bool => 0,
        DType::U8 | DType::I8 => 1,
        DType::I16 | DType::U16 => 2,
        DType::I32 | DType::U32 => 3,
        DType::I64 => 4,
        DType::F16 => 5,
        DType::F32 => 6,
        DType::F64 => 7,
    };
    match (a, b) {
        (DType::U8, DType::I8) | (DType::I8, DType::U8) => DType::I16,
        _ if rank(a) >= rank(b) => a,
        _ => b,
    }
}
