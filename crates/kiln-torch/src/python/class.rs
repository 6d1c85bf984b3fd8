//! Classes, attributes, `super()`.

use std::cell::RefCell;
use std::rc::Rc;

use indexmap::IndexMap;
use ruff_python_ast::{Expr, Stmt, StmtClassDef};

use super::call::Args;
use super::fault::{Fault, Result};
use super::scope::{Env, Scope};
use super::value::{Class, NativeClass, Object, Opaque, Property, Value, Wrapper};
use super::{Interpreter, imports};
use crate::source::Span;

/// Attributes are looked up in one class after another.
const MAX_ANCESTORS: usize = 100;

impl Interpreter {
    /// What `class` makes.
    pub(crate) fn define_class(&mut self, env: &Env, def: &StmtClassDef) -> Result<Value> {
        let (mut bases, mut unknown_base): (Vec<Rc<Class>>, Option<Rc<Opaque>>) = (vec![], None);
        let written = def.arguments.as_ref().map_or(&[][..], |arguments| &arguments.args);
        for base in written {
            let value = self.eval(env, base)?;
            match value {
                Value::Class(class) => bases.push(class),
                Value::Opaque(opaque) if imports::is_lightning_module(&opaque) => {
                    let lightning = self.prelude("lightning", include_str!("lightning.py"))?;
                    match lightning.scope.as_ref().and_then(|scope| scope.own("LightningModule")) {
                        Some(Value::Class(class)) => bases.push(class),
                        _ => unknown_base = Some(opaque),
                    }
                }
                Value::Opaque(opaque) => unknown_base = Some(opaque),
                // `Generic[T]` and its like.
                Value::None => {}
                Value::Failed(fault) => return Err((*fault).clone()),
                other => {
                    return Err(Fault::type_error(format!("a {} cannot be a base class", other.type_name()))
                        .at(Span::of(env.file, base)));
                }
            }
        }
        let mut keywords = vec![];
        for keyword in def.arguments.iter().flat_map(|arguments| &arguments.keywords) {
            let value = self.eval(env, &keyword.value)?;
            match &keyword.arg {
                Some(name) if name == "metaclass" => match value {
                    Value::Class(class) if class.builtin().is_some() => {
                        return Err(Fault::unsupported("metaclasses are not supported"));
                    }
                    _ => {}
                },
                Some(name) => keywords.push((name.as_str().into(), value)),
                None => {}
            }
        }
        if bases.is_empty() {
            bases.push(self.class("object")?);
        }
        let ancestors = self.ancestors(&bases)?;
        if ancestors.len() > MAX_ANCESTORS {
            return Err(Fault::limit(format!("a class derives from more than {MAX_ANCESTORS} others")));
        }
        let scope = self.scope_within(&env.scope);
        let inner = Env { around: Some(env.closure()), ..Env::new(scope.clone(), env.file) };
        for statement in &def.body {
            self.statement(&inner, statement)?;
        }
        let mut attributes: IndexMap<Rc<str>, Value> = defined(&def.body, &scope);
        attributes.insert(ANNOTATIONS.into(), self.annotations(env, &def.body)?);
        if let Some(doc) = docstring(&def.body) {
            attributes.entry("__doc__".into()).or_insert(Value::str(doc));
        }
        let class = Rc::new(Class {
            name: def.name.as_str().into(),
            ancestors,
            attributes: RefCell::new(attributes),
            native: NativeClass::None,
            unknown_base,
        });
        self.cycles.class(&class);
        for value in class.attributes.borrow().values() {
            own_methods(value, &class, 4);
        }
        self.finish_class(&class, &bases, keywords)?;
        let mut value = Value::Class(class);
        for decorator in def.decorator_list.iter().rev() {
            value = self.decorate(env, &decorator.expression, value)?;
        }
        Ok(value)
    }

