//! Methods of tensors that ask for sizes or change nothing, and those that change parameters in constructors.

use std::rc::Rc;

use kiln_graph::{DType, Dim, Tensor, ValueId};

use super::storage::Step;
use super::{Function, Init, Parameter, functions};
use crate::python::methods::natives;
use crate::python::native::Native;
use crate::python::{Args, Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    M "size" ("input, dim=None") => |i, b| {
        let x = i.tensor(b, "input")?;
        let shape = i.shape(x);
        if b.is_none("dim") {
            return Ok(Value::tuple(shape.into_iter().map(Value::size)));
        }
        let axis = i.axis(b.int("dim")?, shape.len())?;
        Ok(Value::size(shape[axis].clone()))
    },
    M "dim" or "ndimension" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        Ok(Value::Int(i64::try_from(i.graph.ty(x).rank()).unwrap_or(0)))
    },
    TM "numel" ("input") => elements,
    M "nelement" ("input") => elements,
    M "contiguous" ("input, memory_format=None") => same,
    TM "clone" ("input, *, memory_format=None") => |i, b| {
        // A value of its own: what is done to the other one in place leaves it alone.
        let x = i.tensor(b, "input")?;
        let shape = i.shape(x);
        Ok(Value::tensor(i.op(kiln_graph::Op::Reshape(kiln_graph::ops::Reshape { shape }), &[x])?))
    },
    M "fill_" ("input, value") => |i, b| {
        let value = b.float("value")?;
        filled(i, b, value)
    },
    M "zero_" ("input") => |i, b| filled(i, b, 0.0),
    M "copy_" ("input, src, non_blocking=False") => |i, b| {
        i.set_tensor_item(&b.get("input"), &Value::Ellipsis, &b.get("src"))?;
        Ok(b.get("input"))
    },
    M "normal_" ("input, mean=0.0, std=1.0, *, generator=None") => |i, b| {
        i.begin(&b.get("input"), Init::Normal(b.float("mean")?, b.float("std")?))?;
        Ok(b.get("input"))
    },
    M "uniform_" ("input, a=0.0, b=1.0, *, generator=None") => |i, b| {
        i.begin(&b.get("input"), Init::Uniform(b.float("a")?, b.float("b")?))?;
        Ok(b.get("input"))
    },
    M "cpu" or "cuda" ("input, *args, **kwargs") => same,
    M "tolist" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        let tensor = known(i, x)?;
        i.cells(tensor.len())?;
        let number = |x: &f64| if tensor.dtype().is_float() { Value::Float(*x) } else { Value::Int(*x as i64) };
        let values: Vec<Value> = tensor.to_f64().iter().map(number).collect();
        match tensor.shape() {
            [] => Ok(values.into_iter().next().unwrap_or(Value::None)),
            [_] => Ok(Value::list(values)),
            [.., last] => Ok(Value::list(values.chunks((*last).max(1)).map(|row| Value::list(row.to_vec())))),
        }
    },
    M "item" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        let tensor = known(i, x)?;
        match &tensor.to_f64()[..] {
            [x] if tensor.dtype().is_float() => Ok(Value::Float(*x)),
            [x] => Ok(Value::Int(*x as i64)),
            _ => Err(Fault::value("`item()` is for tensors of one element")),
        }
    },
    M "requires_grad_" ("input, requires_grad=True") => |_, b| Ok(b.get("input")),
    M "float" ("input") => |i, b| cast(i, b, DType::F32),
    M "long" ("input") => |i, b| cast(i, b, DType::I64),
    M "int" ("input") => |i, b| cast(i, b, DType::I32),
    M "bool" ("input") => |i, b| cast(i, b, DType::Bool),
    M "half" ("input") => |i, b| cast(i, b, DType::F16),
    M "double" ("input") => |i, b| cast(i, b, DType::F64),
    M "to" or "type" ("input, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None") => |i, b| {
        let mut given = i.items(&b.get("args"))?;
        given.push(b.get("dtype"));
        let dtype = given.iter().find_map(|value| match value {
            Value::DType(dtype) => Some(*dtype),
            _ => None,
        });
        match dtype {
            Some(dtype) => cast(i, b, dtype),
            None => same(i, b),
        }
    },
    M "type_as" ("input, other") => |i, b| {
        let other = i.tensor(b, "other")?;
        let dtype = i.dtype(other);
        cast(i, b, dtype)
    },
    F "one_hot" ("tensor, num_classes=-1") => |i, b| {
        let x = i.tensor(b, "tensor")?;
        let classes = b.count("num_classes")?;
        let mut shape = i.shape(x);
        shape.push(1.into());
        i.elements(classes)?;
        let row: Vec<i64> = (0..classes).filter_map(|k| i64::try_from(k).ok()).collect();
        let row = i.tensor_of(&[classes], kiln_graph::Data::I64(row))?;
        let row = i.constant(row)?;
        let column = i.formula().reshape(x, shape)?;
        let hits = i.combine(kiln_graph::ops::BinaryOp::Equal, &Value::tensor(column), &row)?;
        let hits = i.optional_tensor_of(&hits)?.ok_or_else(|| b.wrong("tensor", "a tensor"))?;
        Ok(Value::tensor(i.as_type(hits, DType::I64)?))
    },
};

