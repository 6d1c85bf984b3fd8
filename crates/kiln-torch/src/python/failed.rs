//! The effects of failed statements.
//!
//! At the top level of a file a failed statement is skipped: a program does more than define a model. But its effects are
//! unknown then. A list to which a layer was not appended is another network, so what such a statement would have defined
//! or changed stands for the reason, [`Value::Failed`], from there on.

use std::rc::Rc;

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_pattern, walk_stmt};
use ruff_python_ast::{ExceptHandler, Expr, Pattern, Stmt};

use super::Interpreter;
use super::fault::Fault;
use super::scope::Env;
use super::value::Value;
use crate::source::Span;

/// Methods that change what they are called on: a list, a dict, a set, the layers of a module.
const CHANGING: &[&str] = &[
    "append",
    "extend",
    "insert",
    "pop",
    "remove",
    "clear",
    "update",
    "setdefault",
    "popitem",
    "add",
    "discard",
    "reverse",
    "sort",
    "add_module",
    "register_module",
    "register_parameter",
    "register_buffer",
];

/// Methods of modules that give the module itself, and change nothing of its structure.
const MOVING: &[&str] = &["to", "cuda", "cpu", "train", "eval", "requires_grad_", "share_memory"];

/// What happens to a name.
#[derive(Clone, Copy, Debug)]
enum How<'a> {
    /// It is bound to something new.
    Bound,
    /// It is bound to what a method gives that only moves it: `model = model.to(device)`.
    Moved,
    /// It is bound to what is made of itself: `model = train(model)`.
    Passed,
    /// What it stands for is changed: `layers.append(...)`, `model.layers[0] = ...`.
    Changed,
    /// An attribute of what it stands for is set.
    Attribute(&'a str),
}

/// The names that a statement binds or changes, without those in the bodies of functions and classes.
#[derive(Default)]
struct Effects<'a> {
    found: Vec<(&'a str, How<'a>)>,
}

impl<'a> Effects<'a> {
    fn target(&mut self, target: &'a Expr, value: Option<&'a Expr>) {
        match target {
            Expr::Name(name) => {
                let how = match value {
                    Some(value) if is_moved(value, &name.id) => How::Moved,
                    Some(value) if mentions(value, &name.id) => How::Passed,
                    _ => How::Bound,
                };
                self.found.push((&name.id, how));
            }
            Expr::Tuple(tuple) => tuple.elts.iter().for_each(|each| self.target(each, value)),
            Expr::List(list) => list.elts.iter().for_each(|each| self.target(each, value)),
            Expr::Starred(starred) => self.target(&starred.value, value),
            Expr::Attribute(attribute) => match &*attribute.value {
                Expr::Name(name) => self.found.push((&name.id, How::Attribute(&attribute.attr))),
                other => self.changed(other),
            },
            Expr::Subscript(subscript) => self.changed(&subscript.value),
            _ => {}
        }
    }

    /// What stands at the beginning of `a.b[c].d` is changed.
    fn changed(&mut self, mut at: &'a Expr) {
        loop {
            at = match at {
                Expr::Attribute(attribute) => &attribute.value,
                Expr::Subscript(subscript) => &subscript.value,
                Expr::Name(name) => return self.found.push((&name.id, How::Changed)),
                _ => return,
            };
        }
    }
}

impl<'a> Visitor<'a> for Effects<'a> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            // Their bodies run when they are called.
            Stmt::FunctionDef(s) => return self.found.push((&s.name, How::Bound)),
            Stmt::ClassDef(s) => return self.found.push((&s.name, How::Bound)),
            Stmt::Assign(s) => s.targets.iter().for_each(|target| self.target(target, Some(&s.value))),
            Stmt::AnnAssign(s) => {
                if let Some(value) = &s.value {
                    self.target(&s.target, Some(value));
                }
            }
            Stmt::AugAssign(s) => match &*s.target {
                Expr::Name(name) => self.found.push((&name.id, How::Bound)),
                other => self.target(other, None),
            },
            Stmt::For(s) => self.target(&s.target, None),
            Stmt::With(s) => {
                let targets = s.items.iter().filter_map(|item| item.optional_vars.as_deref());
                targets.for_each(|target| self.target(target, None));
            }
            Stmt::Import(s) => self.found.extend(s.names.iter().map(|alias| {
                let top = alias.name.split('.').next().unwrap_or_default();
                (alias.asname.as_ref().map_or(top, |name| name.as_str()), How::Bound)
            })),
            Stmt::ImportFrom(s) => {
                let names = s.names.iter().map(|alias| alias.asname.as_ref().unwrap_or(&alias.name).as_str());
                self.found.extend(names.map(|name| (name, How::Bound)));
            }
            _ => {}
        }
        walk_stmt(self, statement);
    }

    fn visit_except_handler(&mut self, handler: &'a ExceptHandler) {
        let ExceptHandler::ExceptHandler(inner) = handler;
        self.found.extend(inner.name.iter().map(|name| (name.as_str(), How::Bound)));
        ruff_python_ast::visitor::walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchAs(p) => p.name.as_ref(),
            Pattern::MatchStar(p) => p.name.as_ref(),
            Pattern::MatchMapping(p) => p.rest.as_ref(),
            _ => None,
        };
        self.found.extend(name.map(|name| (name.as_str(), How::Bound)));
        walk_pattern(self, pattern);
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Lambda(_) => return,
            Expr::Named(named) => self.target(&named.target, None),
            Expr::Call(call) => {
                if let Expr::Attribute(method) = &*call.func
                    && CHANGING.contains(&method.attr.as_str())
                {
                    self.changed(&method.value);
                }
            }
            _ => {}
        }
        walk_expr(self, expression);
    }
}

