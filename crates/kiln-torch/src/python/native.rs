//! Native functions and layers, with their signatures in Python syntax.

use std::rc::Rc;

use kiln_graph::{Dim, ValueId};

use super::Interpreter;
use super::fault::{Fault, Result};
use super::value::{Object, Value};

/// A function in Rust.
pub(crate) struct Native {
    /// The full name, as in `torch.nn.functional.relu`.
    pub name: &'static str,
    /// Its parameters, as behind `def`.
    pub signature: &'static str,
    /// What it does.
    pub call: fn(&mut Interpreter, &Bound) -> Result<Value>,
}

/// A layer of `torch.nn`.
///
/// Its constructor keeps the arguments as attributes and makes parameters; its forward pass is a function whose further
/// arguments are these attributes, as PyTorch's layers are functions of `torch.nn.functional` with state.
pub(crate) struct Layer {
    /// The name in `torch.nn`.
    pub name: &'static str,
    /// The full name.
    pub full: &'static str,
    /// The constructor's parameters.
    pub signature: &'static str,
    /// Makes parameters and buffers; gets the constructor's arguments.
    pub setup: fn(&mut Interpreter, &Rc<Object>, &Bound) -> Result<()>,
    /// Computes; gets `input` and the attributes.
    pub forward: fn(&mut Interpreter, &Bound) -> Result<Value>,
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Arguments by parameter name.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    /// What is called, for messages: `nn.Conv2d`, or `conv1 (nn.Conv2d)`.
    pub callee: String,
    pub values: Vec<(Rc<str>, Value)>,
}

impl Bound {
    /// An argument.
    pub(crate) fn get(&self, name: &str) -> Value {
        self.given(name).cloned().unwrap_or(Value::None)
    }

    /// An argument, if there is one of this name.
    pub(crate) fn given(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(n, _)| &**n == name).map(|(_, value)| value)
    }

    /// An error about an argument.
    pub(crate) fn wrong(&self, name: &str, wanted: &str) -> Fault {
        let found = self.get(name);
        if let Value::Opaque(opaque) = &found {
            return Fault::unsupported(format!(
                "{}: `{name}` comes from `{}` (`{}`), which is not known here",
                self.callee, opaque.origin, opaque.name
            ));
        }
        let shown = match &found {
            Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Str(_)
            | Value::None
            | Value::Tuple(_) => super::format::repr(&found),
            other => format!("a {}", other.type_name()),
        };
        Fault::type_error(format!("{}: `{name}` should be {wanted}, but is {shown}", self.callee))
    }

    pub(crate) fn is_none(&self, name: &str) -> bool {
        matches!(self.given(name), None | Some(Value::None))
    }

    pub(crate) fn int(&self, name: &str) -> Result<i64> {
        match self.get(name) {
            Value::Float(x) if x.fract() == 0.0 && x.abs() < 1e15 => {
                Err(self.wrong(name, "an integer").help("`//` divides integers, `int(...)` converts"))
            }
            value => value.as_int().ok_or_else(|| self.wrong(name, "an integer")),
        }
    }

    /// An integer that may depend on the batch.
    pub(crate) fn dim(&self, name: &str) -> Result<Dim> {
        self.get(name).as_dim().ok_or_else(|| self.wrong(name, "an integer"))
    }

    /// A positive count, of channels or elements.
    pub(crate) fn count(&self, name: &str) -> Result<usize> {
        let value = self.int(name)?;
        usize::try_from(value).ok().filter(|n| *n > 0).ok_or_else(|| self.wrong(name, "a positive integer"))
    }

    pub(crate) fn float(&self, name: &str) -> Result<f64> {
        self.get(name).as_f64().ok_or_else(|| self.wrong(name, "a number"))
    }

    pub(crate) fn bool(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            Value::Bool(b) => Ok(b),
            Value::Int(i) => Ok(i != 0),
            Value::None => Ok(false),
            _ => Err(self.wrong(name, "True or False")),
        }
    }

    pub(crate) fn string(&self, name: &str) -> Result<Rc<str>> {
        match self.get(name).plain() {
            Value::Str(s) => Ok(s.clone()),
            _ => Err(self.wrong(name, "a string")),
        }
    }

    /// One integer for each of `n` spatial dimensions; one alone stands for all.
    pub(crate) fn sizes(&self, name: &str, n: usize) -> Result<Vec<i64>> {
        let wanted = || if n == 1 { "an integer".to_owned() } else { format!("an integer or {n} of them") };
        let value = self.get(name);
        let items = match value.plain() {
            Value::Tuple(items) if items.len() <= 16 => items.to_vec(),
            Value::List(items) if items.borrow().len() <= 16 => items.borrow().to_vec(),
            _ => return Ok(vec![value.as_int().ok_or_else(|| self.wrong(name, &wanted()))?; n]),
        };
        let ints: Option<Vec<i64>> = items.iter().map(Value::as_int).collect();
        match ints {
            Some(ints) if ints.len() == n => Ok(ints),
            Some(ints) if ints.len() == 1 => Ok(vec![ints[0]; n]),
            Some(_) | None => Err(self.wrong(name, &wanted())),
        }
    }

    /// As [`Bound::sizes`], all positive.
    pub(crate) fn counts(&self, name: &str, n: usize) -> Result<Vec<usize>> {
        let counts: Option<Vec<usize>> =
            self.sizes(name, n)?.into_iter().map(|x| usize::try_from(x).ok().filter(|x| *x > 0)).collect();
        counts.ok_or_else(|| self.wrong(name, "positive"))
    }

    pub(crate) fn object(&self, name: &str) -> Result<Rc<Object>> {
        match self.get(name) {
            Value::Object(o) => Ok(o),
            _ => Err(self.wrong(name, "a module")),
        }
    }
}

impl Interpreter {
    /// An argument as a tensor of the graph.
    pub(crate) fn tensor(&mut self, bound: &Bound, name: &str) -> Result<ValueId> {
        let value = bound.get(name);
        match self.optional_tensor_of(&value)? {
            Some(id) => Ok(id),
            None => {
                let fault = bound.wrong(name, "a tensor");
                match value {
                    Value::Tuple(parts) if matches!(parts.first(), Some(Value::Tensor(_))) => {
                        Err(fault.help("`x, _ = ...` takes the first of several results"))
                    }
                    _ => Err(fault),
                }
            }
        }
    }

    /// An argument as a tensor, if it is not `None`.
    pub(crate) fn optional_tensor(&mut self, bound: &Bound, name: &str) -> Result<Option<ValueId>> {
        if bound.is_none(name) { Ok(None) } else { self.tensor(bound, name).map(Some) }
    }
}
