//! Tensors that look at the elements of a parameter or another tensor while a model is built.
//!
//! Constructors change parameters through views of them: `conv.weight[0].fill_(4)`, `w = weight.view(-1); w[0] = 5`. All
//! elements are known then. A view remembers its base and the steps that lead from there to it. It is read by taking the
//! steps anew if the base has changed, and written to by sending the places of the base's elements the same way.

use std::collections::HashMap;
use std::rc::Rc;

use kiln_graph::ops::{Scatter, ScatterReduction};
use kiln_graph::{Data, Op, Tensor, ValueId};

use super::{Init, Parameter};
use crate::python::native::Native;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

/// The path from a tensor to a view of it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// All elements in the same shape.
    Same,
    /// All elements without gradient.
    Detached,
    /// A function of the tensor; of several results, one.
    Call(&'static Native, Rc<Bound>, Option<usize>),
    /// `x[key]`
    Item(Value),
}

/// How a tensor looks at a base.
#[derive(Clone, Debug)]
struct Lens {
    /// A parameter, or a tensor that is no view itself.
    base: Value,
    /// Each step, and whether gradients were on.
    steps: Vec<(Step, bool)>,
    /// What the base was when this was looked at last.
    seen: Option<ValueId>,
}

impl Lens {
    /// Whether it looks at all elements in the shape of the base.
    fn is_whole(&self) -> bool {
        self.steps.iter().all(|(step, _)| matches!(step, Step::Same | Step::Detached))
    }
}

/// All views, by the value they are at the moment.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    lenses: HashMap<ValueId, Lens>,
    /// Views that were made by a constructor, as `forward` sees them.
    traced: HashMap<ValueId, ValueId>,
    /// Parameters that were made of another one's elements, which both have in PyTorch.
    pub tied: Vec<(Rc<Parameter>, Rc<Parameter>)>,
}

impl Interpreter {
    /// A tensor that will look at `of`; nothing is computed before it is read.
    pub(crate) fn looking_at(&mut self, of: &Value, step: Step) -> Value {
        let placeholder = Value::tensor(self.graph.constant("constant", Tensor::scalar(0f32)));
        self.look(of, &placeholder, step);
        placeholder
    }

    /// Notes that `result` looks at `of`.
    pub(crate) fn look(&mut self, of: &Value, result: &Value, step: Step) {
        if let (Value::Tuple(parts), Step::Call(native, bound, None)) = (result, &step) {
            for (place, part) in parts.iter().enumerate() {
                self.look(of, part, Step::Call(native, bound.clone(), Some(place)));
            }
            return;
        }
        let Value::Tensor(cell) = result else { return };
        let (base, mut steps) = match of {
            Value::Tensor(of) => match self.storage.lenses.get(&of.get()) {
                Some(lens) => (lens.base.clone(), lens.steps.clone()),
                None if self.trace.is_running || of.get() == cell.get() => return,
                None => (Value::Tensor(of.clone()), vec![]),
            },
            other => (other.clone(), vec![]),
        };
        steps.push((step, self.gradients.is_on()));
        let known = match &base {
            Value::Parameter(parameter) => parameter.known.get(),
            Value::Tensor(base) => Some(base.get()),
            _ => None,
        };
        let mut lens = Lens { base, steps, seen: known };
        // A value stands for one view only, and none for all of its base.
        let is_taken = known == Some(cell.get()) || self.storage.lenses.contains_key(&cell.get());
        if !self.trace.is_running && is_taken {
            cell.set(self.graph.constant("constant", Tensor::scalar(0f32)));
        }
        if is_taken || lens.is_whole() {
            lens.seen = None;
        }
        self.storage.lenses.insert(cell.get(), lens);
    }

