//! Reference cycles.
//!
//! Values are reference-counted, and cycles are never freed by counting: a list that was appended to itself, a
//! class and the methods that refer to it. Every mutable object is recorded while a program runs and
//! emptied in the end.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use super::scope::Scope;
use super::value::{Class, Dict, Object, Value};

/// Something that can change.
enum Held {
    Scope(Weak<Scope>),
    Class(Weak<Class>),
    Object(Weak<Object>),
    List(Weak<RefCell<Vec<Value>>>),
    Dict(Weak<RefCell<Dict>>),
}

/// All that can change.
#[derive(Default)]
pub(crate) struct Cycles {
    held: Vec<Held>,
    /// How many there may be before those that are gone are looked for.
    sweep_at: usize,
}

impl Cycles {
    pub(crate) fn scope(&mut self, scope: &Rc<Scope>) {
        self.hold(Held::Scope(Rc::downgrade(scope)));
    }

    pub(crate) fn class(&mut self, class: &Rc<Class>) {
        self.hold(Held::Class(Rc::downgrade(class)));
    }

    pub(crate) fn object(&mut self, object: &Rc<Object>) {
        self.hold(Held::Object(Rc::downgrade(object)));
    }

    /// A list or dictionary has got something.
    pub(crate) fn changed(&mut self, container: &Value, new: &Value) {
        let is_plain = matches!(
            new,
            Value::None
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Float(_)
                | Value::Str(_)
                | Value::Size(_)
                | Value::Tensor(_)
                | Value::Parameter(_)
        );
        match container {
            Value::List(list) if !is_plain => self.hold(Held::List(Rc::downgrade(list))),
            Value::Dict(dict) | Value::Set(dict) if !is_plain => self.hold(Held::Dict(Rc::downgrade(dict))),
            _ => {}
        }
    }

    fn hold(&mut self, new: Held) {
        let is_last = match (self.held.last(), &new) {
            (Some(Held::List(a)), Held::List(b)) => a.ptr_eq(b),
            (Some(Held::Dict(a)), Held::Dict(b)) => a.ptr_eq(b),
            _ => false,
        };
        if is_last {
            return;
        }
        if self.held.len() >= self.sweep_at {
            self.held.retain(|held| match held {
                Held::Scope(x) => x.strong_count() > 0,
                Held::Class(x) => x.strong_count() > 0,
                Held::Object(x) => x.strong_count() > 0,
                Held::List(x) => x.strong_count() > 0,
                Held::Dict(x) => x.strong_count() > 0,
            });
            self.sweep_at = (2 * self.held.len()).max(1 << 12);
        }
        self.held.push(new);
    }
}

impl Drop for Cycles {
    fn drop(&mut self) {
        for held in std::mem::take(&mut self.held) {
            match held {
                Held::Scope(x) => x.upgrade().iter().for_each(|scope| scope.clear()),
                Held::Class(x) => x.upgrade().iter().for_each(|class| drop(class.attributes.take())),
                Held::Object(x) => x.upgrade().iter().for_each(|object| drop(object.attributes.take())),
                Held::List(x) => x.upgrade().iter().for_each(|list| drop(list.take())),
                Held::Dict(x) => x.upgrade().iter().for_each(|dict| drop(dict.take())),
            }
        }
    }
}
