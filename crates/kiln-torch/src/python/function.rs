//! Defining functions, and binding arguments to parameters.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ruff_python_ast::{Expr, ExprLambda, Parameters, Stmt, StmtFunctionDef};
use ruff_text_size::Ranged;

use super::Interpreter;
use super::call::Args;
use super::exec::Flow;
use super::fault::{Fault, Kind, Result};
use super::native::Bound;
use super::scope::Env;
use super::value::{Body, Code, Dict, Function, Value, Wrapper};
use crate::source::Span;

impl Interpreter {
    /// What `def` makes.
    pub(crate) fn define_function(&mut self, env: &Env, def: &StmtFunctionDef) -> Result<Value> {
        if def.is_async {
            return Err(Fault::unsupported("coroutines (`async def`) are not supported"));
        }
        let defaults = self.defaults(env, &def.parameters)?;
        let function = Function {
            name: RefCell::new(def.name.as_str().into()),
            file: env.file,
            code: self.code(env, def, || Code {
                parameters: (*def.parameters).clone(),
                body: Body::Statements(def.body.to_vec()),
                is_generator: super::generator::is_generator(&def.body),
            })?,
            defaults,
            scope: env.closure(),
            owner: RefCell::default(),
            gradients: Cell::default(),
            attributes: RefCell::default(),
        };
        let mut value = Value::Function(Rc::new(function));
        for decorator in def.decorator_list.iter().rev() {
            value = self.decorate(env, &decorator.expression, value)?;
        }
        Ok(value)
    }

    /// What a decorator makes of a function or class.
    pub(crate) fn decorate(&mut self, env: &Env, decorator: &Expr, value: Value) -> Result<Value> {
        let decorator_value = self.eval(env, decorator);
        let decorated = match decorator_value {
            Ok(Value::Opaque(opaque)) => Err(Fault::unsupported(format!(
                "what the decorator `{}` from `{}` does is not known here",
                opaque.name, opaque.origin
            ))
            .help("`--lenient-imports` skips unknown decorators")),
            Ok(other) => self.call(&other, Args::of([value.clone()])),
            Err(fault) => Err(fault),
        };
        match decorated {
            // What it does, or what it is made of, is not known.
            Err(fault) if self.lenient && matches!(fault.0.kind, Kind::Unsupported) => Ok(value),
            // Only who uses the function needs to know.
            Err(fault) if matches!(fault.0.kind, Kind::Unsupported) => {
                Ok(Value::Failed(Rc::new(fault.at(Span::of(env.file, decorator)))))
            }
            other => other,
        }
    }

    /// What `lambda` makes.
    pub(crate) fn lambda(&mut self, env: &Env, lambda: &ExprLambda) -> Result<Value> {
        let code = self.code(env, lambda, || Code {
            parameters: lambda.parameters.as_deref().cloned().unwrap_or_default(),
            body: Body::Expression(lambda.body.clone()),
            is_generator: false,
        })?;
        let defaults = self.defaults(env, &code.parameters)?;
        Ok(Value::Function(Rc::new(Function {
            name: RefCell::new("lambda".into()),
            file: env.file,
            code,
            defaults,
            scope: env.closure(),
            owner: RefCell::default(),
            gradients: Cell::default(),
            attributes: RefCell::default(),
        })))
    }

    /// A function's definition. It is stored once, however often the definition is executed.
    fn code(&mut self, env: &Env, place: &impl Ranged, make: impl FnOnce() -> Code) -> Result<Rc<Code>> {
        let span = Span::of(env.file, place);
        // Arguments of the command line are texts of their own, without a number.
        let is_kept = env.file != u32::MAX;
        if let Some(code) = self.bodies.get(&(env.file, span)).filter(|_| is_kept) {
            return Ok(code.clone());
        }
        self.step(u64::from(u32::from(place.range().len())) / 16)?;
        let code = Rc::new(make());
        if is_kept {
            self.bodies.insert((env.file, span), code.clone());
        }
        Ok(code)
    }

