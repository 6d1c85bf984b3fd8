//! Calls.

use std::rc::Rc;

use super::fault::{Fault, Result};
use super::native::{Bound, Native};
use super::value::{Class, NativeClass, Object, Value, Wrapper};
use super::{Interpreter, imports};

/// Arguments of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    pub positional: Vec<Value>,
    pub named: Vec<(Rc<str>, Value)>,
}

impl Args {
    /// Positional ones.
    pub(crate) fn of(positional: impl IntoIterator<Item = Value>) -> Self {
        Self { positional: positional.into_iter().collect(), named: vec![] }
    }

    /// The same with one more in front.
    fn after(mut self, first: Value) -> Self {
        self.positional.insert(0, first);
        self
    }
}

impl Interpreter {
    /// Calls something.
    pub(crate) fn call(&mut self, callee: &Value, args: Args) -> Result<Value> {
        self.step(1)?;
        match callee {
            Value::Function(function) => self.call_function(function, args),
            Value::Native(native) => self.call_native(native, args),
            Value::Method(method) => {
                let (function, this) = &**method;
                self.deeper(|interpreter| interpreter.call(function, args.after(this.clone())))
            }
            Value::Partial(partial) => {
                let count = partial.positional.len() + partial.named.len() * (args.named.len() + 1);
                self.step(u64::try_from(count + args.positional.len()).unwrap_or(u64::MAX) / 16)?;
                let mut all = Args { positional: partial.positional.clone(), named: partial.named.clone() };
                all.positional.extend(args.positional);
                all.named.retain(|(name, _)| !args.named.iter().any(|(other, _)| other == name));
                all.named.extend(args.named);
                self.deeper(|interpreter| interpreter.call(&partial.callee, all))
            }
            Value::Wrapped(Wrapper::Static | Wrapper::Cached, inner) => {
                self.deeper(|this| this.call(inner, args))
            }
            Value::Class(class) => self.deeper_call(|this| this.instantiate(class, args)),
            Value::Object(object) => self.call_object(object, args),
            Value::Opaque(opaque) if self.lenient => Ok(Value::Opaque(opaque.clone())),
            Value::Opaque(opaque) => Err(imports::unknown(opaque)),
            Value::Failed(fault) => Err((**fault).clone()),
            other => {
                let mut fault =
                    Fault::type_error(format!("a {} cannot be called like a function", other.type_name()));
                if let Some(help) = super::advice::not_callable(other) {
                    fault = fault.help(help);
                }
                Err(fault)
            }
        }
    }

    /// Runs a call, of which only so many may be within each other.
    pub(crate) fn deeper_call<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.calls >= self.limits.depth {
            return Err(Fault::limit(format!(
                "calls are nested more than {} deep; does a function call itself without end?",
                self.limits.depth
            )));
        }
        self.calls += 1;
        let result = self.deeper(run);
        self.calls -= 1;
        result
    }

    /// Calls a function in Rust.
    pub(crate) fn call_native(&mut self, native: &'static Native, args: Args) -> Result<Value> {
        let bound = self.bind_signature(&format!("`{}`", short(native.name)), native.signature, args)?;
        self.trace.function(native.name);
        let before = self.graph.values().len();
        let result = (native.call)(self, &bound)?;
        self.nodes()?;
        self.shared(native.name, Some(native), &bound, result, before)
    }

    fn call_object(&mut self, object: &Rc<Object>, args: Args) -> Result<Value> {
        if object.class.is_module() {
            return self.deeper_call(|this| this.call_module(object, args));
        }
        match object.class.find("__call__") {
            Some(method) => {
                let method = Value::Method(Rc::new((method, Value::Object(object.clone()))));
                self.call(&method, args)
            }
            None => Err(Fault::type_error(format!("an object of `{}` cannot be called", object.class.name))),
        }
    }

    /// Makes an object of a class.
    fn instantiate(&mut self, class: &Rc<Class>, args: Args) -> Result<Value> {
        if let NativeClass::Type(native) = class.native {
            return self.call_native(native, args);
        }
        if super::enumeration::is_enum(class) {
            return self.call_enum(class, args);
        }
        if let Some(opaque) = class.unknown_base() {
            return Err(Fault::unsupported(format!(
                "`{}` derives from `{}`, which comes from `{}` and is not known here",
                class.name, opaque.name, opaque.origin
            )));
        }
        if matches!(class.native, NativeClass::Module) && Rc::ptr_eq(class, &self.class("torch.nn.Module")?) {
            return Err(Fault::unsupported("`nn.Module` itself computes nothing; a class derives from it"));
        }
        let value = match class.find("__new__") {
            Some(new) => {
                let new = if let Value::Wrapped(_, inner) = new { (*inner).clone() } else { new };
                self.call(&new, args.clone().after(Value::Class(class.clone())))?
            }
            None => Value::Object(self.allocate(class, args.clone())?),
        };
        let Value::Object(object) = value.clone() else { return Ok(value) };
        if !object.class.derives_from(class) {
            return Ok(value);
        }
        object.made.set(self.here);
        let class = &object.class.clone();
        // The constructor of a data class replaces an inherited one.
        let own = class.mro().find_map(|class| {
            let attributes = class.attributes.borrow();
            let init = attributes.get("__init__").cloned();
            init.map(Some).or_else(|| attributes.contains_key(super::data::FIELDS).then_some(None))
        });
        match own {
            Some(None) => self.init_data(&object, class, args)?,
            Some(Some(init)) => {
                let method = Value::Method(Rc::new((init, value.clone())));
                self.call(&method, args)?;
            }
            None => self.native_init(&object, class, args)?,
        }
        Ok(value)
    }
}

/// A full name as people write it.
pub(crate) fn short(name: &str) -> String {
    for (full, usual) in [
        ("torch.nn.functional.", "F."),
        ("torch.nn.init.", "nn.init."),
        ("torch.nn.", "nn."),
        ("torch.Tensor.", "Tensor."),
        ("builtins.", ""),
    ] {
        if let Some(rest) = name.strip_prefix(full) {
            return format!("{usual}{rest}");
        }
    }
    name.to_owned()
}

/// The arguments that a function in Rust passes on.
pub(crate) fn rest(i: &mut Interpreter, b: &Bound) -> Result<Args> {
    let positional = i.items(&b.get("args"))?;
    let mut named = vec![];
    if let Value::Dict(dict) = b.get("kwargs") {
        for (key, value) in dict.borrow().entries.values() {
            if let Value::Str(name) = key {
                named.push((name.clone(), value.clone()));
            }
        }
    }
    Ok(Args { positional, named })
}
