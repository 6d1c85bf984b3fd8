//! Statements.

use ruff_python_ast::{
    ExceptHandler, Expr, Stmt, StmtFor, StmtGlobal, StmtIf, StmtNonlocal, StmtTry, StmtWhile, StmtWith,
};

use super::fault::{Fault, Kind, Result};
use super::scope::Env;
use super::value::Value;
use super::{Interpreter, operators};
use crate::source::Span;

/// How a statement ends.
pub(crate) enum Flow {
    Next,
    Return(Value),
    Break,
    Continue,
}

/// Whether a fault is one of these exceptions.
pub(super) fn is_raised(fault: &Fault, names: &[&str]) -> bool {
    match &fault.0.kind {
        Kind::Python(name) => names.contains(name),
        Kind::Raised(Value::Object(object)) => names.iter().any(|name| object.class.is_named(name)),
        Kind::Raised(Value::Class(class)) => names.iter().any(|name| class.is_named(name)),
        Kind::Raised(_) | Kind::Unsupported | Kind::Limit => false,
    }
}

impl Interpreter {
    /// Runs statements until one leaves.
    pub(crate) fn block(&mut self, env: &Env, statements: &[Stmt]) -> Result<Flow> {
        for statement in statements {
            match self.statement(env, statement)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    /// Runs a statement.
    pub(crate) fn statement(&mut self, env: &Env, statement: &Stmt) -> Result<Flow> {
        let span = Span::of(env.file, statement);
        self.step(1).map_err(|fault| fault.at(span))?;
        self.deeper(|this| this.plain_statement(env, statement)).map_err(|fault| fault.at(span))
    }

    fn plain_statement(&mut self, env: &Env, statement: &Stmt) -> Result<Flow> {
        match statement {
            Stmt::Expr(s) => {
                self.eval(env, &s.value)?;
            }
            Stmt::Assign(s) => {
                let value = self.eval(env, &s.value)?;
                for target in &s.targets {
                    self.assign(env, target, value.clone())?;
                }
            }
            Stmt::AugAssign(s) => {
                // `x[:, 0] += 1` changes the part of the tensor, not a copy of it.
                if let Expr::Subscript(part) = &*s.target {
                    let whole = self.eval(env, &part.value)?;
                    if matches!(whole, Value::Tensor(_) | Value::Parameter(_)) {
                        let key = self.eval(env, &part.slice)?;
                        let old = self.item(&whole, &key)?;
                        let value = self.eval(env, &s.value)?;
                        let new = self.binary(s.op, &old, &value)?;
                        self.set_item(&whole, &key, new)?;
                        return Ok(Flow::Next);
                    }
                }
                let old = self.eval(env, &s.target)?;
                let value = self.eval(env, &s.value)?;
                // `list += items` changes the list itself.
                if let (Value::List(list), ruff_python_ast::Operator::Add) = (&old, s.op) {
                    let items = self.items(&value)?;
                    self.cells(items.len())?;
                    self.cycles.changed(&old, &value);
                    list.borrow_mut().extend(items);
                    return Ok(Flow::Next);
                }
                if let Some(new) = self.in_place(s.op, &old, &value)? {
                    self.assign(env, &s.target, new)?;
                    return Ok(Flow::Next);
                }
                let new = self.binary(s.op, &old, &value)?;
                // So do tensors and parameters.
                if let (Value::Tensor(_) | Value::Parameter(_), Some(id)) =
                    (&old, self.optional_tensor_of(&new)?)
                {
                    self.change(&old, id)?;
                    return Ok(Flow::Next);
                }
                self.assign(env, &s.target, new)?;
            }
            Stmt::AnnAssign(s) => {
                if let Some(value) = &s.value {
                    let value = self.eval(env, value)?;
                    self.assign(env, &s.target, value)?;
                }
            }
            Stmt::Return(s) => {
                let value = match &s.value {
                    Some(value) => self.eval(env, value)?,
                    None => Value::None,
                };
                return Ok(Flow::Return(value));
            }
            Stmt::If(s) => return self.if_statement(env, s),
            Stmt::For(s) => return self.for_statement(env, s),
            Stmt::While(s) => return self.while_statement(env, s),
            Stmt::With(s) => return self.with_statement(env, s),
            Stmt::Try(s) => return self.try_statement(env, s),
            Stmt::FunctionDef(s) => {
                let function = self.define_function(env, s)?;
                env.scope.set(&s.name, function);
            }
            Stmt::ClassDef(s) => {
                let class = self.define_class(env, s)?;
                env.scope.set(&s.name, class);
            }
            Stmt::Import(s) => self.import_statement(env, s)?,
            Stmt::ImportFrom(s) => self.import_from(env, s)?,
            Stmt::Global(StmtGlobal { names, .. }) | Stmt::Nonlocal(StmtNonlocal { names, .. }) => {
                self.step(names.len() as u64)?;
                names.iter().for_each(|name| env.scope.declare_elsewhere(name));
            }
            Stmt::Assert(s) => {
                let value = self.eval(env, &s.test)?;
                if !self.truth(&value)? {
                    let message = match &s.msg {
                        Some(message) => {
                            let message = self.eval(env, message)?;
                            self.string_of(&message)?
                        }
                        None => self.words_of(Span::of(env.file, &*s.test)).to_owned(),
                    };
                    return Err(Fault::python("AssertionError", format!("assertion failed: {message}")));
                }
            }
            Stmt::Raise(s) => return Err(self.raise(env, s)?),
            Stmt::Delete(s) => {
                for target in &s.targets {
                    self.delete(env, target)?;
                }
            }
            Stmt::Pass(_) => {}
            Stmt::Break(_) => return Ok(Flow::Break),
            Stmt::Continue(_) => return Ok(Flow::Continue),
            Stmt::TypeAlias(s) => {
                if let Expr::Name(name) = &*s.name {
                    env.scope.set(&name.id, Value::None);
                }
            }
            Stmt::Match(s) => return self.match_statement(env, s),
            Stmt::IpyEscapeCommand(_) => {
                return Err(Fault::unsupported("notebook commands are not Python")
                    .help("remove lines that start with `!` or `%`"));
            }
        }
        Ok(Flow::Next)
    }

    fn if_statement(&mut self, env: &Env, s: &StmtIf) -> Result<Flow> {
        let test = self.eval(env, &s.test)?;
        if self.truth_at(env, &test, &s.test)? {
            return self.block(env, &s.body);
        }
        for clause in &s.elif_else_clauses {
            let taken = match &clause.test {
                Some(test) => {
                    let value = self.eval(env, test)?;
                    self.truth_at(env, &value, test)?
                }
                None => true,
            };
            if taken {
                return self.block(env, &clause.body);
            }
        }
        Ok(Flow::Next)
    }

    /// Whether something is true, with its place if that is not known.
    pub(crate) fn truth_at(&mut self, env: &Env, value: &Value, expression: &Expr) -> Result<bool> {
        self.truth(value).map_err(|fault| fault.at(Span::of(env.file, expression)))
    }

    fn for_statement(&mut self, env: &Env, s: &StmtFor) -> Result<Flow> {
        let items = self.eval(env, &s.iter)?;
        let items = self.items(&items).map_err(|fault| fault.at(Span::of(env.file, &*s.iter)))?;
        for item in items {
            self.step(1)?;
            self.assign(env, &s.target, item)?;
            match self.block(env, &s.body)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => return Ok(Flow::Next),
                Flow::Return(value) => return Ok(Flow::Return(value)),
            }
        }
        self.block(env, &s.orelse)
    }

    fn while_statement(&mut self, env: &Env, s: &StmtWhile) -> Result<Flow> {
        loop {
            self.step(1)?;
            let test = self.eval(env, &s.test)?;
            if !self.truth_at(env, &test, &s.test)? {
                return self.block(env, &s.orelse);
            }
            match self.block(env, &s.body)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => return Ok(Flow::Next),
                Flow::Return(value) => return Ok(Flow::Return(value)),
            }
        }
    }