    /// What some classes do to those that derive from them.
    fn finish_class(
        &mut self,
        class: &Rc<Class>,
        bases: &[Rc<Class>],
        keywords: Vec<(Rc<str>, Value)>,
    ) -> Result<()> {
        if bases.iter().any(|base| &*base.name == "NamedTuple") {
            self.make_named_tuple(class)?;
        }
        if class.is_named("Enum") {
            self.make_members(class)?;
        }
        let attributes = class.attributes.borrow().clone();
        self.step(attributes.len() as u64)?;
        for (name, value) in attributes {
            if let Value::Object(object) = &value
                && object.class.find("__set_name__").is_some()
            {
                let args = Args::of([Value::Class(class.clone()), Value::Str(name)]);
                self.call_method(&value, "__set_name__", args)?;
            }
        }
        let hook = class
            .ancestors
            .iter()
            .find_map(|class| class.attributes.borrow().get("__init_subclass__").cloned());
        if let Some(hook) = hook {
            let hook = if let Value::Wrapped(_, inner) = hook { (*inner).clone() } else { hook };
            self.call(&hook, Args { positional: vec![Value::Class(class.clone())], named: keywords })?;
        }
        Ok(())
    }

    /// The names that a class body annotates, with the words of their types.
    fn annotations(&mut self, env: &Env, body: &[Stmt]) -> Result<Value> {
        let mut named: Vec<(Rc<str>, Value)> = vec![];
        for statement in body {
            if let Stmt::AnnAssign(s) = statement
                && let Some(name) = name_of(&s.target)
            {
                let words = self.words_of(Span::of(env.file, &*s.annotation)).to_owned();
                self.cells(words.len() / 8 + 1)?;
                named.push((name.into(), Value::str(words)));
            }
        }
        Ok(Value::named(named))
    }

    /// The bases and their ancestors, each behind all that derive from it (depth first, the last of several kept, which is
    /// Python's order for the hierarchies that models have).
    pub(super) fn ancestors(&mut self, bases: &[Rc<Class>]) -> Result<Vec<Rc<Class>>> {
        let all: Vec<Rc<Class>> = bases.iter().flat_map(|base| base.mro().cloned()).collect();
        self.cells(all.len())?;
        let mut kept: Vec<Rc<Class>> = vec![];
        for class in all.into_iter().rev() {
            self.step(u64::try_from(kept.len()).unwrap_or(u64::MAX))?;
            if !kept.iter().any(|other| Rc::ptr_eq(other, &class)) {
                kept.push(class);
            }
        }
        kept.reverse();
        Ok(kept)
    }

    /// An attribute of anything.
    pub(crate) fn attribute(&mut self, of: &Value, name: &str) -> Result<Value> {
        match self.find_attribute(of, name)? {
            Some(Value::Failed(fault)) => Err((*fault).clone()),
            Some(value) => Ok(value),
            None => Err(self.no_attribute(of, name)),
        }
    }

