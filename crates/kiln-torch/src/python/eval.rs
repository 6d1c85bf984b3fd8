//! Expressions.

use std::rc::Rc;

use ruff_python_ast::{BoolOp, CmpOp, Comprehension, Expr, ExprCall, Number};

use super::call::Args;
use super::fault::{Fault, Result};
use super::scope::{Env, Scope};
use super::value::{Dict, Key, Value};
use super::{Interpreter, imports};
use crate::source::Span;

impl Interpreter {
    /// The value of an expression. Errors get its place unless a closer one is known.
    pub(crate) fn eval(&mut self, env: &Env, expression: &Expr) -> Result<Value> {
        let span = Span::of(env.file, expression);
        self.step(1).map_err(|fault| fault.at(span))?;
        self.deeper(|this| this.plain(env, expression)).map_err(|fault| fault.at(span))
    }

    fn plain(&mut self, env: &Env, expression: &Expr) -> Result<Value> {
        Ok(match expression {
            Expr::NoneLiteral(_) => Value::None,
            Expr::EllipsisLiteral(_) => Value::Ellipsis,
            Expr::BooleanLiteral(e) => Value::Bool(e.value),
            Expr::NumberLiteral(e) => match &e.value {
                Number::Int(i) => Value::Int(
                    i.as_i64()
                        .ok_or_else(|| Fault::unsupported("integers beyond 64 bits are not supported"))?,
                ),
                Number::Float(x) => Value::Float(*x),
                Number::Complex { .. } => {
                    return Err(Fault::unsupported("complex numbers are not supported"));
                }
            },
            Expr::StringLiteral(e) => {
                let text = e.value.to_str();
                self.cells(text.len())?;
                Value::str(text)
            }
            Expr::FString(e) => self.f_string(env, e)?,
            Expr::Name(e) => self.name(env, &e.id)?,
            Expr::Attribute(e) => {
                let object = self.eval(env, &e.value)?;
                self.attribute(&object, &e.attr)?
            }
            Expr::Subscript(e) => {
                let object = self.eval(env, &e.value)?;
                let key = self.eval(env, &e.slice)?;
                self.item(&object, &key)?
            }
            Expr::Slice(e) => {
                let mut part = |e: &Option<Box<Expr>>| match e {
                    Some(e) => self.eval(env, e),
                    None => Ok(Value::None),
                };
                Value::Slice(Rc::new([part(&e.lower)?, part(&e.upper)?, part(&e.step)?]))
            }
            Expr::Tuple(e) => Value::tuple(self.elements_of(env, &e.elts)?),
            Expr::List(e) => Value::list(self.elements_of(env, &e.elts)?),
            Expr::Set(e) => {
                let items = self.elements_of(env, &e.elts)?;
                self.set_of(items)?
            }
            Expr::Dict(e) => {
                let mut dict = Dict::default();
                for item in &e.items {
                    let value = self.eval(env, &item.value)?;
                    match &item.key {
                        Some(key) => {
                            let key = self.eval(env, key)?;
                            dict.entries.insert(self.key(&key)?, (key, value));
                        }
                        None => self.update_dict(&mut dict, &value)?,
                    }
                }
                self.cells(dict.entries.len())?;
                Value::Dict(Rc::new(dict.into()))
            }
            Expr::UnaryOp(e) => {
                let operand = self.eval(env, &e.operand)?;
                self.unary(e.op, &operand)?
            }
            Expr::BinOp(e) => {
                let left = self.eval(env, &e.left)?;
                let right = self.eval(env, &e.right)?;
                self.here = Some(Span::of(env.file, expression));
                self.binary(e.op, &left, &right)?
            }
            Expr::BoolOp(e) => {
                let mut value = Value::None;
                for (i, operand) in e.values.iter().enumerate() {
                    value = self.eval(env, operand)?;
                    if i + 1 < e.values.len() && self.truth_at(env, &value, operand)? == (e.op == BoolOp::Or)
                    {
                        break;
                    }
                }
                value
            }
            Expr::Compare(e) => {
                let mut left = self.eval(env, &e.left)?;
                let mut result = Value::Bool(true);
                for (op, right) in e.ops.iter().zip(&e.comparators) {
                    let right = self.eval(env, right)?;
                    self.here = Some(Span::of(env.file, expression));
                    result = self.compare(*op, &left, &right)?;
                    if e.ops.len() > 1 && !self.truth(&result)? {
                        break;
                    }
                    left = right;
                }
                result
            }
            Expr::If(e) => {
                let test = self.eval(env, &e.test)?;
                let branch = if self.truth_at(env, &test, &e.test)? { &e.body } else { &e.orelse };
                self.eval(env, branch)?
            }
            Expr::Named(e) => {
                let value = self.eval(env, &e.value)?;
                // A comprehension has names of its own, but for this.
                self.assign(&env.with_scope(Scope::outside(&env.scope)), &e.target, value.clone())?;
                value
            }
            Expr::Lambda(e) => self.lambda(env, e)?,
            Expr::Call(e) => self.call_expression(env, e, expression)?,
            Expr::ListComp(e) => {
                let mut items = vec![];
                self.comprehend(env, &e.generators, &mut |this, env| {
                    items.push(this.eval(env, &e.elt)?);
                    Ok(())
                })?;
                Value::list(items)
            }
            Expr::Generator(e) => {
                let mut items = vec![];
                self.comprehend(env, &e.generators, &mut |this, env| {
                    items.push(this.eval(env, &e.elt)?);
                    Ok(())
                })?;
                Value::iterator(items)
            }
            Expr::SetComp(e) => {
                let mut items = vec![];
                self.comprehend(env, &e.generators, &mut |this, env| {
                    items.push(this.eval(env, &e.elt)?);
                    Ok(())
                })?;
                self.set_of(items)?
            }
            Expr::DictComp(e) => {
                let mut dict = Dict::default();
                self.comprehend(env, &e.generators, &mut |this, env| {
                    let Some(key) = &e.key else {
                        return Err(Fault::unsupported("`**` in a comprehension is not supported"));
                    };
                    let key = this.eval(env, key)?;
                    let value = this.eval(env, &e.value)?;
                    dict.entries.insert(this.key(&key)?, (key, value));
                    Ok(())
                })?;
                Value::Dict(Rc::new(dict.into()))
            }
            Expr::Starred(_) => return Err(Fault::syntax("`*` is not possible here")),
            Expr::Yield(e) => {
                let value = match &e.value {
                    Some(value) => self.eval(env, value)?,
                    None => Value::None,
                };
                self.yielded(env, vec![value])?
            }
            Expr::YieldFrom(e) => {
                let values = self.eval(env, &e.value)?;
                let values = self.items(&values)?;
                self.yielded(env, values)?
            }
            Expr::Await(_) => return Err(Fault::unsupported("coroutines are not supported")),
            Expr::TString(_) => return Err(Fault::unsupported("template strings are not supported")),
            Expr::BytesLiteral(_) => return Err(Fault::unsupported("bytes are not supported")),
            Expr::IpyEscapeCommand(_) => {
                return Err(Fault::unsupported("notebook commands are not Python"));
            }
        })
    }