    /// What stands for a context from outside does nothing here.
    fn with_statement(&mut self, env: &Env, s: &StmtWith) -> Result<Flow> {
        let mut entered = vec![];
        for item in &s.items {
            let mut value = self.eval(env, &item.context_expr)?;
            // Those of the program and `torch.no_grad()` do something.
            if let Value::Object(object) = &value
                && object.class.find("__enter__").is_some()
            {
                entered.push(value.clone());
                value = self.call_method(&value, "__enter__", super::Args::default())?;
            }
            if let Some(target) = &item.optional_vars {
                self.assign(env, target, value)?;
            }
        }
        let outcome = self.block(env, &s.body);
        for context in entered.into_iter().rev() {
            let nothing = super::Args::of([Value::None, Value::None, Value::None]);
            self.call_method(&context, "__exit__", nothing)?;
        }
        outcome
    }

    fn try_statement(&mut self, env: &Env, s: &StmtTry) -> Result<Flow> {
        let mut outcome = match self.block(env, &s.body) {
            Ok(Flow::Next) => self.block(env, &s.orelse),
            Ok(flow) => Ok(flow),
            Err(fault) => self.handle(env, s, fault),
        };
        match self.block(env, &s.finalbody) {
            Ok(Flow::Next) => {}
            // What `finally` returns or raises wins.
            other => outcome = other,
        }
        outcome
    }