    /// An attribute of anything, if there is one.
    pub(crate) fn find_attribute(&mut self, of: &Value, name: &str) -> Result<Option<Value>> {
        match of {
            Value::Object(object) => self.object_attribute(of, &object.clone(), name),
            Value::Super(parts) => {
                let (class, this) = &**parts;
                let own = match this {
                    Value::Object(object) => object.class.clone(),
                    Value::Class(class) => class.clone(),
                    _ => class.clone(),
                };
                let mut behind = own.mro().skip_while(|other| !Rc::ptr_eq(other, class)).skip(1);
                let found = behind.find_map(|other| other.attributes.borrow().get(name).cloned());
                if let Some(found) = found {
                    return self.bound(found, this.clone(), &own).map(Some);
                }
                if let Value::Object(object) = this
                    && let Some(contents) = object.contents.get()
                    && !name.starts_with("__")
                {
                    return self.method_of(contents, name);
                }
                self.super_method(&own, this, name)
            }
            Value::Class(class) => {
                match name {
                    // `Conv2d`; messages say `nn.Conv2d`.
                    "__name__" | "__qualname__" => {
                        return Ok(Some(Value::str(class.name.rsplit('.').next().unwrap_or_default())));
                    }
                    "__module__" => return Ok(Some(Value::str(""))),
                    "__doc__" => {
                        let doc = class.attributes.borrow().get(name).cloned();
                        return Ok(Some(doc.unwrap_or(Value::None)));
                    }
                    "__class__" => return self.class("builtins.type").map(|class| Some(Value::Class(class))),
                    "__mro__" => {
                        self.cells(class.ancestors.len() + 1)?;
                        return Ok(Some(Value::tuple(class.mro().cloned().map(Value::Class))));
                    }
                    "__bases__" => {
                        return Ok(Some(Value::tuple(class.ancestors.first().cloned().map(Value::Class))));
                    }
                    "__dict__" => {
                        let attributes = class.attributes.borrow().clone();
                        self.cells(attributes.len())?;
                        return Ok(Some(Value::named(attributes)));
                    }
                    _ => {}
                }
                match class.find(name) {
                    Some(Value::Wrapped(Wrapper::Static, inner)) => Ok(Some((*inner).clone())),
                    Some(Value::Wrapped(Wrapper::Class, inner)) => {
                        Ok(Some(Value::Method(Rc::new(((*inner).clone(), of.clone())))))
                    }
                    Some(value) => Ok(Some(value)),
                    None => self.class_attribute(class, name),
                }
            }
            Value::Namespace(namespace) => self.member(&namespace.clone(), name),
            Value::Opaque(opaque) => {
                let opaque =
                    Opaque { name: format!("{}.{name}", opaque.name).into(), origin: opaque.origin.clone() };
                self.cells(opaque.name.len())?;
                Ok(Some(Value::Opaque(Rc::new(opaque))))
            }
            Value::Tensor(_) | Value::Parameter(_) => self.tensor_attribute(of, name),
            Value::Failed(fault) => Err((**fault).clone()),
            Value::Function(function) if function.attributes.borrow().contains_key(name) => {
                Ok(function.attributes.borrow().get(name).cloned())
            }
            Value::Function(_) if name == "__module__" => Ok(Some(Value::str(""))),
            Value::Function(function) if name == "__doc__" => {
                let body = match &function.code.body {
                    super::value::Body::Statements(body) => docstring(body),
                    super::value::Body::Expression(_) => None,
                };
                Ok(Some(body.map_or(Value::None, Value::str)))
            }
            Value::Function(_) if name == "__class__" => {
                self.class("typing.function").map(|c| Some(Value::Class(c)))
            }
            Value::Function(function) if matches!(name, "__name__" | "__qualname__") => {
                Ok(Some(Value::Str(function.name.borrow().clone())))
            }
            Value::Native(native) if matches!(name, "__name__" | "__qualname__") => {
                Ok(Some(Value::str(native.name.rsplit('.').next().unwrap_or_default())))
            }
            Value::Native(native) => Ok(super::library::of_function(native, name)),
            Value::Method(parts) => match name {
                "__self__" => Ok(Some(parts.1.clone())),
                "__func__" => Ok(Some(parts.0.clone())),
                _ => self.deeper(|this| this.find_attribute(&parts.0, name)),
            },
            Value::Partial(partial) => match name {
                "func" => Ok(Some(partial.callee.clone())),
                "args" => Ok(Some(Value::tuple(partial.positional.iter().cloned()))),
                "keywords" => Ok(Some(Value::named(partial.named.iter().cloned()))),
                _ => Ok(None),
            },
            Value::Wrapped(Wrapper::Cached, inner) => self.of_cached(&inner.clone(), name),
            Value::Property(property) => Ok(super::object::of_property(property, name)),
            Value::Attributes(_) => self.method_of_attributes(of, name),
            // What `x.max(dim)` gives.
            Value::Tuple(parts) if parts.len() == 2 && matches!(name, "values" | "indices") => {
                Ok(Some(parts[usize::from(name == "indices")].clone()))
            }
            other => self.method_of(other, name),
        }
    }

