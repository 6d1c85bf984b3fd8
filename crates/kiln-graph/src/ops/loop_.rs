//! A loop: a graph that is run once for each step, where the number of steps follows from sizes.
//!
//! ```text
//! carried before ----+                          +---> carried after
//!   sequences -------+--> body, steps times ----+---> results of all steps
//!   what stays ------+                          +
//! ```
//!
//! The body is a graph of its own. It reads nothing from outside but its inputs, so that everything a loop depends on is
//! among the node's inputs, in the order of the body's: first the *carried* values, which the body replaces at each step;
//! then one part of each *scanned* sequence; then what is the same at each step. Its outputs are the new carried values,
//! then what is *stacked* along an axis of the node's outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Adjoint, Concat, Gradients, Op, Precision, Reshape, Slice, SliceAxis, check_axis};
use crate::dim::{Bindings, Dim};
use crate::error::{EvalError, GraphError, ShapeError};
use crate::eval::evaluate;
use crate::graph::{Def, Graph, ValueId};
use crate::guards::Guards;
use crate::tensor::{Tensor, TensorType};

/// An axis of a sequence that a loop walks along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Along {
    /// The axis.
    pub axis: usize,
    /// From the last index to the first.
    pub reverse: bool,
}

impl Along {
    /// The index that belongs to a step, of so many.
    pub fn place(self, step: Dim, steps: &Dim) -> Dim {
        if self.reverse { steps.clone() - step - Dim::from(1) } else { step }
    }
}

/// See the module's text. Inputs and outputs are those of the body, with sequences in place of their parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    /// What a step computes. It has no states.
    pub body: Arc<Graph>,
    /// How many steps there are.
    pub steps: Dim,
    /// How many of the first inputs are carried from step to step; as many of the first outputs are their new values.
    pub carried: usize,
    /// The next inputs: sequences of which each step gets a part, without the axis.
    pub scanned: Vec<Along>,
    /// The other outputs: sequences that each step adds a part to, as a new axis.
    pub stacked: Vec<Along>,
}

/// Most steps that front ends write out, each of some ten nodes: short sequences gain from it, since nothing is copied from
/// step to step, and what is constant in a step is computed at once.
const MOST_WRITTEN: usize = 64;

impl Loop {
    /// Whether so many steps are better a loop than written out.
    pub fn is_long(steps: &Dim) -> bool {
        steps.as_usize().is_none_or(|steps| steps > MOST_WRITTEN)
    }

    /// What the body assumes of sizes is assumed around it, too.
    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<Vec<TensorType>, ShapeError> {
        let formal = self.body.inputs();
        if inputs.len() != formal.len() {
            return Err(ShapeError::InputCount { expected: formal.len().to_string(), found: inputs.len() });
        }
        if self.carried + self.scanned.len() > formal.len()
            || self.carried + self.stacked.len() != self.body.outputs().len()
        {
            let message = "its attributes do not fit the inputs and outputs of its body".into();
            return Err(ShapeError::Mismatch(message));
        }
        if !self.body.states().is_empty() {
            return Err(ShapeError::Mismatch("its body has states, which only whole graphs have".into()));
        }
        for (n, (given, formal)) in inputs.iter().zip(formal).enumerate() {
            let (name, wanted) = (&self.body.value(*formal).name, self.body.ty(*formal));
            let part = match n.checked_sub(self.carried).and_then(|n| self.scanned.get(n)) {
                Some(along) => &part(given, *along, &self.steps, guards)?,
                None => *given,
            };
            if !guards.same_type(part, wanted) {
                let message = format!("`{name}` of its body is {wanted}, but is given {part}");
                return Err(ShapeError::Mismatch(message));
            }
        }
        if let Some(broken) = guards.adopt(self.body.guards()) {
            return Err(ShapeError::Mismatch(format!("its body needs {broken}")));
        }
        self.results(guards)
    }

    /// The types of the outputs.
    fn results(&self, guards: &mut Guards) -> Result<Vec<TensorType>, ShapeError> {
        let mut types = Vec::with_capacity(self.body.outputs().len());
        for (n, output) in self.body.outputs().iter().enumerate() {
            let ty = self.body.ty(output.value).clone();
            match n.checked_sub(self.carried).and_then(|n| self.stacked.get(n)) {
                Some(along) => types.push(sequence(ty, along.axis, &self.steps)?),
                None => {
                    let before = self.body.ty(self.body.inputs()[n]);
                    if !guards.same_type(before, &ty) {
                        let message = format!(
                            "`{}` is carried from step to step as {before}, but becomes {ty}",
                            output.name
                        );
                        return Err(ShapeError::Mismatch(message));
                    }
                    types.push(ty);
                }
            }
        }
        Ok(types)
    }