    fn handle(&mut self, env: &Env, s: &StmtTry, fault: Fault) -> Result<Flow> {
        for handler in &s.handlers {
            let ExceptHandler::ExceptHandler(handler) = handler;
            let catches = match &handler.type_ {
                Some(wanted) => {
                    let wanted = self.eval(env, wanted)?;
                    self.catches(&wanted, &fault)?
                }
                None => matches!(fault.0.kind, Kind::Python(_) | Kind::Raised(_)),
            };
            if catches {
                if let Some(name) = &handler.name {
                    let exception = self.exception(&fault)?;
                    env.scope.set(name, exception);
                }
                self.handled.push(fault);
                let result = self.block(env, &handler.body);
                self.handled.pop();
                return result;
            }
        }
        Err(fault)
    }

    /// What `except ... as error` binds.
    fn exception(&mut self, fault: &Fault) -> Result<Value> {
        self.cells(fault.0.message.len())?;
        let (class, args) = match &fault.0.kind {
            Kind::Raised(object @ Value::Object(_)) => return Ok(object.clone()),
            Kind::Raised(Value::Class(class)) => (class.clone(), vec![]),
            Kind::Python(name) => {
                // Assertions say what the program says about them.
                let message = &fault.0.message;
                let message = message.strip_prefix("assertion failed: ").unwrap_or(message);
                (self.class(name)?, vec![Value::str(message)])
            }
            Kind::Raised(_) | Kind::Unsupported | Kind::Limit => return Ok(Value::str(&fault.0.message)),
        };
        let object = self.object(class);
        object.set("args", Value::tuple(args));
        Ok(Value::Object(object))
    }

