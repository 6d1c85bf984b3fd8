//! Tensors that share their elements: names of one tensor, views of it, and what changes in place.
//!
//! A tensor is a cell with a value of the graph, so that a change in place is one for all names of the tensor. A view, as
//! `x.view(...)` or `x[:, 0]` give it, has a cell of its own; once one of the two has changed, what would still be read
//! from the other are old elements. That is refused.

use std::collections::HashMap;

use kiln_graph::{ShapeDisplay, ValueId};

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
    "Flatten",
    "Unflatten",
];

/// Those that look at a part.
const PARTS: &[&str] = &["chunk", "split", "unbind", "narrow", "select"];

/// Those that give their input itself where there is nothing to do.
const SAME: &[&str] =
    &["contiguous", "detach", "cpu", "float", "long", "int", "bool", "half", "double", "to", "type_as"];

/// What a value is a view of.
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
        .help("`y = y + 1` makes a new tensor where `y += 1` changes all views; `x.clone()` is no view"))
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

    /// What a function or layer gives, with what it has in common with its input.
    pub(crate) fn shared(&mut self, name: &str, bound: &Bound, result: Value) -> Result<Value> {
        if matches!(bound.given("inplace"), Some(Value::Bool(true)))
            && let (Some(input @ Value::Tensor(_)), Value::Tensor(output)) = (bound.given("input"), &result)
        {
            self.change(input, output.get())?;
            return Ok(input.clone());
        }
        let (is_whole, is_part) = (WHOLE.contains(&name), PARTS.contains(&name));
        if !(is_whole || is_part || SAME.contains(&name)) {
            return Ok(result);
        }
        let Some(input @ Value::Tensor(cell)) = bound.given("input") else { return Ok(result) };
        if matches!(&result, Value::Tensor(output) if output.get() == cell.get()) {
            return Ok(input.clone());
        }
        if is_whole || is_part {
            self.view(&result, cell.get(), is_part);
        }
        Ok(result)
    }

    /// Changes a tensor in place, for all who use it.
    pub(crate) fn change(&mut self, tensor: &Value, to: ValueId) -> Result<()> {
        let Value::Tensor(cell) = tensor else { return Ok(()) };
        let (old, new) = (self.shape(cell.get()), self.shape(to));
        if old != new {
            return Err(Fault::value(format!(
                "a tensor of shape {} cannot become {} in place",
                ShapeDisplay(&old),
                ShapeDisplay(&new)
            )));
        }
        if cell.get() != to {
            self.sharing.change(cell.get(), self.graph.values().len());
            cell.set(to);
        }
        Ok(())
    }
}