    fn yielded(&mut self, env: &Env, values: Vec<Value>) -> Result<Value> {
        let yields =
            env.yields.as_ref().ok_or_else(|| Fault::syntax("`yield` is only possible in a function"))?;
        self.cells(values.len())?;
        yields.borrow_mut().extend(values);
        Ok(Value::None)
    }

    /// What depends on where it is called: `locals()`, `globals()`, `eval(text)`.
    fn call_here(&mut self, env: &Env, name: &str, call: &ExprCall) -> Result<Option<Value>> {
        let scope = match (name, &call.arguments.args[..]) {
            ("locals", []) => env.scope.clone(),
            ("globals", []) => env.globals(),
            ("eval", [text]) => {
                let Value::Str(text) = self.eval(env, text)? else { return Ok(None) };
                if text.len() > crate::limits::MAX_ARGUMENT {
                    return Err(Fault::limit("a string for `eval` is too long"));
                }
                let parsed = ruff_python_parser::parse_expression(text.trim());
                let parsed =
                    parsed.map_err(|_| Fault::syntax(format!("`{text}` is not a Python expression")))?;
                // It is in no file.
                let here = Env { file: u32::MAX, ..env.clone() };
                return self.eval(&here, parsed.expr()).map(Some);
            }
            _ => return Ok(None),
        };
        let names = scope.names();
        self.cells(names.len())?;
        let named = names.into_iter().filter_map(|name| Some((name.clone(), scope.own(&name)?)));
        let named = named.filter(|(_, value)| !matches!(value, Value::Failed(_)));
        Ok(Some(Value::named(named.collect::<Vec<_>>())))
    }