/// What constructors do to parameters: `self.fc.bias.data.zero_()`.
static OF_PARAMETERS: &[Native] = natives! {
    "zero_" "self" => |i, b| set(i, b, Init::Constant(0.0)),
    "fill_" "self, value" => |i, b| match b.get("value").as_f64() {
        Some(value) => set(i, b, Init::Constant(value as f32)),
        None => copied(i, b, "value"),
    },
    "normal_" "self, mean=0.0, std=1.0, *, generator=None" => |i, b| {
        set(i, b, Init::Normal(b.float("mean")?, b.float("std")?))
    },
    "uniform_" "self, a=0.0, b=1.0, *, generator=None" => |i, b| {
        set(i, b, Init::Uniform(b.float("a")?, b.float("b")?))
    },
    "copy_" "self, src, non_blocking=False" => |i, b| copied(i, b, "src"),
    "mul_" "self, other" => |i, b| changed(i, b, "mul", "other"),
    "add_" "self, other, *, alpha=1" => |i, b| moved(i, b, "add"),
    "sub_" "self, other, *, alpha=1" => |i, b| moved(i, b, "sub"),
    "div_" "self, other" => |i, b| changed(i, b, "div", "other"),
    "clamp_" "self, min=None, max=None" => |i, b| {
        let args = Args::of([b.get("min"), b.get("max")]);
        replaced(i, b, "clamp", args)
    },
    "size" "self, dim=None" => |i, b| {
        let shape = own(i, b)?.shape.clone();
        if b.is_none("dim") {
            return Ok(Value::tuple(shape.into_iter().map(|n| Value::size(Dim::from(n)))));
        }
        let axis = i.axis(b.int("dim")?, shape.len())?;
        Ok(Value::size(Dim::from(shape[axis])))
    },
    "dim" "self" => |i, b| Ok(Value::Int(i64::try_from(own(i, b)?.shape.len()).unwrap_or(0))),
    "numel" "self" => |i, b| Ok(Value::size(Dim::from(own(i, b)?.shape.iter().product::<usize>()))),
    "requires_grad_" "self, requires_grad=True" => |i, b| {
        // `weight.data` is a tensor of its own.
        if let Value::Parameter(parameter) = b.get("self") {
            i.freeze(&parameter, !b.bool("requires_grad")?)?;
        }
        Ok(b.get("self"))
    },
    "detach" "self" => |i, b| i.data_of_parameter(&b.get("self")),
};

/// A method that parameters have of their own.
pub(super) fn of_parameter(name: &str) -> Option<&'static Native> {
    OF_PARAMETERS.iter().find(|native| native.name == name)
}

/// The parameter whose method is called, perhaps by way of `data`.
fn own(i: &Interpreter, b: &Bound) -> Result<Rc<Parameter>> {
    i.whole(&b.get("self")).ok_or_else(|| b.wrong("self", "a parameter"))
}

fn set(i: &mut Interpreter, b: &Bound, init: Init) -> Result<Value> {
    i.begin(&b.get("self"), init)?;
    Ok(b.get("self"))
}

fn copied(i: &mut Interpreter, b: &Bound, from: &str) -> Result<Value> {
    i.set_tensor_item(&b.get("self"), &Value::Ellipsis, &b.get(from))?;
    Ok(b.get("self"))
}

fn changed(i: &mut Interpreter, b: &Bound, method: &str, operand: &str) -> Result<Value> {
    replaced(i, b, method, Args::of([b.get(operand)]))
}

/// `add_` and `sub_`, which may scale what they add.
fn moved(i: &mut Interpreter, b: &Bound, method: &str) -> Result<Value> {
    let mut args = Args::of([b.get("other")]);
    args.named.push(("alpha".into(), b.get("alpha")));
    replaced(i, b, method, args)
}

/// Gives a parameter what a method makes of its values.
fn replaced(i: &mut Interpreter, b: &Bound, method: &str, args: Args) -> Result<Value> {
    let result = i.call_method(&b.get("self"), method, args)?;
    if let Some(id) = i.optional_tensor_of(&result)? {
        i.change(&b.get("self"), id)?;
    }
    Ok(b.get("self"))
}

/// The values of a tensor that does not depend on the input.
fn known(i: &Interpreter, x: ValueId) -> Result<Tensor> {
    i.graph.as_constant(x).cloned().ok_or_else(|| {
        Fault::unsupported("the value of a tensor is not known yet: `forward` is read once, for all inputs")
            .help("compute with the tensor itself, without `.item()`")
    })
}