    /// What becomes of something found in a class when an object is asked for it.
    pub(super) fn bound(&mut self, found: Value, this: Value, class: &Rc<Class>) -> Result<Value> {
        Ok(match found {
            Value::Function(_) | Value::Wrapped(Wrapper::Cached, _) => Value::Method(Rc::new((found, this))),
            Value::Native(_) => Value::Method(Rc::new((found, this))),
            Value::Wrapped(Wrapper::Static, inner) => (*inner).clone(),
            Value::Wrapped(Wrapper::Class, inner) => {
                Value::Method(Rc::new(((*inner).clone(), Value::Class(class.clone()))))
            }
            Value::Wrapped(Wrapper::CachedProperty, inner) => {
                let value = self.call(&inner, Args::of([this.clone()]))?;
                if let (Value::Object(object), Value::Function(function)) = (&this, &*inner) {
                    object.set(&function.name.borrow().clone(), value.clone());
                }
                value
            }
            Value::Property(property) => match &property.get {
                Value::None => return Err(Fault::python("AttributeError", "the property has no getter")),
                get => self.call(get, Args::of([this]))?,
            },
            Value::Object(ref object) if object.class.find("__get__").is_some() => {
                self.call_method(&found, "__get__", Args::of([this, Value::Class(class.clone())]))?
            }
            other => other,
        })
    }

    pub(super) fn no_attribute(&mut self, of: &Value, name: &str) -> Fault {
        let fault = match of {
            Value::Object(object) => {
                Fault::python("AttributeError", format!("`{}` has no attribute `{name}`", object.class.name))
            }
            Value::Class(class) => {
                Fault::python("AttributeError", format!("`{}` has no attribute `{name}`", class.name))
            }
            Value::Namespace(namespace) => return self.no_member(&namespace.name.clone(), name),
            Value::Super(parts) => {
                Fault::python("AttributeError", format!("no class after `{}` has `{name}`", parts.0.name))
            }
            Value::Tensor(_) | Value::Parameter(_) => {
                Fault::unsupported(format!("`Tensor.{name}` is not supported"))
            }
            Value::None => {
                return Fault::python("AttributeError", format!("this is `None`, which has no `{name}`"))
                    .help("a function or a `forward` without `return` returns `None`");
            }
            other => {
                Fault::python("AttributeError", format!("a {} has no attribute `{name}`", other.type_name()))
            }
        };
        if let Some(instead) = crate::torch::instead(name) {
            return fault.help(instead);
        }
        match of {
            Value::Object(object) => {
                let own: Vec<String> = object.attributes.borrow().keys().map(ToString::to_string).collect();
                let methods: Vec<String> = object
                    .class
                    .mro()
                    .flat_map(|class| class.attributes.borrow().keys().cloned().collect::<Vec<_>>())
                    .map(|name| name.to_string())
                    .collect();
                if let Err(fault) = self.step((own.len() + methods.len()) as u64) {
                    return fault;
                }
                match imports::nearest(name, own.iter().chain(&methods).map(String::as_str)) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None if object.class.is_module() && !object.is_initialized.get() => {
                        fault.help("`super().__init__()` comes first in a constructor")
                    }
                    None => super::advice::unset(fault, object, name, self.trace.is_running),
                }
            }
            Value::Tensor(_) | Value::Parameter(_) => self.tensor_help(fault, name),
            _ => fault,
        }
    }

    /// Sets an attribute of anything.
    pub(crate) fn set_attribute(&mut self, of: &Value, name: &str, value: Value) -> Result<()> {
        match of {
            Value::Object(object) => self.set_object_attribute(of, &object.clone(), name, value),
            Value::Class(class) if matches!(class.native, NativeClass::None) => {
                own_methods(&value, class, 4);
                class.attributes.borrow_mut().insert(name.into(), value);
                Ok(())
            }
            Value::Function(function) => {
                self.cells(1)?;
                function.attributes.borrow_mut().insert(name.into(), value);
                Ok(())
            }
            // `torch.backends.cudnn.benchmark = True`
            Value::Namespace(namespace) if namespace.name.starts_with("torch.backends") => Ok(()),
            Value::Parameter(parameter) => self.set_parameter_attribute(&parameter.clone(), name, value),
            // `model.relu = ...` of something unknown changes nothing that is known.
            Value::Opaque(_) => Ok(()),
            other => Err(Fault::python(
                "AttributeError",
                format!("`{name}` of a {} cannot be set", other.type_name()),
            )),
        }
    }

    /// A new object's native part: what `super().__init__(...)` reaches in the end.
    pub(crate) fn native_init(&mut self, object: &Rc<Object>, class: &Rc<Class>, args: Args) -> Result<()> {
        match class.native() {
            NativeClass::Module | NativeClass::Container(_) | NativeClass::Layer(_) => {
                self.init_module(object, class, args)
            }
            NativeClass::Exception => {
                object.set("args", Value::tuple(args.positional));
                Ok(())
            }
            NativeClass::Type(_) => self.init_contents(object, args),
            NativeClass::None | NativeClass::Plain => {
                if class.find(super::data::FIELDS).is_some() {
                    return self.init_data(object, class, args);
                }
                if class.is_named("SimpleNamespace") || class.is_named("Namespace") {
                    return self.init_namespace(object, args);
                }
                // `__new__` has taken them.
                if object.contents.get().is_some() || class.find("__new__").is_some() {
                    return Ok(());
                }
                if args.positional.is_empty() && args.named.is_empty() {
                    return Ok(());
                }
                Err(Fault::type_error(format!("`{}` takes no arguments", object.class.name)))
            }
        }
    }
}