    fn defaults(&mut self, env: &Env, parameters: &Parameters) -> Result<Vec<(Rc<str>, Value)>> {
        let mut defaults = vec![];
        for parameter in parameters.iter_non_variadic_params() {
            if let Some(default) = &parameter.default {
                defaults.push((parameter.name().as_str().into(), self.eval(env, default)?));
            }
        }
        Ok(defaults)
    }

    /// Gives each parameter its argument; `*args` and `**kwargs` get what is left.
    pub(crate) fn bind(
        &mut self,
        callee: &str,
        parameters: &Parameters,
        defaults: &[(Rc<str>, Value)],
        args: Args,
    ) -> Result<Vec<(Rc<str>, Value)>> {
        let Args { positional, mut named } = args;
        let count = parameters.posonlyargs.len() + parameters.args.len() + parameters.kwonlyargs.len();
        let looked_up = count.saturating_mul(named.len() + defaults.len()) / 64;
        self.step(u64::try_from(positional.len() + named.len() + looked_up).unwrap_or(u64::MAX))?;
        let mut bound: Vec<(Rc<str>, Value)> = vec![];
        let mut positional = positional.into_iter();
        let by_place = parameters.posonlyargs.iter().chain(&parameters.args);
        let count = parameters.posonlyargs.len() + parameters.args.len();
        let total = positional.len();
        let mut missing: Vec<&str> = vec![];
        for (parameter, by_place) in
            by_place.map(|p| (p, true)).chain(parameters.kwonlyargs.iter().map(|p| (p, false)))
        {
            let name = parameter.name().as_str();
            let by_name = named.iter().position(|(n, _)| &**n == name);
            let by_name =
                by_name.filter(|_| !parameters.posonlyargs.iter().any(|p| p.name().as_str() == name));
            let placed = if by_place { positional.next() } else { None };
            let value = match (placed, by_name) {
                (Some(_), Some(_)) => {
                    return Err(Fault::type_error(format!("{callee}: `{name}` is given twice")));
                }
                (Some(value), None) => value,
                (None, Some(at)) => named.remove(at).1,
                (None, None) => match defaults.iter().find(|(n, _)| &**n == name) {
                    Some((_, value)) => value.clone(),
                    None => {
                        missing.push(name);
                        continue;
                    }
                },
            };
            bound.push((name.into(), value));
        }
        // A misspelt name is the reason for a missing one.
        if parameters.kwarg.is_none()
            && let Some((name, _)) = named.first()
        {
            return Err(super::advice::no_argument(callee, name, parameters));
        }
        if !missing.is_empty() {
            let list: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
            let fault = Fault::type_error(format!("{callee} needs {}", list.join(", ")));
            if missing[0] == "input" && !self.trace.is_running {
                return Err(fault.help(
                    "functions get their input in `forward`; a layer, as `nn.ReLU()`, is made without one",
                ));
            }
            return Err(fault.help(takes(parameters)));
        }
        match &parameters.vararg {
            Some(parameter) => bound.push((parameter.name.as_str().into(), Value::tuple(positional))),
            None if positional.len() > 0 => {
                return Err(super::advice::too_many(callee, parameters, count, total).help(takes(parameters)));
            }
            None => {}
        }
        if let Some(parameter) = &parameters.kwarg {
            let mut dict = Dict::default();
            for (name, value) in named {
                let name = Value::Str(name);
                dict.entries.insert(self.key(&name)?, (name, value));
            }
            bound.push((parameter.name.as_str().into(), Value::Dict(Rc::new(dict.into()))));
        }
        Ok(bound)
    }