/// How many elements there are.
fn elements(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    Ok(Value::size(i.graph.ty(x).elements()))
}

/// One number everywhere, in place.
fn filled(i: &mut Interpreter, b: &Bound, value: f64) -> Result<Value> {
    i.set_tensor_item(&b.get("input"), &Value::Ellipsis, &Value::Float(value))?;
    Ok(b.get("input"))
}

/// The same values as another tensor.
fn same(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    Ok(Value::tensor(x))
}

fn cast(i: &mut Interpreter, b: &Bound, to: DType) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    Ok(Value::tensor(i.as_type(x, to)?))
}

impl Interpreter {
    /// `weight.data`, `weight.detach()`
    pub(crate) fn data_of_parameter(&mut self, parameter: &Value) -> Result<Value> {
        if !self.trace.is_running {
            return Ok(self.looking_at(parameter, Step::Detached));
        }
        let Some(id) = self.optional_tensor_of(parameter)? else { return Ok(parameter.clone()) };
        let data = Value::tensor(self.detached(id)?);
        self.look(parameter, &data, Step::Detached);
        Ok(data)
    }

    /// A copy of a value that shares nothing with it: new parameters for modules, which begin as the old ones do.
    pub(crate) fn deep_copy(&mut self, value: &Value) -> Result<Value> {
        self.copied(value, &mut Default::default())
    }

    fn copied(&mut self, value: &Value, done: &mut std::collections::HashMap<usize, Value>) -> Result<Value> {
        self.step(1)?;
        self.cells(1)?;
        let key = value.identity();
        if let Some(copy) = key.and_then(|key| done.get(&key)) {
            return Ok(copy.clone());
        }
        let copy = match value {
            Value::List(items) => {
                let items = items.borrow().clone();
                let items = items.iter().map(|v| self.copied_deeper(v, done)).collect::<Result<Vec<_>>>()?;
                Value::list(items)
            }
            Value::Tuple(items) => {
                let items = items.iter().map(|v| self.copied_deeper(v, done)).collect::<Result<Vec<_>>>()?;
                Value::tuple(items)
            }
            Value::Dict(dict) | Value::Set(dict) => {
                let mut entries = dict.borrow().entries.clone();
                for (_, value) in entries.values_mut() {
                    *value = self.copied_deeper(value, done)?;
                }
                let is_ordered = dict.borrow().is_ordered;
                let dict = std::rc::Rc::new(crate::python::value::Dict { entries, is_ordered }.into());
                if matches!(value, Value::Dict(_)) { Value::Dict(dict) } else { Value::Set(dict) }
            }
            Value::Parameter(parameter) => {
                // Both begin with the same random numbers.
                let number = parameter.number.get().unwrap_or_else(|| self.next_draw());
                parameter.number.set(Some(number));
                let copy = self.parameter(&parameter.shape, parameter.init.borrow().clone())?;
                if let Value::Parameter(copy) = &copy {
                    copy.is_frozen.set(parameter.is_frozen.get());
                    copy.number.set(Some(number));
                }
                copy
            }
            // Members of enumerations are there once, and versions do not change.
            Value::Object(object) if object.get("_value_").is_some() && object.class.is_named("Enum") => {
                value.clone()
            }
            Value::Object(object) if object.class.find("__deepcopy__").is_some() => {
                let nothing = Value::Dict(Default::default());
                self.call_method(value, "__deepcopy__", Args::of([nothing]))?
            }
            Value::Object(object) => {
                let copy = self.object(object.class.clone());
                copy.is_own_dict.set(object.is_own_dict.get());
                copy.hooks.borrow_mut().clone_from(&object.hooks.borrow());
                copy.is_initialized.set(object.is_initialized.get());
                copy.mode.set(object.mode.get());
                copy.buffers.borrow_mut().clone_from(&object.buffers.borrow());
                if let Some(key) = key {
                    done.insert(key, Value::Object(copy.clone()));
                }
                if let Some(contents) = object.contents.get() {
                    let contents = self.copied_deeper(contents, done)?;
                    let _ = copy.contents.set(contents);
                }
                let attributes: Vec<(Rc<str>, Value)> =
                    object.attributes.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
                for (name, value) in attributes {
                    let value = match (&value, object.buffers.borrow().contains_key(&name)) {
                        (Value::Parameter(p), true) => {
                            self.buffer(&p.shape.clone(), p.init.borrow().clone())?
                        }
                        _ => self.copied_deeper(&value, done)?,
                    };
                    copy.set(&name, value);
                }
                Value::Object(copy)
            }
            other => other.clone(),
        };
        if let Some(key) = key {
            done.insert(key, copy.clone());
        }
        Ok(copy)
    }

    fn copied_deeper(
        &mut self,
        value: &Value,
        done: &mut std::collections::HashMap<usize, Value>,
    ) -> Result<Value> {
        self.deeper_call(|this| this.copied(value, done))
    }
}
