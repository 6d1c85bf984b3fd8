//! Attributes, elements and parts of tensors.

use std::rc::Rc;

use kiln_graph::functions::slicing::{Cut, slice};
use kiln_graph::ops::Gather;
use kiln_graph::{Dim, Op, ShapeDisplay, ValueId};

use super::storage::Step;
use super::{Home, found, instead, names};
use crate::python::{Args, Fault, Interpreter, Result, Value, nearest};

impl Interpreter {
    /// An attribute or method of a tensor or parameter.
    pub(crate) fn tensor_attribute(&mut self, of: &Value, name: &str) -> Result<Option<Value>> {
        // `weight.data` is known as little as the weight is, before somebody asks for its elements.
        let parameter =
            if self.trace.is_running && matches!(of, Value::Tensor(_)) { None } else { self.whole(of) };
        if let Some(parameter) = parameter {
            let is_data = matches!(of, Value::Tensor(_));
            match name {
                "data" if is_data => return Ok(Some(of.clone())),
                "data" => return self.data_of_parameter(of).map(Some),
                "requires_grad" => return Ok(Some(Value::Bool(!is_data && !parameter.is_frozen.get()))),
                "shape" => {
                    let sizes = parameter.shape.iter().map(|n| Value::size(Dim::from(*n)));
                    return Ok(Some(Value::tuple(sizes)));
                }
                "ndim" => return Ok(Some(Value::Int(i64::try_from(parameter.shape.len()).unwrap_or(0)))),
                "dtype" => return Ok(Some(Value::DType(parameter.dtype))),
                "device" => return self.device("cpu", Value::None).map(Some),
                "grad" => return Ok(Some(Value::None)),
                _ => {}
            }
            if let Some(native) = super::method::of_parameter(name) {
                return Ok(Some(Value::Method(Rc::new((Value::Native(native), of.clone())))));
            }
        }
        let plain = match name {
            "shape" | "ndim" | "dtype" | "device" | "data" | "T" | "mT" | "requires_grad" | "is_cuda"
            | "grad" => self.optional_tensor_of(of)?,
            _ => None,
        };
        if let Some(id) = plain {
            let shape = self.shape(id);
            return Ok(Some(match name {
                "shape" => Value::tuple(shape.into_iter().map(Value::size)),
                "ndim" => Value::Int(i64::try_from(shape.len()).unwrap_or(0)),
                "dtype" => Value::DType(self.dtype(id)),
                "device" => return self.device("cpu", Value::None).map(Some),
                "requires_grad" => Value::Bool(self.gradients.is_on() && self.has_gradient(id)?),
                "is_cuda" => Value::Bool(false),
                "data" => return self.call_method(of, "detach", Args::default()).map(Some),
                "grad" => Value::None,
                "T" => return self.call_method(of, "t", Args::default()).map(Some),
                "mT" => {
                    return self
                        .call_method(of, "transpose", Args::of([Value::Int(-2), Value::Int(-1)]))
                        .map(Some);
                }
                _ => of.clone(),
            }));
        }
        Ok(found(Home::Method, name).map(|function| Value::Method(Rc::new((function, of.clone())))))
    }

