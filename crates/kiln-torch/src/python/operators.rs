//! Arithmetic and comparison.

use std::cmp::Ordering;
use std::rc::Rc;

use kiln_graph::{Bounds, Dim, Interval};
use ruff_python_ast::{CmpOp, Operator, UnaryOp};

use super::Interpreter;
use super::fault::{Fault, Result};
use super::value::Value;

/// Whether a size is above zero: symbols are at least one.
pub(crate) fn is_positive(dim: &Dim) -> Option<bool> {
    let Interval { low, high } = dim.interval(Bounds::default());
    if low > 0 {
        return Some(true);
    }
    (high <= 0).then_some(false)
}

/// Something depends on a size that is only known later.
pub(crate) fn unknown_size(dim: &Dim) -> Fault {
    let symbol = dim.symbols().first().map_or_else(|| "N".to_owned(), ToString::to_string);
    let (which, every) = if symbol == "N" { ("the batch size", "batch") } else { ("an open size", "size") };
    Fault::unsupported(format!("this depends on {which}: it compares with `{dim}`, which is a symbol"))
        .help(format!("a plan serves every {every}; `--dim {symbol}=8` would fix it"))
}

/// The symbol of an operator.
pub(crate) fn symbol(op: Operator) -> &'static str {
    op.as_str()
}

/// The method of a class that says what an operator does, for the left and for the right operand.
fn methods(op: Operator) -> (&'static str, &'static str) {
    match op {
        Operator::Add => ("__add__", "__radd__"),
        Operator::Sub => ("__sub__", "__rsub__"),
        Operator::Mult => ("__mul__", "__rmul__"),
        Operator::MatMult => ("__matmul__", "__rmatmul__"),
        Operator::Div => ("__truediv__", "__rtruediv__"),
        Operator::Mod => ("__mod__", "__rmod__"),
        Operator::Pow => ("__pow__", "__rpow__"),
        Operator::LShift => ("__lshift__", "__rlshift__"),
        Operator::RShift => ("__rshift__", "__rrshift__"),
        Operator::BitOr => ("__or__", "__ror__"),
        Operator::BitXor => ("__xor__", "__rxor__"),
        Operator::BitAnd => ("__and__", "__rand__"),
        Operator::FloorDiv => ("__floordiv__", "__rfloordiv__"),
    }
}

fn unary_method(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::USub => "__neg__",
        UnaryOp::UAdd => "__pos__",
        UnaryOp::Invert | UnaryOp::Not => "__invert__",
    }
}

impl Interpreter {
    /// What a class of the program says about two values: `__eq__`, `__lt__`.
    fn compared(&mut self, method: &'static str, left: &Value, right: &Value) -> Result<Option<bool>> {
        let Value::Object(object) = left else { return Ok(None) };
        if object.class.find(method).is_none() {
            return Ok(None);
        }
        let method = self.attribute(left, method)?;
        let answer = self.deeper_call(|this| this.call(&method, super::Args::of([right.clone()])))?;
        self.truth(&answer).map(Some)
    }

    /// `left op= right` where the class says what that does.
    pub(crate) fn in_place(&mut self, op: Operator, left: &Value, right: &Value) -> Result<Option<Value>> {
        let Value::Object(object) = left else { return Ok(None) };
        let name = methods(op).0.replacen("__", "__i", 1);
        match object.class.find(&name) {
            Some(method) => {
                let method = Value::Method(Rc::new((method, left.clone())));
                self.call(&method, super::Args::of([right.clone()])).map(Some)
            }
            None => Ok(None),
        }
    }