    /// Binds arguments to a signature in text form, as `native.rs` has them.
    pub(crate) fn bind_signature(
        &mut self,
        callee: &str,
        signature: &'static str,
        args: Args,
    ) -> Result<Bound> {
        // Functions in Rust go through what they get.
        for value in args.positional.iter().chain(args.named.iter().map(|(_, value)| value)) {
            match value {
                Value::Str(text) => self.text(text)?,
                Value::Tuple(items) => self.step(items.len() as u64 / 64)?,
                Value::List(items) => self.step(items.borrow().len() as u64 / 64)?,
                Value::Tensor(_) => self.constants(&[value])?,
                _ => {}
            }
        }
        // Both, since literals may begin at one place; a mixture of the two would be that of another literal.
        let key = (signature.as_ptr().addr(), signature.len());
        let parameters = match self.signatures.get(&key) {
            Some(parameters) => parameters.clone(),
            None => {
                let parsed = ruff_python_parser::parse_module(&format!("def f({signature}): pass"));
                let parameters = match parsed.map(ruff_python_parser::Parsed::into_suite).as_deref() {
                    Ok([Stmt::FunctionDef(def)]) => (*def.parameters).clone(),
                    Ok(_) | Err(_) => Parameters::default(),
                };
                let parameters = Rc::new(parameters);
                self.signatures.insert(key, parameters.clone());
                parameters
            }
        };
        // `x.permute(dims=(0, 2, 1))`: what is meant for `*dims` may come under its name.
        let mut args = args;
        let by_place = parameters.posonlyargs.len() + parameters.args.len();
        if let Some(vararg) = &parameters.vararg
            && args.positional.len() == by_place
            && let Some(at) = args.named.iter().position(|(name, _)| **name == *vararg.name.as_str())
        {
            let (_, value) = args.named.remove(at);
            args.positional.push(value);
        }
        let env = Env::new(Rc::default(), 0);
        let defaults = self.defaults(&env, &parameters)?;
        let values = self.bind(callee, &parameters, &defaults, args)?;
        Ok(Bound { callee: callee.to_owned(), values })
    }

    /// Calls a function of the program.
    pub(crate) fn call_function(&mut self, function: &Rc<Function>, args: Args) -> Result<Value> {
        let bound =
            self.bind(&super::advice::callee(function), &function.code.parameters, &function.defaults, args)?;
        let scope = self.scope_within(&function.scope);
        let first = function
            .code
            .parameters
            .posonlyargs
            .iter()
            .chain(&function.code.parameters.args)
            .next()
            .and_then(|p| bound.iter().find(|(name, _)| &**name == p.name().as_str()))
            .map(|(_, value)| value.clone());
        for (name, value) in bound {
            scope.set(&name, value);
        }
        let yields = function.code.is_generator.then(|| Rc::new(RefCell::new(vec![])));
        let env = Env {
            method: Some((function.clone(), first)),
            yields: yields.clone(),
            ..Env::new(scope, function.file)
        };
        let run = |this: &mut Self| match &function.code.body {
            Body::Expression(body) => this.eval(&env, body),
            Body::Statements(body) => match this.block(&env, body)? {
                Flow::Return(value) => Ok(value),
                Flow::Next | Flow::Break | Flow::Continue => Ok(Value::None),
            },
        };
        let returned = self.deeper_call(|this| match function.gradients.get() {
            Some(on) => this.with_gradients(on, run),
            None => run(this),
        })?;
        // A generator runs to its end at once: the difference is not observable, unless it never ends.
        Ok(yields.map_or(returned, |yields| Value::iterator(yields.take())))
    }

    /// `staticmethod`, `classmethod`.
    pub(crate) fn wrap(&mut self, wrapper: Wrapper, value: Value) -> Value {
        Value::Wrapped(wrapper, Rc::new(value))
    }
}

/// What there are for parameters, for a message.
pub(super) fn takes(parameters: &Parameters) -> String {
    let names: Vec<&str> =
        parameters.iter_non_variadic_params().map(|p| p.name().as_str()).filter(|n| *n != "self").collect();
    if names.is_empty() { "it takes none".into() } else { format!("it takes {}", names.join(", ")) }
}
