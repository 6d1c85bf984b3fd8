//! Names and their values, in a file, a function or a comprehension.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::value::{Class, Function, Value};
use crate::source::Span;

/// Names, and where to look for others.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    names: RefCell<HashMap<Rc<str>, Value>>,
    /// Names declared `global` or `nonlocal`: they are assigned further out.
    elsewhere: RefCell<HashSet<Rc<str>>>,
    /// Whether it is a comprehension's.
    pub is_comprehension: Cell<bool>,
    /// Modules that `from module import *` names, where their names are not known one by one.
    pub stars: RefCell<Vec<(Value, Span)>>,
    /// Whether `from fastai... import *` has brought names.
    pub fastai: Cell<bool>,
    /// The values of names that the program has deleted, `del model`, at the top level of a file.
    deleted: RefCell<HashMap<Rc<str>, Value>>,
    parent: Option<Rc<Scope>>,
}

impl Scope {
    /// A scope within `parent`.
    pub(crate) fn within(parent: &Rc<Scope>) -> Rc<Self> {
        Rc::new(Self { parent: Some(parent.clone()), ..Self::default() })
    }

    /// The scope around all comprehensions.
    pub(crate) fn outside(scope: &Rc<Scope>) -> Rc<Scope> {
        let mut at = scope;
        while let (true, Some(parent)) = (at.is_comprehension.get(), &at.parent) {
            at = parent;
        }
        at.clone()
    }

    /// The meaning of a name.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = Some(self);
        while let Some(at) = scope {
            if let Some(value) = at.names.borrow().get(name) {
                return Some(value.clone());
            }
            scope = at.parent.as_deref();
        }
        None
    }

    /// The value of a name here.
    pub(crate) fn own(&self, name: &str) -> Option<Value> {
        self.names.borrow().get(name).cloned()
    }

    /// Binds a name to a value.
    pub(crate) fn set(&self, name: &str, value: Value) {
        if self.elsewhere.borrow().contains(name) {
            let mut scope = self.parent.as_deref();
            while let Some(at) = scope {
                if at.names.borrow().contains_key(name) || at.parent.is_none() {
                    at.names.borrow_mut().insert(name.into(), value);
                    return;
                }
                scope = at.parent.as_deref();
            }
            return;
        }
        self.names.borrow_mut().insert(name.into(), value);
    }

    /// Takes a name away. Models that were trained are deleted to make room for the next; the caller of Kiln can still
    /// ask for them.
    pub(crate) fn remove(&self, name: &str) {
        let removed = self.names.borrow_mut().remove_entry(name);
        if let (Some((name, value)), None) = (removed, &self.parent) {
            self.deleted.borrow_mut().insert(name, value);
        }
    }

    /// The value of a name of a file, even if the program has deleted it.
    pub(crate) fn own_or_deleted(&self, name: &str) -> Option<Value> {
        self.own(name).or_else(|| self.deleted.borrow().get(name).cloned())
    }

    /// Lets assignments of a name go further out.
    pub(crate) fn declare_elsewhere(&self, name: &str) {
        self.elsewhere.borrow_mut().insert(name.into());
    }

    /// All names of this scope, sorted.
    pub(crate) fn names(&self) -> Vec<Rc<str>> {
        let mut names: Vec<Rc<str>> = self.names.borrow().keys().cloned().collect();
        names.sort();
        names
    }

    /// Forgets everything, so that scopes and the functions in them do not keep each other alive.
    pub(crate) fn clear(&self) {
        let names = std::mem::take(&mut *self.names.borrow_mut());
        drop((names, self.stars.take(), self.deleted.take()));
    }
}

/// Where a piece of program is evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Env {
    pub scope: Rc<Scope>,
    /// The file.
    pub file: u32,
    /// The method that is being called, with its `self`, for `super()`.
    pub method: Option<(Rc<Function>, Option<Value>)>,
    /// In a class body: the names around the class, which are all that methods see.
    pub around: Option<Rc<Scope>>,
    /// In a generator: what it has given so far.
    pub yields: Option<Rc<RefCell<Vec<Value>>>>,
}

impl Env {
    /// A place outside of functions and classes.
    pub(crate) fn new(scope: Rc<Scope>, file: u32) -> Self {
        Self { scope, file, method: None, around: None, yields: None }
    }

    /// The scope of the file.
    pub(crate) fn globals(&self) -> Rc<Scope> {
        let mut scope = &self.scope;
        while let Some(parent) = &scope.parent {
            scope = parent;
        }
        scope.clone()
    }

    /// The same with other names.
    pub(crate) fn with_scope(&self, scope: Rc<Scope>) -> Self {
        Self { scope, ..self.clone() }
    }

    /// The names that a function defined here sees.
    pub(crate) fn closure(&self) -> Rc<Scope> {
        self.around.as_ref().unwrap_or(&self.scope).clone()
    }

    /// The class whose method is being called.
    pub(crate) fn class(&self) -> Option<Rc<Class>> {
        self.method.as_ref().and_then(|(function, _)| function.owner.borrow().clone())
    }
}