    /// With numbers in place of all symbols, those of the body included.
    pub(crate) fn bind(&self, symbols: &Bindings) -> Result<Self, EvalError> {
        let steps = self.steps.eval(symbols).map_err(EvalError::UnboundSymbol)?;
        let number = |dim: &Dim| dim.eval(symbols).map(Dim::from);
        let body = with_sizes(&self.body, &|dim| number(dim).map_err(EvalError::UnboundSymbol))?;
        Ok(Self { body: Arc::new(body), steps: steps.into(), ..self.clone() })
    }

    /// With other sizes everywhere. A body that does not take them stays as it is, which shows where the loop is applied.
    pub(crate) fn map_dims<E>(&self, dim: &dyn Fn(&Dim) -> Result<Dim, E>) -> Result<Self, E> {
        let mapped = |old: &Dim| {
            let failed = |_| EvalError::Shape(ShapeError::Mismatch("a size has no other".into()));
            dim(old).map_err(failed)
        };
        let body = with_sizes(&self.body, &mapped).map_or_else(|_| self.body.clone(), Arc::new);
        Ok(Self { body, steps: dim(&self.steps)?, ..self.clone() })
    }

    /// Runs the body for each step.
    pub(crate) fn evaluate(
        &self,
        inputs: &[&Tensor],
        precision: Precision,
        symbols: &Bindings,
    ) -> Result<Vec<Tensor>, EvalError> {
        let this = self.bind(symbols)?;
        let body = &*this.body;
        let steps = usize::try_from(this.steps.as_const().unwrap_or(0)).unwrap_or(0);
        let given: Vec<Tensor> = inputs.iter().map(|tensor| precision.hold(tensor)).collect();
        // Types are those of the graph: how tensors are held may be another type of float.
        for (tensor, id) in given.iter().zip(body.inputs()) {
            if precision.held(body.ty(*id).dtype) != tensor.dtype() {
                let (wanted, found) = (body.ty(*id), tensor.ty());
                return Err(ShapeError::Mismatch(format!("expects {wanted}, but is given {found}")).into());
            }
        }
        let mut carried = given.get(..this.carried).unwrap_or_default().to_vec();
        let mut parts: Vec<Vec<Tensor>> = vec![Vec::with_capacity(steps); this.stacked.len()];
        for step in 0..steps {
            let mut named = BTreeMap::new();
            for (n, (id, tensor)) in body.inputs().iter().zip(&given).enumerate() {
                let scanned = n.checked_sub(this.carried).and_then(|n| this.scanned.get(n));
                let value = match (carried.get(n), scanned) {
                    (Some(carried), _) => carried.clone(),
                    (None, Some(along)) => {
                        let place = if along.reverse { steps - 1 - step } else { step };
                        cut(tensor, along.axis, place, precision)?
                    }
                    (None, None) => tensor.clone(),
                };
                named.insert(body.value(*id).name.clone(), value);
            }
            let run = evaluate(body, &named, precision)
                .map_err(|error| EvalError::Body { step, message: error.to_string() })?;
            let mut results = run.outputs().iter().map(|(_, tensor)| tensor.clone());
            carried = results.by_ref().take(this.carried).collect();
            parts.iter_mut().zip(results).for_each(|(parts, part)| parts.push(part));
        }
        let types = this.results(&mut Guards::default())?;
        let whole = parts.iter().zip(&this.stacked).zip(types.iter().skip(this.carried));
        let whole = whole.map(|((parts, along), ty)| joined(parts, *along, ty, precision));
        Ok(carried.into_iter().chain(whole.collect::<Result<Vec<_>, _>>()?).collect())
    }

    pub(crate) fn gradient(&self, adjoint: &Adjoint<'_>) -> Gradients {
        Err(adjoint.none(format!(
            "a loop of {} steps is not differentiated; loops of a fixed number of up to {} steps are unrolled and \
             can be trained, so give the number of steps a fixed size",
            self.steps,
            crate::MOST_UNROLLED
        )))
    }
}