    fn catches(&mut self, wanted: &Value, fault: &Fault) -> Result<bool> {
        if let Value::Tuple(all) = wanted {
            for one in all.iter() {
                self.step(1)?;
                if self.deeper(|this| this.catches(one, fault))? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let Value::Class(wanted) = wanted else { return Ok(false) };
        Ok(match &fault.0.kind {
            Kind::Python(name) => self.class(name)?.derives_from(wanted),
            Kind::Raised(Value::Object(object)) => object.class.derives_from(wanted),
            Kind::Raised(Value::Class(class)) => class.derives_from(wanted),
            Kind::Raised(_) | Kind::Unsupported | Kind::Limit => false,
        })
    }

    fn raise(&mut self, env: &Env, s: &ruff_python_ast::StmtRaise) -> Result<Fault> {
        let Some(exception) = &s.exc else {
            let handled = self.handled.last().cloned();
            return Ok(handled
                .unwrap_or_else(|| Fault::python("RuntimeError", "there is no exception to raise again")));
        };
        let exception = self.eval(env, exception)?;
        let (name, text) = match &exception {
            Value::Object(object) => {
                let arguments = object.get("args").unwrap_or(Value::None);
                let text = match &arguments {
                    Value::Tuple(items) if items.len() == 1 => self.string_of(&items[0])?,
                    other => self.string_of(other)?,
                };
                (object.class.name.to_string(), text)
            }
            Value::Class(class) => (class.name.to_string(), String::new()),
            other => (other.type_name(), String::new()),
        };
        Ok(Fault::raised(exception, format!("the program raises {name}: {text}")))
    }

    fn delete(&mut self, env: &Env, target: &Expr) -> Result<()> {
        match target {
            Expr::Name(name) => {
                env.scope.remove(&name.id);
            }
            Expr::Attribute(attribute) => {
                let object = self.eval(env, &attribute.value)?;
                match object {
                    Value::Object(object) => self.delete_attribute(&object, &attribute.attr)?,
                    Value::Class(class) if matches!(class.native, super::value::NativeClass::None) => {
                        self.step(class.attributes.borrow().len() as u64 / 32)?;
                        class.attributes.borrow_mut().shift_remove(attribute.attr.as_str());
                    }
                    _ => {}
                }
            }
            Expr::Subscript(subscript) => {
                let object = self.eval(env, &subscript.value)?;
                let key = self.eval(env, &subscript.slice)?;
                self.delete_item(&object, &key)?;
            }
            _ => return Err(Fault::unsupported("this cannot be deleted")),
        }
        Ok(())
    }

    /// Binds a target to a value.
    pub(crate) fn assign(&mut self, env: &Env, target: &Expr, value: Value) -> Result<()> {
        let span = Span::of(env.file, target);
        match target {
            Expr::Name(name) => {
                env.scope.set(&name.id, value);
                Ok(())
            }
            Expr::Attribute(attribute) => {
                let object = self.eval(env, &attribute.value)?;
                self.set_attribute(&object, &attribute.attr, value).map_err(|fault| fault.at(span))
            }
            Expr::Subscript(subscript) => {
                // `globals()['Net'] = ...`
                if let Expr::Call(call) = &*subscript.value
                    && matches!(&*call.func, Expr::Name(name) if name.id == "globals")
                {
                    let key = self.eval(env, &subscript.slice)?;
                    let name = key.as_str().ok_or_else(|| Fault::type_error("names are strings").at(span))?;
                    env.globals().set(name, value);
                    return Ok(());
                }
                let object = self.eval(env, &subscript.value)?;
                let key = self.eval(env, &subscript.slice)?;
                self.set_item(&object, &key, value).map_err(|fault| fault.at(span))
            }
            Expr::Tuple(targets) => self.unpack(env, &targets.elts, value).map_err(|fault| fault.at(span)),
            Expr::List(targets) => self.unpack(env, &targets.elts, value).map_err(|fault| fault.at(span)),
            Expr::Starred(starred) => self.assign(env, &starred.value, value),
            _ => Err(Fault::syntax("nothing can be assigned to this").at(span)),
        }
    }

    fn unpack(&mut self, env: &Env, targets: &[Expr], value: Value) -> Result<()> {
        let items = self.items(&value)?;
        let star = targets.iter().position(|target| matches!(target, Expr::Starred(_)));
        let count = |n: usize| Fault::value(format!("{} values cannot be given to {n} names", items.len()));
        match star {
            None if items.len() != targets.len() => Err(count(targets.len())),
            None => targets.iter().zip(items).try_for_each(|(target, item)| self.assign(env, target, item)),
            Some(_) if items.len() + 1 < targets.len() => Err(count(targets.len() - 1)),
            Some(star) => {
                let after = targets.len() - star - 1;
                let middle = items.len() - after;
                for (target, item) in targets[..star].iter().zip(&items) {
                    self.assign(env, target, item.clone())?;
                }
                self.assign(env, &targets[star], Value::list(items[star..middle].iter().cloned()))?;
                for (target, item) in targets[star + 1..].iter().zip(&items[middle..]) {
                    self.assign(env, target, item.clone())?;
                }
                Ok(())
            }
        }
    }

    /// Whether Python takes a value for true.
    pub(crate) fn truth(&mut self, value: &Value) -> Result<bool> {
        if let Value::Object(object) = value
            && object.class.find("__bool__").is_none()
            && object.class.find("__len__").is_none()
            && let Some(contents) = object.contents.get()
        {
            return self.truth(&contents.clone());
        }
        Ok(match value {
            Value::None => false,
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Float(x) => *x != 0.0,
            Value::Str(s) => !s.is_empty(),
            // Sizes are at least one.
            Value::Size(dim) => operators::is_positive(dim).ok_or_else(|| operators::unknown_size(dim))?,
            Value::Training => {
                self.asked_for_training = true;
                self.training
            }
            Value::Tuple(items) => !items.is_empty(),
            Value::List(items) => !items.borrow().is_empty(),
            Value::Dict(dict) | Value::Set(dict) => !dict.borrow().entries.is_empty(),
            Value::Range(_) => !self.items(value)?.is_empty(),
            // What has no length is true.
            Value::Object(object) if object.class.find("__bool__").is_some() => {
                let method = self.attribute(value, "__bool__")?;
                let answer = self.deeper_call(|this| this.call(&method, super::Args::default()))?;
                matches!(answer, Value::Bool(true))
            }
            Value::Object(_) => self.length(value).map_or(true, |length| length != 0),
            Value::Attributes(_) => !self.items(value)?.is_empty(),
            Value::Tensor(_) => {
                return Err(Fault::unsupported(
                    "whether this is true depends on the values in the tensor, which are not known yet: `forward` is read once, for all inputs",
                )
                .help("`torch.where(condition, a, b)` chooses between tensors when the model runs"));
            }
            Value::Opaque(opaque) => return Err(super::imports::unknown(opaque)),
            Value::Failed(fault) => return Err((**fault).clone()),
            Value::Ellipsis
            | Value::Slice(_)
            | Value::Iterator(_)
            | Value::Function(_)
            | Value::Method(_)
            | Value::Native(_)
            | Value::Partial(_)
            | Value::Wrapped(..)
            | Value::Property(_)
            | Value::Class(_)
            | Value::Super(_)
            | Value::Namespace(_)
            | Value::Parameter(_)
            | Value::DType(_) => true,
        })
    }
}