    fn name(&mut self, env: &Env, name: &str) -> Result<Value> {
        let found = env.scope.get(name);
        let found = match found {
            Some(value) => Some(value),
            None => match self.builtin(name)? {
                Some(value) => Some(value),
                None => self.starred(env, name)?,
            },
        };
        match found {
            Some(Value::Failed(fault)) => Err((*fault).clone()),
            Some(value) => Ok(value),
            None => {
                let mut message = format!("`{name}` is not defined");
                if let Some(cause) = self.unread_star(env) {
                    message += &format!("; {cause}");
                }
                let mut fault = Fault::python("NameError", message);
                if let Some(import) = imports::usual_import(name) {
                    fault = fault.help(format!("`{import}` at the top of the file would define it"));
                } else if let Some(help) = self.forgotten_self(env, name) {
                    fault = fault.help(help);
                } else if self.has_fastai(env) {
                    fault = fault.help(imports::NOT_OF_FASTAI);
                } else if let Some(near) = self.near(env, name) {
                    fault = fault.help(format!("did you mean `{near}`?"));
                }
                Err(fault)
            }
        }
    }

    /// The values of a list of expressions, `*items` among them.
    pub(crate) fn elements_of(&mut self, env: &Env, expressions: &[Expr]) -> Result<Vec<Value>> {
        let mut items = vec![];
        for expression in expressions {
            match expression {
                Expr::Starred(starred) => {
                    let value = self.eval(env, &starred.value)?;
                    items.extend(self.items(&value).map_err(|f| f.at(Span::of(env.file, starred)))?);
                }
                _ => items.push(self.eval(env, expression)?),
            }
        }
        self.cells(items.len())?;
        Ok(items)
    }

    /// A set of values.
    pub(crate) fn set_of(&mut self, items: Vec<Value>) -> Result<Value> {
        self.cells(items.len())?;
        let mut set = Dict::default();
        for item in items {
            set.entries.insert(self.key(&item)?, (item.clone(), item));
        }
        Ok(Value::Set(Rc::new(set.into())))
    }

    /// What a dictionary looks a value up by.
    pub(crate) fn key(&mut self, value: &Value) -> Result<Key> {
        self.key_work(value, 8)?;
        if let Some(key) = self.key_of_fields(value)? {
            return Ok(key);
        }
        match value.plain() {
            Value::List(_) | Value::Dict(_) | Value::Set(_) => None,
            _ => Key::of(value, 8),
        }
        .ok_or_else(|| Fault::type_error(format!("a {} cannot be the key of a dict", value.type_name())))
    }

    /// Counts what goes into a key.
    fn key_work(&mut self, value: &Value, depth: usize) -> Result<()> {
        match value.plain() {
            Value::Str(text) => self.text(text),
            Value::Tuple(items) if depth > 0 => {
                self.cells(items.len())?;
                items.iter().try_for_each(|item| self.key_work(item, depth - 1))
            }
            _ => Ok(()),
        }
    }

    fn comprehend(
        &mut self,
        env: &Env,
        generators: &[Comprehension],
        each: &mut dyn FnMut(&mut Self, &Env) -> Result<()>,
    ) -> Result<()> {
        let scope = self.scope_within(&env.scope);
        scope.is_comprehension.set(true);
        self.comprehend_in(&env.with_scope(scope), generators, each)
    }

    fn comprehend_in(
        &mut self,
        env: &Env,
        generators: &[Comprehension],
        each: &mut dyn FnMut(&mut Self, &Env) -> Result<()>,
    ) -> Result<()> {
        let Some((first, rest)) = generators.split_first() else { return each(self, env) };
        let items = self.eval(env, &first.iter)?;
        let items = self.items(&items).map_err(|fault| fault.at(Span::of(env.file, &first.iter)))?;
        for item in items {
            self.step(1)?;
            self.cells(1)?;
            self.assign(env, &first.target, item)?;
            let mut taken = true;
            for condition in &first.ifs {
                let value = self.eval(env, condition)?;
                taken = self.truth_at(env, &value, condition)?;
                if !taken {
                    break;
                }
            }
            if taken {
                self.deeper(|this| this.comprehend_in(env, rest, each))?;
            }
        }
        Ok(())
    }