    /// The parameter all of whose elements a value is, in their shape.
    pub(crate) fn whole(&self, value: &Value) -> Option<Rc<Parameter>> {
        match value {
            Value::Parameter(parameter) => Some(parameter.clone()),
            Value::Tensor(cell) => {
                let lens = self.storage.lenses.get(&cell.get())?;
                match &lens.base {
                    Value::Parameter(parameter) if lens.is_whole() => Some(parameter.clone()),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The parameter whose elements a tensor looks at.
    pub(crate) fn parameter_behind(&self, value: &Value) -> Option<Rc<Parameter>> {
        let base = match value {
            Value::Tensor(cell) => &self.storage.lenses.get(&cell.get())?.base,
            other => other,
        };
        match base {
            Value::Parameter(parameter) => Some(parameter.clone()),
            _ => None,
        }
    }

    /// The current value of a tensor: a view follows its base.
    pub(crate) fn looked_at(&mut self, tensor: &Value) -> Result<Option<ValueId>> {
        let Value::Tensor(cell) = tensor else { return Ok(None) };
        let id = cell.get();
        let Some(lens) = self.storage.lenses.get(&id).cloned() else { return Ok(None) };
        if self.trace.is_running {
            // Views that `forward` makes are nodes, which are kept apart elsewhere.
            if self.graph.as_constant(id).is_none() {
                return Ok(None);
            }
            if let Value::Parameter(_) = &lens.base {
                if let Some(traced) = self.storage.traced.get(&id) {
                    return Ok(Some(*traced));
                }
                let traced = self.taken(&lens.base, &lens.steps)?;
                let traced = self.optional_tensor_of(&traced)?.unwrap_or(id);
                self.storage.traced.insert(id, traced);
                return Ok(Some(traced));
            }
        }
        let Some(now) = self.optional_tensor_of(&lens.base)? else { return Ok(None) };
        if lens.seen == Some(now) {
            return Ok(Some(id));
        }
        let taken = self.taken(&lens.base, &lens.steps)?;
        let Value::Tensor(taken) = taken else { return Ok(Some(now)) };
        let new = taken.get();
        if new == now {
            return Ok(Some(now));
        }
        self.storage.lenses.insert(new, Lens { seen: Some(now), ..lens });
        cell.set(new);
        Ok(Some(new))
    }

    /// Goes the steps from a base to a view.
    fn taken(&mut self, base: &Value, steps: &[(Step, bool)]) -> Result<Value> {
        let mut at = match self.optional_tensor_of(base)? {
            Some(id) => Value::tensor(id),
            None => return Ok(base.clone()),
        };
        for (step, on) in steps {
            self.step(1)?;
            at = self.with_gradients(*on, |i| match step {
                Step::Same => Ok(at),
                Step::Detached => match i.optional_tensor_of(&at)? {
                    Some(id) => Ok(Value::tensor(i.detached(id)?)),
                    None => Ok(at),
                },
                Step::Item(key) => i.tensor_item(&at, key),
                Step::Call(native, bound, part) => {
                    let mut bound = (**bound).clone();
                    for (name, value) in &mut bound.values {
                        if &**name == "input" {
                            *value = at.clone();
                        }
                    }
                    match ((native.call)(i, &bound)?, part) {
                        (Value::Tuple(parts), Some(part)) => {
                            Ok(parts.get(*part).cloned().unwrap_or(Value::None))
                        }
                        (result, _) => Ok(result),
                    }
                }
            })?;
        }
        Ok(at)
    }

    /// Refuses changes of parameters once they are the states of a graph.
    pub(crate) fn is_building(&self) -> Result<()> {
        if self.trace.is_running {
            return Err(Fault::unsupported("parameters and buffers cannot be changed in `forward`"));
        }
        if self.trace.is_built {
            return Err(Fault::unsupported(
                "parameters and buffers cannot be changed by `train()` or `eval()`",
            ));
        }
        Ok(())
    }

    /// Gives a tensor that is a view other elements, which is to say its base; `false` if it is none.
    pub(crate) fn write_through(&mut self, tensor: &Value, to: ValueId) -> Result<bool> {
        let Value::Tensor(cell) = tensor else { return Ok(false) };
        let Some(lens) = self.storage.lenses.get(&cell.get()).cloned() else { return Ok(false) };
        if matches!(lens.base, Value::Parameter(_)) {
            self.is_building()?;
        }
        if self.trace.is_running {
            return Ok(false);
        }
        let Some(old) = self.optional_tensor_of(&lens.base)? else { return Ok(false) };
        let to = self.as_type(to, self.dtype(old))?;
        let new = if lens.is_whole() {
            to
        } else {
            let places = self.places(&lens, old)?;
            let count = self.graph.ty(old).elements();
            let index = self.tensor_of(&[places.len()], Data::I64(places))?;
            let index = self.graph.constant("constant", index);
            let shape = self.shape(old);
            let (flat, part) = (vec![count], self.shape(index));
            let old = self.op(Op::Reshape(kiln_graph::ops::Reshape { shape: flat }), &[old])?;
            let to = self.op(Op::Reshape(kiln_graph::ops::Reshape { shape: part }), &[to])?;
            let scatter = Scatter { axis: 0, reduction: ScatterReduction::None };
            let new = self.op(Op::Scatter(scatter), &[old, index, to])?;
            self.op(Op::Reshape(kiln_graph::ops::Reshape { shape }), &[new])?
        };
        match &lens.base {
            Value::Parameter(parameter) => self.set_values(parameter, new)?,
            Value::Tensor(base) => base.set(new),
            _ => {}
        }
        Ok(true)
    }

    /// Which elements of its base `old` a view has.
    fn places(&mut self, lens: &Lens, old: ValueId) -> Result<Vec<i64>> {
        let unknown = || Fault::unsupported("this view cannot be written to");
        let shape = self.graph.ty(old).static_shape().ok_or_else(unknown)?;
        let count = shape.iter().product::<usize>();
        self.elements(count)?;
        self.step(count as u64 / 16)?;
        let all = (0..count).filter_map(|place| i64::try_from(place).ok()).collect();
        let all = self.tensor_of(&shape, Data::I64(all))?;
        let all = Value::tensor(self.graph.constant("constant", all));
        let taken = self.taken(&all, &lens.steps)?;
        let taken = self.optional_tensor_of(&taken)?.ok_or_else(unknown)?;
        let places = self.graph.as_constant(taken).and_then(Tensor::to_ints).ok_or_else(unknown)?;
        let mut is_taken = vec![false; count];
        for place in &places {
            let place =
                usize::try_from(*place).ok().and_then(|place| is_taken.get_mut(place)).ok_or_else(unknown)?;
            if std::mem::replace(place, true) {
                return Err(Fault::python(
                    "RuntimeError",
                    "several elements of this view share memory: it cannot be written to",
                )
                .help("`x.clone()` has elements of its own"));
            }
        }
        Ok(places)
    }

    /// Gives a parameter, a view of one, or another tensor first values.
    pub(crate) fn begin(&mut self, tensor: &Value, init: Init) -> Result<()> {
        if let Some(parameter) = self.whole(tensor) {
            self.is_building()?;
            parameter.begin(init);
            return Ok(());
        }
        let Some(id) = self.optional_tensor_of(tensor)? else {
            return Err(Fault::type_error(format!("a {} has no initial values", tensor.type_name())));
        };
        if self.trace.is_running {
            return Err(Fault::unsupported("initial values are set in constructors, not in `forward`"));
        }
        let ty = self.graph.ty(id).clone();
        let shape = ty.static_shape().unwrap_or_default();
        self.elements(shape.iter().product())?;
        let number = self.next_draw();
        let values = self.tensor_of(&shape, Data::F32(init.values(&shape, self.seed, number)))?;
        let values = self.graph.constant("constant", values);
        let values = self.as_type(values, ty.dtype)?;
        self.change(tensor, values)
    }
}

/// Refuses two parameters of a model that are one in memory: a training step changes each by itself.
pub(crate) fn check_ties(i: &Interpreter, walk: &super::module::Walk) -> Result<()> {
    let name = |parameter: &Rc<Parameter>| {
        let all = walk.parameters.iter().chain(&walk.buffers);
        all.into_iter().find(|(_, other)| Rc::ptr_eq(other, parameter)).map(|(name, _)| name)
    };
    for (one, other) in &i.storage.tied {
        if let (Some(one), Some(other)) = (name(one), name(other)) {
            return Err(Fault::unsupported(format!(
                "`{one}` shares the memory of `{other}` without being the same parameter"
            ))
            .help(format!("`{one} = {other}` makes them one parameter, `.clone()` two")));
        }
    }
    Ok(())
}