    /// Help for unknown methods of tensors.
    pub(crate) fn tensor_help(&mut self, fault: Fault, name: &str) -> Fault {
        match name {
            "item" | "numpy" | "tolist" => {
                return fault.help("`forward` is read once, for all inputs: compute with the tensor itself");
            }
            "backward" => {
                return fault
                    .help("`forward` ends with the scores; `kiln train` derives the gradients itself");
            }
            _ => {}
        }
        if let Some(help) = instead(name) {
            return fault.help(help);
        }
        // Attributes, and methods that parameters have of their own or by another name.
        let more = ["shape", "ndim", "dtype", "device", "data", "T", "mT"].into_iter();
        match nearest(name, names("torch.Tensor").into_iter().chain(more)) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault,
        }
    }

    /// The elements along the first dimension.
    pub(crate) fn tensor_items(&mut self, of: &Value) -> Result<Vec<Value>> {
        let Some(id) = self.optional_tensor_of(of)? else { return Ok(vec![]) };
        let shape = self.shape(id);
        let Some(first) = shape.first() else {
            return Err(Fault::type_error("a tensor without dimensions cannot be iterated over"));
        };
        let count = first.as_const().ok_or_else(|| {
            Fault::unsupported("iterating over the samples of a batch is not supported")
                .help("layers and functions work on the whole batch at once")
        })?;
        (0..count).map(|at| self.tensor_item(of, &Value::Int(at))).collect()
    }

    /// `x[key]`
    pub(crate) fn tensor_item(&mut self, of: &Value, key: &Value) -> Result<Value> {
        let Some(id) = self.optional_tensor_of(of)? else { return Ok(Value::None) };
        self.trace.function("getitem");
        let keys = match key {
            Value::Tuple(keys) => keys.to_vec(),
            other => vec![other.clone()],
        };
        if let Some(result) = self.chosen_by_list(of, &keys)? {
            return Ok(result);
        }
        let rank = self.graph.ty(id).rank();
        let named = keys.iter().filter(|k| !matches!(k, Value::Ellipsis | Value::None)).count();
        if named > rank {
            return Err(Fault::python(
                "IndexError",
                format!("{named} indices are too many for {rank} dimensions"),
            ));
        }
        let mut index = Index { x: id, axis: 0, cuts: vec![], parts: vec![] };
        for key in &keys {
            match key {
                Value::Ellipsis => {
                    for _ in 0..rank - named {
                        index.keep();
                    }
                }
                Value::None => index.parts.push(Part::New),
                Value::Slice(slice) => index.slice(slice)?,
                Value::Tensor(indices) => {
                    if !self.dtype(indices.get()).is_float()
                        && self.dtype(indices.get()) != kiln_graph::DType::Bool
                    {
                        if keys.len() > 1 {
                            return Err(Fault::unsupported("a tensor among other indices is not supported")
                                .help("`torch.index_select(x, dim, indices)` chooses along one dimension"));
                        }
                        return Ok(Value::tensor(
                            self.op(Op::Gather(Gather { axis: 0 }), &[id, indices.get()])?,
                        ));
                    }
                    return Err(Fault::unsupported(
                        "indexing by a boolean tensor gives a size that depends on the data",
                    )
                    .help("`torch.where(mask, x, 0)` keeps the shape"));
                }
                Value::List(_) => {
                    return Err(Fault::unsupported(
                        "indexing by several lists or by lists of lists is not supported",
                    )
                    .help("`torch.index_select(x, dim, torch.tensor([...]))` chooses along one dimension"));
                }
                other => {
                    let at = other.as_int().ok_or_else(|| {
                        Fault::type_error(format!("a tensor cannot be indexed by a {}", other.type_name()))
                    })?;
                    index.pick(self, at)?;
                }
            }
        }
        while index.axis < rank {
            index.keep();
        }
        let is_part = !index.cuts.is_empty();
        let result = index.finish(self)?;
        let result = if result == id { self.renewed(id)? } else { result };
        if result == id {
            return Ok(of.clone());
        }
        let result = Value::tensor(result);
        if self.trace.is_running {
            self.view(&result, id, is_part);
        }
        self.look(of, &result, Step::Item(key.clone()));
        Ok(result)
    }

    /// `x[:, [2, 0]]`, `x[:, indices]`: one list or tensor of indices among slices.
    fn chosen_by_list(&mut self, of: &Value, keys: &[Value]) -> Result<Option<Value>> {
        let is_list = |key: &Value| match key {
            Value::List(_) => true,
            Value::Tensor(indices) => {
                let dtype = self.dtype(indices.get());
                keys.len() > 1 && !dtype.is_float() && dtype != kiln_graph::DType::Bool
            }
            _ => false,
        };
        let Some(at) = keys.iter().position(is_list) else { return Ok(None) };
        // Indices beside it would be chosen together with it.
        let others = |(place, key): (usize, &Value)| {
            place == at || matches!(key, Value::Slice(_) | Value::Ellipsis | Value::None)
        };
        if !keys.iter().enumerate().all(others) || keys[..at].iter().any(|key| matches!(key, Value::Ellipsis))
        {
            return Ok(None);
        }
        let mut around = keys.to_vec();
        around[at] = Value::Slice(Rc::new([Value::None, Value::None, Value::None]));
        let x = self.tensor_item(of, &Value::tuple(around))?;
        let Some(x) = self.optional_tensor_of(&x)? else { return Ok(None) };
        if let Value::List(places) = &keys[at] {
            let Some(size) = self.shape(x)[at].as_usize() else { return Ok(None) };
            let places = places.borrow().clone();
            if places.iter().any(|place| !matches!(place, Value::Int(_))) {
                return Ok(None);
            }
            let place = |place: &Value| crate::python::position(place, size, "tensor");
            let places = places.iter().map(place).collect::<Result<Vec<_>>>()?;
            return self.gathered(x, at, &places).map(|id| Some(Value::tensor(id)));
        }
        let Some(indices) = self.optional_tensor_of(&keys[at])? else { return Ok(None) };
        Ok(Some(Value::tensor(self.op(Op::Gather(Gather { axis: at }), &[x, indices])?)))
    }
}