/// The type of a part of a sequence.
fn part(ty: &TensorType, along: Along, steps: &Dim, guards: &mut Guards) -> Result<TensorType, ShapeError> {
    check_axis("scanned", along.axis, ty.rank())?;
    let mut shape = ty.shape.clone();
    let length = shape.remove(along.axis);
    if guards.equal(&length, steps).is_none() {
        let message = format!("it has {steps} steps, but is to walk along {length} elements of {ty}");
        return Err(ShapeError::Mismatch(message));
    }
    Ok(TensorType::new(ty.dtype, shape))
}

/// The type of a sequence of such parts.
fn sequence(ty: TensorType, axis: usize, steps: &Dim) -> Result<TensorType, ShapeError> {
    check_axis("stacked", axis, ty.rank() + 1)?;
    let mut shape = ty.shape;
    shape.insert(axis, steps.clone());
    Ok(TensorType::new(ty.dtype, shape))
}

/// The graph with other sizes in its types and attributes.
fn with_sizes(graph: &Graph, dim: &dyn Fn(&Dim) -> Result<Dim, EvalError>) -> Result<Graph, EvalError> {
    let fail = |error: GraphError| EvalError::Shape(ShapeError::Mismatch(error.to_string()));
    let mut new = Graph::new(graph.name.clone());
    let mut mapped: Vec<Option<ValueId>> = vec![None; graph.values().len()];
    for id in graph.value_ids() {
        let value = graph.value(id);
        mapped[id.index()] = match &value.def {
            Def::Input => {
                let shape = value.ty.shape.iter().map(dim).collect::<Result<Vec<_>, _>>()?;
                Some(new.input(value.name.clone(), TensorType::new(value.ty.dtype, shape)).map_err(fail)?)
            }
            Def::Constant(tensor) | Def::State(tensor) => {
                Some(new.constant(value.name.clone(), tensor.clone()))
            }
            Def::Node { .. } => None,
        };
    }
    let undefined = || EvalError::Shape(ShapeError::Mismatch("its body is not in order".into()));
    for node in graph.nodes() {
        let inputs: Option<Vec<ValueId>> = node.inputs.iter().map(|id| mapped[id.index()]).collect();
        let op = node.op.map_dims(dim)?;
        let outputs = new.apply(node.name.clone(), op, &inputs.ok_or_else(undefined)?).map_err(fail)?;
        for (old, output) in node.outputs.iter().zip(outputs) {
            mapped[old.index()] = Some(output);
        }
    }
    for output in graph.outputs() {
        let value = mapped[output.value.index()].ok_or_else(undefined)?;
        new.output(output.name.clone(), value).map_err(fail)?;
    }
    Ok(new)
}

/// The result of an operator that moves elements.
fn moved(op: Op, inputs: &[&Tensor], precision: Precision) -> Result<Tensor, EvalError> {
    let results = op.evaluate(inputs, precision, &Bindings::new())?;
    results.into_iter().next().ok_or_else(|| ShapeError::Mismatch("there is no result".into()).into())
}

/// The part of a tensor at an index of an axis, without the axis.
fn cut(tensor: &Tensor, axis: usize, place: usize, precision: Precision) -> Result<Tensor, EvalError> {
    let cut = SliceAxis { axis, start: place.into(), length: 1.into(), step: 1 };
    let part = moved(Op::Slice(Slice { axes: vec![cut] }), &[tensor], precision)?;
    let mut shape = part.ty().shape;
    shape.remove(axis);
    moved(Op::Reshape(Reshape { shape }), &[&part], precision)
}

/// Parts put together along a new axis of a tensor of type `ty`.
fn joined(
    parts: &[Tensor],
    along: Along,
    ty: &TensorType,
    precision: Precision,
) -> Result<Tensor, EvalError> {
    if parts.is_empty() {
        let shape = ty.static_shape().unwrap_or_default();
        let empty = Tensor::of_numbers(shape, &[], precision.held(ty.dtype));
        return empty.map_err(|error| ShapeError::Mismatch(error.to_string()).into());
    }
    let mut shape = ty.shape.clone();
    shape[along.axis] = 1.into();
    let reshape = Op::Reshape(Reshape { shape });
    let wide = parts.iter().map(|part| moved(reshape.clone(), &[part], precision));
    let mut wide = wide.collect::<Result<Vec<_>, _>>()?;
    if along.reverse {
        wide.reverse();
    }
    moved(Op::Concat(Concat { axis: along.axis }), &wide.iter().collect::<Vec<_>>(), precision)
}
