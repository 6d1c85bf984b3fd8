//! Tracking of gradients: `detach()`, `torch.no_grad()` and the like.
//!
//! In PyTorch a tensor that is made while gradients are off has none, whatever it is made of. Here values of the graph
//! know nothing of that; which ones were made meanwhile is noted, and `stop_gradient` stands in front of them where they
//! are used while gradients are on.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use kiln_graph::{Def, Op, ValueId};

use super::{Function, functions};
use crate::python::methods::natives;
use crate::python::native::Native;
use crate::python::value::{self, Partial};
use crate::python::{Args, Bound, Class, Fault, Interpreter, Result, Value};

/// Whether gradients are followed, and what was made while they were not.
#[derive(Debug, Default)]
pub(crate) struct Gradients {
    is_off: bool,
    /// The number of the first value made since they were switched off.
    since: usize,
    /// Values made while they were off before.
    without: Vec<Range<usize>>,
    /// Of these values, those that have a gradient nevertheless: they were changed in place, and had one before.
    kept: HashSet<ValueId>,
    /// What stands for values without gradient where gradients are on.
    stopped: HashMap<ValueId, ValueId>,
    /// Parameters that are trained.
    sources: HashSet<ValueId>,
}

impl Gradients {
    /// Whether gradients are followed.
    pub(crate) fn is_on(&self) -> bool {
        !self.is_off
    }

    /// Notes a parameter that is trained.
    pub(crate) fn add_source(&mut self, id: ValueId) {
        self.sources.insert(id);
    }

    /// Whether a value is a parameter that is trained.
    pub(crate) fn is_source(&self, id: ValueId) -> bool {
        self.sources.contains(&id)
    }

    fn set(&mut self, on: bool, count: usize) -> bool {
        let before = !self.is_off;
        if before && !on {
            self.since = count;
        }
        if !before && on && self.since < count {
            self.without.push(self.since..count);
        }
        self.is_off = !on;
        before
    }

    /// Whether a value was made while gradients were off.
    fn is_without(&self, id: ValueId) -> bool {
        let at = id.index();
        let next = self.without.partition_point(|range| range.end <= at);
        let is_inside = self.without.get(next).is_some_and(|range| range.contains(&at));
        (is_inside || self.is_off && at >= self.since) && !self.kept.contains(&id)
    }
}

pub(super) static FUNCTIONS: &[Function] = functions! {
    T "no_grad" ("orig_func=None") => |i, b| context(i, &b.get("orig_func"), &Value::Bool(false)),
    T "enable_grad" ("orig_func=None") => |i, b| context(i, &b.get("orig_func"), &Value::Bool(true)),
    T "inference_mode" ("mode=True") => |i, b| match b.get("mode") {
        mode @ (Value::Bool(_) | Value::Training) => {
            let on = !i.truth(&mode)?;
            context(i, &Value::None, &Value::Bool(on))
        }
        function => context(i, &function, &Value::Bool(false)),
    },
    T "set_grad_enabled" ("mode") => |i, b| {
        let on = i.truth(&b.get("mode"))?;
        let made = context(i, &Value::None, &Value::Bool(on))?;
        if let Value::Object(object) = &made {
            object.set("before", Value::Bool(i.gradients.is_on()));
        }
        i.follow_gradients(on);
        Ok(made)
    },
    T "is_grad_enabled" ("") => |i, _| Ok(Value::Bool(i.gradients.is_on())),
    TM "detach" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        Ok(Value::tensor(i.detached(x)?))
    },
};

/// What a `with` statement or a decorator does with `torch.no_grad()`.
static CONTEXT: &[Native] = natives! {
    "__enter__" "self" => |i, b| {
        let object = b.object("self")?;
        let on = matches!(object.get("on"), Some(Value::Bool(true)));
        let before = i.follow_gradients(on);
        if object.get("before").is_none() {
            object.set("before", Value::Bool(before));
        }
        Ok(Value::None)
    },
    "__exit__" "self, *args" => |i, b| {
        if let Some(Value::Bool(before)) = b.object("self")?.attributes.borrow_mut().shift_remove("before") {
            i.follow_gradients(before);
        }
        Ok(Value::None)
    },
    "__call__" "self, func" => |i, b| {
        let object = b.object("self")?;
        // `@torch.set_grad_enabled(False)` has switched them already.
        if let Some(Value::Bool(before)) = object.attributes.borrow_mut().shift_remove("before") {
            i.follow_gradients(before);
        }
        decorated(&b.get("func"), &object.get("on").unwrap_or(Value::None))
    },
};

/// The full name of the contexts' class.
pub(super) const CLASS: &str = "torch.no_grad";

/// Gives the class of contexts its methods.
fn with_methods(class: &Rc<Class>) {
    let mut attributes = class.attributes.borrow_mut();
    for native in CONTEXT {
        attributes.entry(native.name.into()).or_insert(Value::Native(native));
    }
}

/// `torch.no_grad()`, or `@torch.no_grad` around a function.
fn context(i: &mut Interpreter, function: &Value, on: &Value) -> Result<Value> {
    if !matches!(function, Value::None) {
        return decorated(function, on);
    }
    let class = i.class(CLASS)?;
    with_methods(&class);
    let object = i.object(class);
    object.set("on", on.clone());
    Ok(Value::Object(object))
}