    fn call_expression(&mut self, env: &Env, call: &ExprCall, expression: &Expr) -> Result<Value> {
        if let Expr::Name(name) = &*call.func
            && name.id == "super"
            && call.arguments.args.is_empty()
        {
            return self.bare_super(env);
        }
        if let Expr::Name(name) = &*call.func
            && matches!(name.id.as_str(), "locals" | "globals" | "eval")
            && env.scope.get(&name.id).is_none()
            && let Some(value) = self.call_here(env, &name.id, call)?
        {
            return Ok(value);
        }
        let callee = self.eval(env, &call.func)?;
        let mut args = Args { positional: self.elements_of(env, &call.arguments.args)?, named: vec![] };
        for keyword in &call.arguments.keywords {
            let value = self.eval(env, &keyword.value)?;
            match &keyword.arg {
                Some(name) => args.named.push((name.as_str().into(), value)),
                None => {
                    let mut dict = Dict::default();
                    self.update_dict(&mut dict, &value)?;
                    for (key, value) in dict.entries.into_values() {
                        let Value::Str(name) = key else {
                            return Err(Fault::type_error("names of arguments have to be strings"));
                        };
                        args.named.push((name, value));
                    }
                }
            }
        }
        let span = Span::of(env.file, expression);
        let before = self.here.replace(span);
        let result = self.call(&callee, args);
        self.here = before;
        result.map_err(|fault| {
            let fault = fault.at(span);
            match &callee {
                Value::Function(_) | Value::Method(_) | Value::Object(_) | Value::Class(_) => {
                    let what = self.words_of(Span::of(env.file, &*call.func)).to_owned();
                    fault.called(span, &what)
                }
                _ => fault,
            }
        })
    }

    /// `super()` in a method.
    fn bare_super(&mut self, env: &Env) -> Result<Value> {
        match (env.class(), &env.method) {
            (Some(class), Some((_, Some(this)))) => Ok(Value::Super(Rc::new((class, this.clone())))),
            _ => Err(Fault::python("RuntimeError", "`super()` is only available in methods of classes")),
        }
    }

    /// Copies entries into a dictionary.
    pub(crate) fn update_dict(&mut self, dict: &mut Dict, from: &Value) -> Result<()> {
        if let Value::Object(object) = from
            && object.class.find("keys").is_some()
        {
            // Anything with `keys` and `[...]`.
            let keys = self.call_method(from, "keys", Args::default())?;
            for key in self.items(&keys)? {
                let value = self.item(from, &key)?;
                dict.entries.insert(self.key(&key)?, (key, value));
            }
            return Ok(());
        }
        match &self.dict_of(from)? {
            Value::Dict(other) => {
                let other = other.borrow();
                self.cells(other.entries.len())?;
                dict.entries.extend(other.entries.iter().map(|(key, entry)| (key.clone(), entry.clone())));
            }
            Value::None => {}
            other => {
                for pair in self.items(other)? {
                    let [key, value] = &self.items(&pair)?[..] else {
                        return Err(Fault::value("a dict is made of pairs"));
                    };
                    dict.entries.insert(self.key(key)?, (key.clone(), value.clone()));
                }
            }
        }
        Ok(())
    }

    /// Compares two values.
    pub(crate) fn compare(&mut self, op: CmpOp, left: &Value, right: &Value) -> Result<Value> {
        Ok(Value::Bool(match op {
            CmpOp::Is => self.is_same(left, right),
            CmpOp::IsNot => !self.is_same(left, right),
            CmpOp::In => self.contains(right, left)?,
            CmpOp::NotIn => !self.contains(right, left)?,
            CmpOp::Eq | CmpOp::NotEq | CmpOp::Lt | CmpOp::LtE | CmpOp::Gt | CmpOp::GtE => {
                return self.ordered(op, left, right);
            }
        }))
    }
}