/// The attribute that says of which names a class body has annotations.
pub(super) const ANNOTATIONS: &str = "__annotations__";

/// What a class body has defined, in the order of the text.
fn defined(body: &[Stmt], scope: &Scope) -> IndexMap<Rc<str>, Value> {
    let mut order: Vec<&str> = vec![];
    for statement in body {
        match statement {
            Stmt::FunctionDef(s) => order.push(&s.name),
            Stmt::ClassDef(s) => order.push(&s.name),
            Stmt::Assign(s) => order.extend(s.targets.iter().filter_map(name_of)),
            Stmt::AnnAssign(s) => order.extend(name_of(&s.target)),
            _ => {}
        }
    }
    let mut attributes = IndexMap::new();
    for name in order.into_iter().map(Rc::from).chain(scope.names()) {
        if let Some(value) = scope.own(&name) {
            attributes.entry(name).or_insert(value);
        }
    }
    attributes
}

/// Functions that belong to a class know it, for `super()`.
fn own_methods(value: &Value, class: &Rc<Class>, depth: usize) {
    let inside = |value: &Value| {
        if depth > 0 {
            own_methods(value, class, depth - 1);
        }
    };
    match value {
        Value::Function(function) => {
            function.owner.borrow_mut().get_or_insert_with(|| class.clone());
        }
        Value::Wrapped(_, inner) => inside(inner),
        Value::Partial(partial) => partial.positional.iter().for_each(inside),
        Value::Property(property) => {
            let Property { get, set, delete } = &**property;
            [get, set, delete].into_iter().for_each(inside);
        }
        _ => {}
    }
}

/// The text that a body begins with.
fn docstring(body: &[Stmt]) -> Option<&str> {
    match body.first() {
        Some(Stmt::Expr(s)) => match &*s.value {
            Expr::StringLiteral(text) => Some(text.value.to_str()),
            _ => None,
        },
        _ => None,
    }
}

fn name_of(target: &Expr) -> Option<&str> {
    match target {
        Expr::Name(name) => Some(&name.id),
        _ => None,
    }
}