/// Whether an expression uses a name.
fn mentions(expression: &Expr, name: &str) -> bool {
    struct Finder<'n>(&'n str, bool);
    impl<'a> Visitor<'a> for Finder<'_> {
        fn visit_expr(&mut self, expression: &'a Expr) {
            self.1 |= matches!(expression, Expr::Name(found) if found.id == self.0);
            walk_expr(self, expression);
        }
    }
    let mut finder = Finder(name, false);
    finder.visit_expr(expression);
    finder.1
}

/// Whether an expression is the name with calls of methods that only move it.
fn is_moved(mut expression: &Expr, name: &str) -> bool {
    let mut calls = 0;
    loop {
        match expression {
            Expr::Name(found) => return calls > 0 && found.id == name,
            Expr::Call(call) => match &*call.func {
                Expr::Attribute(method) if MOVING.contains(&method.attr.as_str()) => {
                    expression = &method.value;
                    calls += 1;
                }
                _ => return false,
            },
            _ => return false,
        }
    }
}

/// The names that a statement would define, and those that stand within it, in their order.
pub(crate) fn assigned(statement: &Stmt) -> Vec<String> {
    let mut effects = Effects::default();
    effects.visit_stmt(statement);
    let is_defined = |how: &How| matches!(how, How::Bound | How::Moved | How::Passed);
    effects.found.into_iter().filter(|(_, how)| is_defined(how)).map(|(name, _)| name.to_owned()).collect()
}

impl Interpreter {
    /// Lets what a statement would have defined or changed stand for the reason why it failed.
    pub(super) fn leave_unknown(&mut self, env: &Env, statement: &Stmt, fault: Fault) {
        let mut effects = Effects::default();
        effects.visit_stmt(statement);
        let failed = Value::Failed(Rc::new(fault));
        for (name, how) in effects.found {
            let old = env.scope.own(name);
            let module = old.as_ref().and_then(Value::as_module);
            match (how, &old) {
                (How::Moved, Some(_)) if module.is_some() => continue,
                (How::Passed, Some(_)) if module.is_some() => {
                    self.passed_over.push((name.to_owned(), Span::of(env.file, statement)));
                    continue;
                }
                (How::Bound | How::Moved | How::Passed, _) => {}
                // A mark of the program's own, such as `model.class_names = data.classes`, unless a layer had that name.
                (How::Attribute(attribute), Some(Value::Object(object)))
                    if module.is_none() || object.get(attribute).is_none() =>
                {
                    object.set(attribute, failed.clone());
                    continue;
                }
                (
                    How::Changed | How::Attribute(_),
                    Some(
                        Value::List(_)
                        | Value::Dict(_)
                        | Value::Set(_)
                        | Value::Object(_)
                        | Value::Class(_)
                        | Value::Tensor(_)
                        | Value::Parameter(_),
                    ),
                ) => {}
                // Nothing of the program: `torch.backends.cudnn.benchmark = ...`.
                (How::Changed | How::Attribute(_), _) => continue,
            }
            env.scope.set(name, failed.clone());
        }
    }

    /// The skipped statements that may have changed the model in `name`.
    pub(crate) fn passed_over(&self, name: &str) -> Vec<String> {
        let of_name = self.passed_over.iter().filter(|(other, _)| other == name);
        let words = of_name.filter_map(|(name, span)| {
            let file = self.files.get(usize::try_from(span.file).ok()?)?;
            let (line, _) = file.position(span.start);
            let path = file.path.display();
            let text = self.words_of(*span);
            Some(format!("`{text}` ({path}:{line}) is skipped: `{name}` is used as it was before"))
        });
        words.collect()
    }
}