    /// `left op right`
    pub(crate) fn binary(&mut self, op: Operator, left: &Value, right: &Value) -> Result<Value> {
        use Value::{Bool, Dict, Float, Int, List, Object, Opaque, Parameter, Size, Str, Tensor, Tuple};
        match (left, right) {
            (Value::Failed(fault), _) | (_, Value::Failed(fault)) => Err((**fault).clone()),
            (Tensor(_) | Parameter(_), _) | (_, Tensor(_) | Parameter(_)) => {
                self.constants(&[left, right])?;
                self.tensor_binary(op, left, right)
            }
            (Int(_) | Bool(_), Int(_) | Bool(_)) => self.integers(op, left, right),
            (Float(_), Float(_) | Int(_) | Bool(_)) | (Int(_) | Bool(_), Float(_)) => {
                let (a, b) = (left.as_f64().unwrap_or(0.0), right.as_f64().unwrap_or(0.0));
                floats(op, a, b).map(Float)
            }
            (Size(_), Size(_) | Int(_) | Bool(_)) | (Int(_) | Bool(_), Size(_)) => {
                let weight = |value: &Value| value.as_dim().map_or(1, |dim| dim.weight() as u64);
                self.step(weight(left) * weight(right) / 16)?;
                sizes(op, left, right)
            }
            (Size(dim), Float(_)) | (Float(_), Size(dim)) => Err(unknown_size(dim)),
            (Str(a), Str(b)) if op == Operator::Add => {
                self.cells(a.len() + b.len())?;
                Ok(Value::str(format!("{a}{b}")))
            }
            (Str(text), Int(n)) | (Int(n), Str(text)) if op == Operator::Mult => {
                let n = usize::try_from(*n).unwrap_or(0);
                self.cells(text.len().saturating_mul(n))?;
                Ok(Value::str(text.repeat(n)))
            }
            (Str(format), _) if op == Operator::Mod => self.percent(format, right),
            (List(a), List(b)) if op == Operator::Add => {
                let items: Vec<Value> = a.borrow().iter().chain(b.borrow().iter()).cloned().collect();
                self.cells(items.len())?;
                Ok(Value::list(items))
            }
            (Tuple(a), Tuple(b)) if op == Operator::Add => {
                self.cells(a.len() + b.len())?;
                Ok(Value::tuple(a.iter().chain(b.iter()).cloned()))
            }
            (List(items), n @ (Int(_) | Bool(_))) | (n @ (Int(_) | Bool(_)), List(items))
                if op == Operator::Mult =>
            {
                let repeated = self.repeated(&items.borrow(), n.as_int().unwrap_or(0))?;
                Ok(Value::list(repeated))
            }
            (Tuple(items), n @ (Int(_) | Bool(_))) | (n @ (Int(_) | Bool(_)), Tuple(items))
                if op == Operator::Mult =>
            {
                let repeated = self.repeated(items, n.as_int().unwrap_or(0))?;
                Ok(Value::tuple(repeated))
            }
            (Dict(a), Dict(b)) if op == Operator::BitOr => {
                let mut merged = super::value::Dict::of(a.borrow().entries.clone());
                merged.entries.extend(b.borrow().entries.clone());
                self.cells(merged.entries.len())?;
                Ok(Dict(Rc::new(merged.into())))
            }
            (Value::Set(a), Value::Set(b))
                if matches!(op, Operator::BitOr | Operator::BitAnd | Operator::Sub | Operator::BitXor) =>
            {
                let (a, b) = (a.borrow(), b.borrow());
                self.cells(a.entries.len() + b.entries.len())?;
                let only = |of: &super::value::Dict, other: &super::value::Dict, there: bool| {
                    let kept = of.entries.iter().filter(|(key, _)| other.entries.contains_key(*key) == there);
                    kept.map(|(key, entry)| (key.clone(), entry.clone())).collect::<Vec<_>>()
                };
                let mut entries = only(&a, &b, op == Operator::BitAnd);
                match op {
                    Operator::BitOr => {
                        entries = a.entries.clone().into_iter().collect();
                        entries.extend(only(&b, &a, false));
                    }
                    Operator::BitXor => entries.extend(only(&b, &a, false)),
                    _ => {}
                }
                let entries = entries.into_iter().collect();
                Ok(Value::Set(Rc::new(super::value::Dict::of(entries).into())))
            }
            // `int | None` where a type is written.
            (Value::Class(_) | Value::None, Value::Class(_) | Value::None) if op == Operator::BitOr => {
                Ok(Value::None)
            }
            (Object(object), _) if object.class.find(methods(op).0).is_some() => {
                let method = self.attribute(left, methods(op).0)?;
                self.call(&method, super::Args::of([right.clone()]))
            }
            (_, Object(object)) if object.class.find(methods(op).1).is_some() => {
                let method = self.attribute(right, methods(op).1)?;
                self.call(&method, super::Args::of([left.clone()]))
            }
            // An object of a class that derives from `int`, `dict` and so on is one.
            (Object(_) | Value::Attributes(_), _) | (_, Object(_) | Value::Attributes(_))
                if !matches!((left.plain(), right.plain()), (Object(_), _) | (_, Object(_))) =>
            {
                let (left, right) = (self.dict_of(left)?, self.dict_of(right)?);
                self.deeper(|this| this.binary(op, &left, &right))
            }
            (Opaque(opaque), _) | (_, Opaque(opaque)) => {
                if self.lenient {
                    Ok(Opaque(opaque.clone()))
                } else {
                    Err(super::imports::unknown(opaque))
                }
            }
            _ => {
                let fault = Fault::type_error(format!(
                    "`{}` is not possible between a {} and a {}",
                    symbol(op),
                    left.type_name(),
                    right.type_name()
                ));
                Err(match (left, right) {
                    (Value::None, _) | (_, Value::None) => fault.help("does a function lack its `return`?"),
                    _ => fault,
                })
            }
        }
    }

