//! Classes, attributes, `super()`.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use indexmap::IndexMap;
use ruff_python_ast::{Expr, Stmt, StmtClassDef};

use super::call::Args;
use super::fault::{Fault, Result};
use super::scope::{Env, Scope};
use super::value::{Class, NativeClass, Object, Opaque, Value, Wrapper};
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
                Value::Opaque(opaque) => unknown_base = Some(opaque),
                // `Generic[T]` and its like.
                Value::None => {}
                other => {
                    return Err(Fault::type_error(format!("a {} cannot be a base class", other.type_name()))
                        .at(Span::of(env.file, base)));
                }
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
        let inner = Env { scope: scope.clone(), file: env.file, method: None, around: Some(env.closure()) };
        for statement in &def.body {
            self.statement(&inner, statement)?;
        }
        let mut attributes: IndexMap<Rc<str>, Value> = defined(&def.body, &scope);
        attributes.insert(FIELDS.into(), fields(&def.body));
        let class = Rc::new(Class {
            name: def.name.as_str().into(),
            ancestors,
            attributes: RefCell::new(attributes),
            native: NativeClass::None,
            unknown_base,
        });
        self.cycles.class(&class);
        for value in class.attributes.borrow().values() {
            let function = match value {
                Value::Function(function) => function,
                Value::Wrapped(_, inner) => match &**inner {
                    Value::Function(function) => function,
                    _ => continue,
                },
                _ => continue,
            };
            function.owner.borrow_mut().get_or_insert_with(|| class.clone());
        }
        let mut value = Value::Class(class);
        for decorator in def.decorator_list.iter().rev() {
            value = self.decorate(env, &decorator.expression, value)?;
        }
        Ok(value)
    }

    /// The bases and their ancestors, each behind all that derive from it (depth first, the last of several kept, which is
    /// Python's order for the hierarchies that models have).
    fn ancestors(&mut self, bases: &[Rc<Class>]) -> Result<Vec<Rc<Class>>> {
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
            Value::Object(object) => {
                if let Some(value) = object.get(name) {
                    return Ok(Some(value));
                }
                let class = Value::Class(object.class.clone());
                match name {
                    "__class__" => return Ok(Some(class)),
                    "__module__" => return Ok(Some(Value::str(""))),
                    "training" if object.class.is_module() => return Ok(Some(object.training())),
                    _ => {}
                }
                if let Some(found) = object.class.find(name) {
                    return self.bound(found, of.clone(), &object.class.clone()).map(Some);
                }
                Ok(self
                    .native_method(object, name)
                    .map(|native| Value::Method(Rc::new((Value::Native(native), of.clone())))))
            }
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
                self.super_method(class, this, name)
            }
            Value::Class(class) => {
                match name {
                    // `Conv2d`; messages say `nn.Conv2d`.
                    "__name__" | "__qualname__" => {
                        return Ok(Some(Value::str(class.name.rsplit('.').next().unwrap_or_default())));
                    }
                    "__module__" => return Ok(Some(Value::str(""))),
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
            Value::Function(_) if name == "__module__" => Ok(Some(Value::str(""))),
            Value::Function(_) if name == "__class__" => {
                self.class("typing.function").map(|c| Some(Value::Class(c)))
            }
            Value::Function(function) if name == "__name__" => {
                Ok(Some(Value::Str(function.name.borrow().clone())))
            }
            // What `x.max(dim)` gives.
            Value::Tuple(parts) if parts.len() == 2 && matches!(name, "values" | "indices") => {
                Ok(Some(parts[usize::from(name == "indices")].clone()))
            }
            other => self.method_of(other, name),
        }
    }

    /// What becomes of something found in a class when an object is asked for it.
    fn bound(&mut self, found: Value, this: Value, class: &Rc<Class>) -> Result<Value> {
        Ok(match found {
            Value::Function(_) => Value::Method(Rc::new((found, this))),
            Value::Native(_) => Value::Method(Rc::new((found, this))),
            Value::Wrapped(Wrapper::Static, inner) => (*inner).clone(),
            Value::Wrapped(Wrapper::Class, inner) => {
                Value::Method(Rc::new(((*inner).clone(), Value::Class(class.clone()))))
            }
            Value::Wrapped(Wrapper::Property, inner) => self.call(&inner, Args::of([this]))?,
            other => other,
        })
    }

    fn no_attribute(&mut self, of: &Value, name: &str) -> Fault {
        let fault = match of {
            Value::Object(object) => {
                Fault::python("AttributeError", format!("`{}` has no attribute `{name}`", object.class.name))
            }
            Value::Class(class) => {
                Fault::python("AttributeError", format!("`{}` has no attribute `{name}`", class.name))
            }
            Value::Namespace(namespace) => return self.no_member(&namespace.name.clone(), name),
            Value::Super(parts) => {
                Fault::python("AttributeError", format!("no class behind `{}` has `{name}`", parts.0.name))
            }
            Value::Tensor(_) | Value::Parameter(_) => {
                Fault::unsupported(format!("`Tensor.{name}` is not supported"))
            }
            Value::None => {
                return Fault::python("AttributeError", format!("this is `None`, which has no `{name}`"))
                    .help("a function or a `forward` without `return` gives `None`");
            }
            other => {
                Fault::python("AttributeError", format!("a {} has no attribute `{name}`", other.type_name()))
            }
        };
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
            Value::Object(object) if object.class.is_module() => {
                self.set_module_attribute(object, name, value)
            }
            Value::Object(object) => {
                object.set(name, value);
                Ok(())
            }
            Value::Class(class) if matches!(class.native, NativeClass::None) => {
                class.attributes.borrow_mut().insert(name.into(), value);
                Ok(())
            }
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
            NativeClass::None | NativeClass::Plain | NativeClass::Type(_) => {
                if class.find(super::library::DATA_CLASS).is_some() {
                    return self.init_data(object, class, args);
                }
                if args.positional.is_empty() && args.named.is_empty() {
                    return Ok(());
                }
                Err(Fault::type_error(format!("`{}` takes no arguments", object.class.name)))
            }
        }
    }

    /// The fields of a data class, those of its ancestors first.
    pub(super) fn data_fields(class: &Rc<Class>) -> Vec<Rc<str>> {
        let (mut names, mut met): (Vec<Rc<str>>, HashSet<Rc<str>>) = (vec![], HashSet::new());
        for part in class.mro().collect::<Vec<_>>().into_iter().rev() {
            if let Some(Value::Tuple(fields)) = part.attributes.borrow().get(FIELDS) {
                let own = fields.iter().filter_map(|name| name.as_str().map(Rc::from));
                names.extend(own.filter(|name: &Rc<str>| met.insert(name.clone())));
            }
        }
        names
    }

    /// The class and the fields' values of an object of a data class.
    pub(crate) fn data_of(&mut self, value: &Value) -> Result<Option<(Rc<Class>, Vec<Value>)>> {
        let Value::Object(object) = value else { return Ok(None) };
        if object.class.find(super::library::DATA_CLASS).is_none() {
            return Ok(None);
        }
        let names = Self::data_fields(&object.class);
        self.cells(names.len())?;
        let value =
            |name: &Rc<str>| object.get(name).or_else(|| object.class.find(name)).unwrap_or(Value::None);
        Ok(Some((object.class.clone(), names.iter().map(value).collect())))
    }

    /// The constructor of a data class.
    fn init_data(&mut self, object: &Rc<Object>, class: &Rc<Class>, args: Args) -> Result<()> {
        let names = Self::data_fields(class);
        let looked_up = names.len().saturating_mul(args.positional.len() + args.named.len() + 1) / 16;
        self.step((names.len() + looked_up) as u64)?;
        let wrong = |what: &str| Fault::type_error(format!("`{}` {what}", class.name));
        if args.positional.len() > names.len() {
            return Err(wrong(&format!("takes {} arguments", names.len())));
        }
        for (name, value) in names.iter().cloned().zip(args.positional).chain(args.named) {
            if !names.contains(&name) {
                return Err(wrong(&format!("has no argument `{name}`")));
            }
            object.set(&name, value);
        }
        for name in names {
            match class.find(&name) {
                _ if object.get(&name).is_some() => {}
                // `field(default_factory=list)`: a new one for each object.
                Some(Value::Partial(partial)) if super::library::is_factory(&partial.callee) => {
                    let value = self.call(&partial.positional[0].clone(), Args::default())?;
                    object.set(&name, value);
                }
                Some(_) => {}
                None => return Err(wrong(&format!("needs `{name}`"))),
            }
        }
        match class.find("__post_init__") {
            Some(method) => {
                let method = Value::Method(Rc::new((method, Value::Object(object.clone()))));
                self.call(&method, Args::default()).map(drop)
            }
            None => Ok(()),
        }
    }
}

/// The attribute that lists the annotated names of a class body: the fields, should it be a data class.
const FIELDS: &str = "__annotations__";

fn fields(body: &[Stmt]) -> Value {
    let annotated = body.iter().filter_map(|statement| match statement {
        Stmt::AnnAssign(s) => name_of(&s.target).map(Value::str),
        _ => None,
    });
    Value::tuple(annotated)
}

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

fn name_of(target: &Expr) -> Option<&str> {
    match target {
        Expr::Name(name) => Some(&name.id),
        _ => None,
    }
}