/// A function while which runs gradients are on or off.
fn decorated(function: &Value, on: &Value) -> Result<Value> {
    Ok(match function {
        Value::Function(function) => Value::Function(Rc::new(value::Function {
            name: function.name.clone(),
            file: function.file,
            code: function.code.clone(),
            defaults: function.defaults.clone(),
            scope: function.scope.clone(),
            attributes: function.attributes.clone(),
            owner: function.owner.clone(),
            gradients: Cell::new(Some(matches!(on, Value::Bool(true)))),
        })),
        Value::Class(class) => {
            return Err(Fault::unsupported(format!("`torch.no_grad` around the class `{}`", class.name))
                .help("it belongs around methods"));
        }
        Value::Failed(fault) => return Err((**fault).clone()),
        other => Value::Partial(Rc::new(Partial {
            callee: Value::Native(&RUN),
            positional: vec![on.clone(), other.clone()],
            named: vec![],
        })),
    })
}

/// Calls something with gradients on or off.
static RUN: Native = Native {
    name: "torch.no_grad",
    signature: "on, function, /, *args, **kwargs",
    call: |i, b| {
        let args: Args = crate::python::rest(i, b)?;
        let on = matches!(b.get("on"), Value::Bool(true));
        i.with_gradients(on, |i| i.call(&b.get("function"), args))
    },
};

impl Interpreter {
    /// Switches gradients on or off; gives what they were.
    pub(crate) fn follow_gradients(&mut self, on: bool) -> bool {
        self.gradients.set(on, self.graph.values().len())
    }

    /// Runs something with gradients on or off.
    pub(crate) fn with_gradients<T>(
        &mut self,
        on: bool,
        run: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = self.follow_gradients(on);
        let result = run(self);
        self.follow_gradients(before);
        result
    }

    /// The same elements without a gradient.
    pub(crate) fn detached(&mut self, id: ValueId) -> Result<ValueId> {
        if !self.leads_to_parameters(id, true)? {
            return Ok(id);
        }
        let name = self.maker(id);
        Ok(self.graph.apply1(name, Op::StopGradient, &[id])?)
    }

    /// What stands for a value where it is used.
    pub(crate) fn followed(&mut self, id: ValueId) -> Result<ValueId> {
        if self.gradients.is_off || !self.gradients.is_without(id) {
            return Ok(id);
        }
        if let Some(stopped) = self.gradients.stopped.get(&id) {
            return Ok(*stopped);
        }
        let stopped = if self.leads_to_parameters(id, false)? {
            let name = self.maker(id);
            self.graph.apply1(name, Op::StopGradient, &[id])?
        } else {
            id
        };
        self.gradients.stopped.insert(id, stopped);
        Ok(stopped)
    }

    /// Whether `stopped` is what stands for `id` while gradients are on.
    pub(crate) fn stands_for(&self, stopped: ValueId, id: ValueId) -> bool {
        self.gradients.stopped.get(&id) == Some(&stopped)
    }

    /// A new tensor of the elements of `id`, as views are, which has no gradient if it is made while gradients are off.
    pub(crate) fn renewed(&mut self, id: ValueId) -> Result<ValueId> {
        if self.gradients.is_on() { Ok(id) } else { self.detached(id) }
    }

    /// What a tensor becomes that is changed in place. While gradients are off, only its elements change: what had a
    /// gradient keeps it, as if nothing had happened.
    pub(crate) fn changed_in_place(&mut self, old: ValueId, new: ValueId) -> Result<ValueId> {
        if self.gradients.is_on() || !self.has_gradient(old)? {
            return Ok(new);
        }
        let name = self.maker(new);
        let both = self.graph.apply1(name, Op::StopGradient, &[new, old])?;
        self.gradients.kept.insert(both);
        Ok(both)
    }

    /// `requires_grad` of a tensor.
    pub(crate) fn has_gradient(&mut self, id: ValueId) -> Result<bool> {
        self.leads_to_parameters(id, true)
    }

    /// Whether a value depends on parameters that are trained; where what was made with gradients off is `respected`, not
    /// through that.
    fn leads_to_parameters(&mut self, id: ValueId, respected: bool) -> Result<bool> {
        let (mut met, mut open) = (HashSet::from([id]), vec![id]);
        while let Some(id) = open.pop() {
            self.step(1)?;
            if !self.dtype(id).is_float() || respected && self.gradients.is_without(id) {
                continue;
            }
            match &self.graph.value(id).def {
                Def::State(_) if self.gradients.sources.contains(&id) => return Ok(true),
                Def::Node { node, .. } => {
                    let node = self.graph.node(*node);
                    let from = usize::from(matches!(node.op, Op::StopGradient));
                    open.extend(node.inputs.iter().skip(from).filter(|input| met.insert(**input)));
                }
                Def::State(_) | Def::Input | Def::Constant(_) => {}
            }
        }
        Ok(false)
    }
}

/// Whether a function gives a tensor that has a gradient of its own, although gradients are off.
pub(super) fn is_renewed(bound: &Bound, result: &Value) -> bool {
    let Value::Tensor(cell) = result else { return false };
    !bound.values.iter().any(|(_, value)| matches!(value, Value::Tensor(other) if Rc::ptr_eq(cell, other)))
}