/// The treatment of a dimension.
enum Part {
    Kept,
    Dropped,
    New,
}

/// An index that is being read, dimension by dimension.
struct Index {
    x: ValueId,
    axis: usize,
    cuts: Vec<Cut>,
    parts: Vec<Part>,
}

impl Index {
    fn keep(&mut self) {
        self.parts.push(Part::Kept);
        self.axis += 1;
    }

    fn pick(&mut self, i: &Interpreter, at: i64) -> Result<()> {
        let shape = i.shape(self.x);
        let size = &shape[self.axis];
        let inside = size.as_const().is_none_or(|size| (-size..size).contains(&at));
        if !inside {
            return Err(Fault::python(
                "IndexError",
                format!("there is no element {at} in dimension {} of {}", self.axis, ShapeDisplay(&shape)),
            ));
        }
        let end = if at == -1 { i64::MAX } else { at.saturating_add(1) };
        self.cuts.push(Cut { axis: self.axis, start: at.into(), end: end.into(), step: 1 });
        self.parts.push(Part::Dropped);
        self.axis += 1;
        Ok(())
    }

    fn slice(&mut self, slice: &[Value; 3]) -> Result<()> {
        let part = |value: &Value, default: i64| match value {
            Value::None => Ok(Dim::from(default)),
            other => other.as_dim().ok_or_else(|| {
                Fault::type_error(format!("slices are made of integers, not of a {}", other.type_name()))
            }),
        };
        let (start, end) = (part(&slice[0], 0)?, part(&slice[1], i64::MAX)?);
        let step = part(&slice[2], 1)?.as_const().filter(|step| *step > 0);
        let step = step.ok_or_else(|| {
            Fault::value("slices of tensors go forward").help("`torch.flip(x, [dim])` goes backwards")
        })?;
        self.cuts.push(Cut { axis: self.axis, start, end, step });
        self.keep();
        Ok(())
    }

    fn finish(&mut self, i: &mut Interpreter) -> Result<ValueId> {
        i.step(1)?;
        i.nodes()?;
        let x = slice(&mut i.formula(), self.x, &self.cuts)?;
        let mut sizes = i.shape(x).into_iter();
        let mut shape = vec![];
        for part in &self.parts {
            match part {
                Part::Kept => shape.extend(sizes.next()),
                Part::Dropped => drop(sizes.next()),
                Part::New => shape.push(1.into()),
            }
        }
        if shape.iter().any(|size| size.is(0)) {
            return Err(Fault::value(format!("this selects nothing of {}", ShapeDisplay(&i.shape(self.x)))));
        }
        Ok(i.formula().reshape(x, shape)?)
    }
}
