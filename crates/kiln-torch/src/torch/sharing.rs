//! Tensors that share their elements: names of one tensor, views of it, and what changes in place.
//!
//! A tensor is a cell with a value of the graph, so that a change in place is one for all names of the tensor. A view, as
//! `x.view(...)` or `x[:, 0]` give it, has a cell of its own; once one of the two has changed, what would still be read
//! from the other are old elements. That is refused.

use std::collections::HashMap;
use std::rc::Rc;

use kiln_graph::{Def, ShapeDisplay, ValueId};

use super::grad::is_renewed;
use super::storage::Step;
use crate::python::native::Native;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

/// Functions and layers that look at the same elements, all of them.
const WHOLE: &[&str] = &[
    "view",
    "reshape",
    "view_as",
    "flatten",
    "unflatten",
    "squeeze",
    "unsqueeze",
    "transpose",
    "t",
    "permute",
    "movedim",
    "expand",
    "expand_as",
    "detach",
    "Flatten",
    "Unflatten",
];

/// Those that look at a part.
const PARTS: &[&str] = &["chunk", "split", "unbind", "narrow", "select"];

/// Those that give their input itself where there is nothing to do.
const SAME: &[&str] =
    &["contiguous", "cpu", "float", "long", "int", "bool", "half", "double", "to", "type_as"];

/// The base of a view.
#[derive(Clone, Copy, Debug)]
struct View {
    of: ValueId,
    /// Whether it is of a part: another part may have other elements.
    is_part: bool,
}

/// Views, and what was changed in place. With a change goes how many values there were: views that are made later are of
/// the tensor as it is then.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    views: HashMap<ValueId, View>,
    /// Tensors that were changed: earlier views of them would be others now.
    changed: HashMap<ValueId, usize>,
    /// Tensors of which a view was changed: they would be others now, and their other views, too.
    behind: HashMap<ValueId, usize>,
}

impl Sharing {
    /// Notes a change of `value`, when there are `count` values.
    fn change(&mut self, value: ValueId, count: usize) {
        self.changed.insert(value, count);
        let (mut at, mut is_whole) = (value, true);
        while let Some(view) = self.views.get(&at) {
            is_whole &= !view.is_part;
            self.behind.insert(view.of, count);
            if is_whole {
                self.changed.insert(view.of, count);
            }
            at = view.of;
        }
    }

    /// Whether the elements of `value` have been changed under another name.
    fn is_old(&self, value: ValueId) -> bool {
        if self.behind.is_empty() && (self.changed.is_empty() || self.views.is_empty()) {
            return false;
        }
        let before = |when: Option<&usize>| when.is_some_and(|count| value.index() < *count);
        if before(self.behind.get(&value)) {
            return true;
        }
        let (mut at, mut is_whole) = (value, true);
        while let Some(view) = self.views.get(&at) {
            is_whole &= !view.is_part;
            if before(self.changed.get(&view.of)) || is_whole && before(self.behind.get(&view.of)) {
                return true;
            }
            at = view.of;
        }
        false
    }
}

impl Interpreter {
    /// Refuses a tensor that has been changed through another one.
    pub(crate) fn up_to_date(&self, id: ValueId) -> Result<()> {
        if !self.sharing.is_old(id) {
            return Ok(());
        }
        Err(Fault::unsupported(format!(
            "`{}` was changed in place through a view of it, or is a view of what was changed",
            self.maker(id)
        ))
        .help("`y = y + 1` makes a new tensor where `y += 1` changes all views; `x.clone()` is not a view"))
    }

    /// Notes that `value` is a view.
    pub(crate) fn view(&mut self, value: &Value, of: ValueId, is_part: bool) {
        match value {
            Value::Tensor(cell) if cell.get() != of => {
                self.sharing.views.insert(cell.get(), View { of, is_part });
            }
            Value::Tuple(parts) => parts.iter().for_each(|part| self.view(part, of, is_part)),
            _ => {}
        }
    }

    /// What a function or layer gives, with what it has in common with its input. There were `before` values before it.
    pub(crate) fn shared(
        &mut self,
        name: &str,
        native: Option<&'static Native>,
        bound: &Bound,
        result: Value,
        before: usize,
    ) -> Result<Value> {
        let result = self.in_common(name, native, bound, result)?;
        if let Value::Tensor(cell) = &result
            && !self.gradients.is_on()
            && cell.get().index() < before
            && !SAME.contains(&name)
            && is_renewed(bound, &result)
        {
            cell.set(self.renewed(cell.get())?);
        }
        Ok(result)
    }

    fn in_common(
        &mut self,
        name: &str,
        native: Option<&'static Native>,
        bound: &Bound,
        result: Value,
    ) -> Result<Value> {
        if matches!(bound.given("inplace"), Some(Value::Bool(true)))
            && let (Some(input @ (Value::Tensor(_) | Value::Parameter(_))), Value::Tensor(output)) =
                (bound.given("input"), &result)
        {
            self.change(input, output.get())?;
            return Ok(input.clone());
        }
        let (is_whole, is_part) = (WHOLE.contains(&name), PARTS.contains(&name));
        if !(is_whole || is_part || SAME.contains(&name)) {
            return Ok(result);
        }
        let Some(input @ (Value::Tensor(_) | Value::Parameter(_))) = bound.given("input") else {
            return Ok(result);
        };
        let is_parameter = matches!(input, Value::Parameter(_));
        if let Value::Tensor(cell) = input {
            let now = self.looked_at(input)?.unwrap_or(cell.get());
            if let Value::Tensor(output) = &result
                && (output.get() == now || self.stands_for(output.get(), now))
            {
                // A view that is made while gradients are off has none.
                let own = if is_whole { self.renewed(now)? } else { now };
                if own == now {
                    return Ok(input.clone());
                }
                output.set(own);
            }
            if (is_whole || is_part) && (self.trace.is_running || native.is_none()) {
                self.view(&result, cell.get(), is_part);
            }
        } else if let (Value::Parameter(parameter), Value::Tensor(output)) = (input, &result)
            && self.dtype(output.get()) != parameter.dtype
        {
            // Of another element type: a copy.
            return Ok(result);
        }
        match native {
            Some(_) if name == "detach" => self.look(input, &result, Step::Detached),
            Some(native) if is_whole || is_part => {
                self.look(input, &result, Step::Call(native, Rc::new(bound.clone()), None));
            }
            Some(_) if is_parameter => self.look(input, &result, Step::Same),
            Some(_) | None => {}
        }
        Ok(result)
    }

    /// Changes a tensor in place, for all who use it.
    pub(crate) fn change(&mut self, tensor: &Value, to: ValueId) -> Result<()> {
        if let Value::Parameter(parameter) = tensor {
            return self.set_values(parameter, to);
        }
        let Value::Tensor(cell) = tensor else { return Ok(()) };
        let now = self.looked_at(tensor)?.unwrap_or(cell.get());
        let (old, new) = (self.shape(now), self.shape(to));
        if old != new {
            return Err(Fault::value(format!(
                "a tensor of shape {} cannot become {} in place",
                ShapeDisplay(&old),
                ShapeDisplay(&new)
            )));
        }
        if now == to || self.write_through(tensor, to)? {
            return Ok(());
        }
        if matches!(self.graph.value(cell.get()).def, Def::State(_)) {
            self.is_building()?;
        }
        if self.trace.is_running {
            self.sharing.change(cell.get(), self.graph.values().len());
        }
        cell.set(self.changed_in_place(cell.get(), to)?);
        Ok(())
    }
}