    fn repeated(&mut self, items: &[Value], times: i64) -> Result<Vec<Value>> {
        let times = usize::try_from(times).unwrap_or(0);
        self.cells(items.len().saturating_mul(times))?;
        Ok(items.iter().cycle().take(items.len() * times).cloned().collect())
    }

    fn integers(&mut self, op: Operator, left: &Value, right: &Value) -> Result<Value> {
        let (a, b) = (left.as_int().unwrap_or(0), right.as_int().unwrap_or(0));
        let zero = || Fault::python("ZeroDivisionError", "this divides by zero");
        let result = match op {
            Operator::Add => a.checked_add(b),
            Operator::Sub => a.checked_sub(b),
            Operator::Mult => a.checked_mul(b),
            Operator::Div => {
                let (a, b) = (left.as_f64().unwrap_or(0.0), right.as_f64().unwrap_or(0.0));
                return floats(op, a, b).map(Value::Float);
            }
            Operator::FloorDiv => {
                if b == 0 {
                    return Err(zero());
                }
                a.checked_div_euclid(b).map(|q| if b < 0 && a.rem_euclid(b) != 0 { q - 1 } else { q })
            }
            Operator::Mod => {
                if b == 0 {
                    return Err(zero());
                }
                a.checked_rem_euclid(b).map(|r| if b < 0 && r != 0 { r + b } else { r })
            }
            Operator::Pow if b < 0 => {
                return floats(op, left.as_f64().unwrap_or(0.0), right.as_f64().unwrap_or(0.0))
                    .map(Value::Float);
            }
            Operator::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            Operator::LShift => {
                u32::try_from(b).ok().filter(|b| *b < 63).and_then(|b| a.checked_mul(1i64.checked_shl(b)?))
            }
            Operator::RShift => u32::try_from(b).ok().map(|b| a >> b.min(63)),
            Operator::BitAnd | Operator::BitOr | Operator::BitXor => {
                let bits = match op {
                    Operator::BitAnd => a & b,
                    Operator::BitOr => a | b,
                    _ => a ^ b,
                };
                let both = matches!((left, right), (Value::Bool(_), Value::Bool(_)));
                return Ok(if both { Value::Bool(bits != 0) } else { Value::Int(bits) });
            }
            Operator::MatMult => return Err(Fault::type_error("`@` is not possible between integers")),
        };
        result.map(Value::Int).ok_or_else(|| Fault::unsupported("integers beyond 64 bits are not supported"))
    }

    /// `op operand`
    pub(crate) fn unary(&mut self, op: UnaryOp, operand: &Value) -> Result<Value> {
        if op == UnaryOp::Not {
            return Ok(Value::Bool(!self.truth(operand)?));
        }
        Ok(match (op, operand) {
            (UnaryOp::USub, Value::Int(i)) => Value::Int(
                i.checked_neg()
                    .ok_or_else(|| Fault::unsupported("integers beyond 64 bits are not supported"))?,
            ),
            (UnaryOp::USub, Value::Bool(b)) => Value::Int(-i64::from(*b)),
            (UnaryOp::USub, Value::Float(x)) => Value::Float(-x),
            (UnaryOp::USub, Value::Size(dim)) => Value::size(Dim::from(0) - (**dim).clone()),
            (UnaryOp::UAdd, Value::Int(_) | Value::Float(_) | Value::Size(_) | Value::Tensor(_)) => {
                operand.clone()
            }
            (UnaryOp::UAdd | UnaryOp::Invert, Value::Bool(b)) => {
                let number = i64::from(*b);
                Value::Int(if op == UnaryOp::Invert { !number } else { number })
            }
            (UnaryOp::Invert, Value::Int(i)) => Value::Int(!i),
            (UnaryOp::USub | UnaryOp::UAdd | UnaryOp::Invert, Value::Object(object))
                if object.class.find(unary_method(op)).is_some() =>
            {
                let method = self.attribute(operand, unary_method(op))?;
                self.call(&method, super::Args::default())?
            }
            (_, Value::Object(object)) if object.contents.get().is_some() => {
                return self.unary(op, &operand.plain().clone());
            }
            (UnaryOp::USub | UnaryOp::Invert, Value::Tensor(_) | Value::Parameter(_)) => {
                self.tensor_unary(op, operand)?
            }
            _ => {
                return Err(Fault::type_error(format!(
                    "`{}` is not possible for a {}",
                    op.as_str(),
                    operand.type_name()
                )));
            }
        })
    }

    /// `left is right`
    pub(crate) fn is_same(&mut self, left: &Value, right: &Value) -> bool {
        match (left, right) {
            (Value::None, Value::None)
            | (Value::Ellipsis, Value::Ellipsis)
            | (Value::Training, Value::Training) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Training, Value::Bool(b)) | (Value::Bool(b), Value::Training) => self.training == *b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => Rc::ptr_eq(a, b) || a.len() < 1000 && a == b,
            (Value::Tuple(a), Value::Tuple(b)) => Rc::ptr_eq(a, b),
            (Value::Attributes(a), Value::Attributes(b)) => Rc::ptr_eq(&a.0, &b.0) && a.1 == b.1,
            _ => {
                std::mem::discriminant(left) == std::mem::discriminant(right)
                    && left.identity().is_some_and(|a| right.identity() == Some(a))
            }
        }
    }

    /// Whether two sizes are equal. Where that depends on open sizes, it is assumed that sizes are, and that none is one.
    fn same_size(&mut self, a: &Dim, b: &Dim) -> Result<bool> {
        if a.always_equals(b) {
            return Ok(true);
        }
        if a.never_equals(b, Bounds::default()) {
            return Ok(false);
        }
        let answer = match (a.as_const(), b.as_const()) {
            (None, None) => self.assume(|guards| guards.equal(a, b)).map(|_| true),
            (Some(1), _) | (_, Some(1)) => self.assume(|guards| guards.differ(a, b).then_some(false)),
            (Some(_), _) | (_, Some(_)) => None,
        };
        // Equal for some batches only.
        answer.ok_or_else(|| unknown_size(&(a.clone() - b.clone())))
    }

    /// `left == right`, of values that are no tensors.
    pub(crate) fn is_equal(&mut self, left: &Value, right: &Value) -> Result<bool> {
        self.step(1)?;
        Ok(match (left, right) {
            (Value::Size(_), _) | (_, Value::Size(_)) => match (left.as_dim(), right.as_dim()) {
                (Some(a), Some(b)) => self.same_size(&a, &b)?,
                _ => false,
            },
            (Value::Str(a), Value::Str(b)) => {
                self.text(if a.len() == b.len() { a } else { "" })?;
                a == b
            }
            (Value::Tuple(a), Value::Tuple(b)) => self.all_equal(a, b)?,
            (Value::List(a), Value::List(b)) => {
                if Rc::ptr_eq(a, b) {
                    return Ok(true);
                }
                if a.borrow().len() != b.borrow().len() {
                    return Ok(false);
                }
                self.step(a.borrow().len() as u64 / 8)?;
                let (a, b) = (a.borrow().clone(), b.borrow().clone());
                self.all_equal(&a, &b)?
            }
            (Value::Dict(a), Value::Dict(b)) | (Value::Set(a), Value::Set(b)) => {
                if Rc::ptr_eq(a, b) {
                    return Ok(true);
                }
                if a.borrow().entries.len() != b.borrow().entries.len() {
                    return Ok(false);
                }
                self.step(a.borrow().entries.len() as u64)?;
                if a.borrow().is_ordered
                    && b.borrow().is_ordered
                    && !a.borrow().entries.keys().eq(b.borrow().entries.keys())
                {
                    return Ok(false);
                }
                let (a, b) = (a.borrow().entries.clone(), b.borrow().entries.clone());
                for (key, (_, value)) in &a {
                    let Some((_, other)) = b.get(key) else { return Ok(false) };
                    if !self.deeper(|this| this.is_equal(value, other))? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Range(a), Value::Range(b)) => a == b,
            (Value::Opaque(opaque), _) | (_, Value::Opaque(opaque)) => {
                return Err(super::imports::unknown(opaque));
            }
            (Value::Object(a), Value::Object(b)) if Rc::ptr_eq(a, b) => true,
            (Value::Object(_), _) | (_, Value::Object(_)) => {
                if let Some(answer) = self.compared("__eq__", left, right)? {
                    return Ok(answer);
                }
                if let Some(answer) = self.compared("__eq__", right, left)? {
                    return Ok(answer);
                }
                match (self.data_of(left)?, self.data_of(right)?) {
                    (Some((class, a)), Some((other, b))) if Rc::ptr_eq(&class, &other) => {
                        return self.all_equal(&a, &b);
                    }
                    _ => {}
                }
                if let (Value::Object(a), Value::Object(b)) = (left, right)
                    && let Some(answer) = self.equal_attributes(a, b)?
                {
                    return Ok(answer);
                }
                if let Some(ordering) = self.versions(left, right)? {
                    return Ok(ordering == Ordering::Equal);
                }
                match (left.plain(), right.plain()) {
                    (Value::Object(_), _) | (_, Value::Object(_)) => false,
                    (a, b) => {
                        let (a, b) = (a.clone(), b.clone());
                        self.deeper(|this| this.is_equal(&a, &b))?
                    }
                }
            }
            (Value::Attributes(_), _) | (_, Value::Attributes(_)) => {
                let (a, b) = (self.dict_of(left)?, self.dict_of(right)?);
                self.deeper(|this| this.is_equal(&a, &b))?
            }
            _ => match (left.as_f64(), right.as_f64()) {
                (Some(a), Some(b)) => a == b,
                _ => self.is_same(left, right),
            },
        })
    }

    fn all_equal(&mut self, a: &[Value], b: &[Value]) -> Result<bool> {
        if a.len() != b.len() {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(b) {
            if !self.deeper(|this| this.is_equal(a, b))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `==`, `<` and so on.
    pub(crate) fn ordered(&mut self, op: CmpOp, left: &Value, right: &Value) -> Result<Value> {
        if matches!(left, Value::Tensor(_) | Value::Parameter(_))
            || matches!(right, Value::Tensor(_) | Value::Parameter(_))
        {
            if matches!((left, right), (Value::None, _) | (_, Value::None)) {
                return Ok(Value::Bool(op == CmpOp::NotEq));
            }
            return self.tensor_compare(op, left, right);
        }
        if matches!(op, CmpOp::Eq | CmpOp::NotEq) {
            return Ok(Value::Bool(self.is_equal(left, right)? == (op == CmpOp::Eq)));
        }
        if let (Value::Set(a), Value::Set(b)) = (left, right) {
            let (a, b) = (a.borrow(), b.borrow());
            self.step((a.entries.len() + b.entries.len()) as u64 / 8)?;
            let within = |a: &super::value::Dict, b: &super::value::Dict| {
                a.entries.keys().all(|k| b.entries.contains_key(k))
            };
            let (less, more) = (within(&a, &b), within(&b, &a));
            return Ok(Value::Bool(match op {
                CmpOp::Lt => less && !more,
                CmpOp::LtE => less,
                CmpOp::Gt => more && !less,
                _ => more,
            }));
        }
        let (own, mirrored) = match op {
            CmpOp::Lt => ("__lt__", "__gt__"),
            CmpOp::LtE => ("__le__", "__ge__"),
            CmpOp::Gt => ("__gt__", "__lt__"),
            _ => ("__ge__", "__le__"),
        };
        if let Some(answer) = self.compared(own, left, right)? {
            return Ok(Value::Bool(answer));
        }
        if let Some(answer) = self.compared(mirrored, right, left)? {
            return Ok(Value::Bool(answer));
        }
        let ordering = self.ordering(left, right)?;
        Ok(Value::Bool(match op {
            CmpOp::Lt => ordering == Some(Ordering::Less),
            CmpOp::LtE => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            CmpOp::Gt => ordering == Some(Ordering::Greater),
            _ => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        }))
    }

    /// Which of two is the larger one.
    pub(crate) fn ordering(&mut self, left: &Value, right: &Value) -> Result<Option<Ordering>> {
        self.step(1)?;
        if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
            return Ok(Some(a.cmp(&b)));
        }
        if let (Some(a), Some(b)) = (left.as_dim(), right.as_dim()) {
            let difference = a - b;
            let opposite = Dim::from(0) - difference.clone();
            return match (difference.as_const(), is_positive(&difference), is_positive(&opposite)) {
                (Some(value), ..) => Ok(Some(value.cmp(&0))),
                (None, Some(true), _) => Ok(Some(Ordering::Greater)),
                (None, _, Some(true)) => Ok(Some(Ordering::Less)),
                (None, ..) => Err(unknown_size(&difference)),
            };
        }
        if let (Some(a), Some(b)) = (left.as_f64(), right.as_f64()) {
            return Ok(a.partial_cmp(&b));
        }
        if let Some(ordering) = self.versions(left, right)? {
            return Ok(Some(ordering));
        }
        if let (Value::Str(a), Value::Str(b)) = (left.plain(), right.plain()) {
            self.text(if a.len() < b.len() { a } else { b })?;
            return Ok(Some(a.cmp(b)));
        }
        if let Some(less) = self.compared("__lt__", left, right)? {
            let more = !less && self.compared("__lt__", right, left)? == Some(true);
            return Ok(Some(match (less, more) {
                (true, _) => Ordering::Less,
                (_, true) => Ordering::Greater,
                _ => Ordering::Equal,
            }));
        }
        if let (Some((a, x)), Some((b, y))) = (self.ordered_data(left)?, self.ordered_data(right)?)
            && Rc::ptr_eq(&a, &b)
        {
            return self.deeper(|this| this.ordering(&Value::tuple(x), &Value::tuple(y)));
        }
        let sequences = match (left.plain(), right.plain()) {
            (Value::Tuple(a), Value::Tuple(b)) => {
                self.step((a.len() + b.len()) as u64 / 8)?;
                Some((a.to_vec(), b.to_vec()))
            }
            (Value::List(a), Value::List(b)) => {
                self.step((a.borrow().len() + b.borrow().len()) as u64 / 8)?;
                Some((a.borrow().clone(), b.borrow().clone()))
            }
            _ => None,
        };
        if let Some((a, b)) = sequences {
            for (a, b) in a.iter().zip(&b) {
                match self.deeper(|this| this.ordering(a, b))? {
                    Some(Ordering::Equal) => {}
                    other => return Ok(other),
                }
            }
            return Ok(Some(a.len().cmp(&b.len())));
        }
        if let Value::Opaque(opaque) = if matches!(left, Value::Opaque(_)) { left } else { right } {
            return Err(super::imports::unknown(opaque));
        }
        Err(Fault::type_error(format!(
            "a {} and a {} cannot be compared",
            left.type_name(),
            right.type_name()
        )))
    }
}

fn floats(op: Operator, a: f64, b: f64) -> Result<f64> {
    let zero = || Fault::python("ZeroDivisionError", "this divides by zero");
    Ok(match op {
        Operator::Add => a + b,
        Operator::Sub => a - b,
        Operator::Mult => a * b,
        Operator::Div if b == 0.0 => return Err(zero()),
        Operator::Div => a / b,
        Operator::FloorDiv if b == 0.0 => return Err(zero()),
        Operator::FloorDiv => (a / b).floor(),
        Operator::Mod if b == 0.0 => return Err(zero()),
        Operator::Mod => a - b * (a / b).floor(),
        Operator::Pow => a.powf(b),
        Operator::MatMult
        | Operator::LShift
        | Operator::RShift
        | Operator::BitOr
        | Operator::BitXor
        | Operator::BitAnd => {
            return Err(Fault::type_error(format!(
                "`{}` is not possible between floating-point numbers",
                symbol(op)
            )));
        }
    })
}

/// Arithmetic of sizes that are symbols, exact.
fn sizes(op: Operator, left: &Value, right: &Value) -> Result<Value> {
    let (Some(a), Some(b)) = (left.as_dim(), right.as_dim()) else { return Ok(Value::None) };
    let result = match op {
        Operator::Add => a + b,
        Operator::Sub => a - b,
        Operator::Mult => a * b,
        Operator::FloorDiv | Operator::Div if a.exact_div(&b).is_some() && op == Operator::FloorDiv => {
            a.exact_div(&b).unwrap_or_default()
        }
        Operator::FloorDiv => match b.as_const() {
            Some(divisor) if divisor > 0 => a.floor_div(divisor),
            _ => return Err(Fault::unsupported(format!("`{a}` cannot be divided by `{b}`"))),
        },
        Operator::Mod if a.exact_div(&b).is_some() => Dim::from(0),
        Operator::Mod if b.as_const().is_some_and(|divisor| divisor > 0) => {
            a.remainder(b.as_const().unwrap_or(1))
        }
        _ => {
            return Err(Fault::unsupported(format!(
                "`{}` is not possible with the size `{}`, which is a symbol",
                symbol(op),
                if a.as_const().is_none() { a } else { b }
            ))
            .help("`//` divides sizes"));
        }
    };
    Ok(Value::size(result))
}
