//! Shared behaviour of objects of the program's classes: attributes with the hooks that classes may have for them, the
//! methods that every object has, and values such as dicts in classes that derive from their types.

use std::rc::Rc;

use super::Interpreter;
use super::call::Args;
use super::fault::{Fault, Result};
use super::methods::natives;
use super::native::{Bound, Native};
use super::value::{Class, Dict, Key, Members, NativeClass, Object, Property, Value, Wrapper};

/// Methods that every object has, by the name that a class gives its own.
static METHODS: &[Native] = natives! {
    "__setattr__" "self, name, value, /" => |i, b| {
        let name = b.string("name")?;
        match b.get("self") {
            Value::Object(object) => i.store_attribute(&object, &name, b.get("value"))?,
            other => i.set_attribute(&other, &name, b.get("value"))?,
        }
        Ok(Value::None)
    },
    "__getattribute__" "self, name, /" => stored,
    "__getattr__" "self, name, /" => stored,
    "__delattr__" "self, name, /" => |i, b| {
        if let Value::Object(object) = b.get("self") {
            i.remove_attribute(&object, &b.string("name")?)?;
        }
        Ok(Value::None)
    },
    "__getitem__" "self, key, /" => |i, b| match b.get("self") {
        Value::Object(object) if object.class.is_module() => i.module_item(&object, &b.get("key")),
        this => i.item(this.plain(), &b.get("key")),
    },
    "__setitem__" "self, key, value, /" => |i, b| {
        match b.get("self") {
            Value::Object(object) if object.class.is_module() => {
                i.set_module_item(&object, &b.get("key"), b.get("value"))?;
            }
            this => i.set_item(this.plain(), &b.get("key"), b.get("value"))?,
        }
        Ok(Value::None)
    },
    "__delitem__" "self, key, /" => |i, b| {
        i.delete_item(b.get("self").plain(), &b.get("key"))?;
        Ok(Value::None)
    },
    "__contains__" "self, item, /" => |i, b| Ok(Value::Bool(i.contains(b.get("self").plain(), &b.get("item"))?)),
    "__len__" "self, /" => |i, b| {
        let length = match b.get("self") {
            Value::Object(object) if object.class.is_module() => i.members(&object).len(),
            this => i.length(this.plain())?,
        };
        Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
    },
    "__iter__" "self, /" => |i, b| match b.get("self") {
        Value::Object(object) if object.class.is_module() => Ok(Value::iterator(i.members(&object))),
        this => Ok(Value::iterator(i.items(this.plain())?)),
    },
    "__eq__" "self, other, /" => |i, b| same(i, b).map(Value::Bool),
    "__ne__" "self, other, /" => |i, b| same(i, b).map(|same| Value::Bool(!same)),
    "__hash__" "self, /" => |_, b| Ok(Value::Int(i64::try_from(b.get("self").identity().unwrap_or(0)).unwrap_or(0))),
    "__repr__" "self, /" => |i, b| Ok(Value::str(i.plain_repr(&b.get("self"))?)),
    "__str__" "self, /" => |i, b| Ok(Value::str(i.plain_repr(&b.get("self"))?)),
    "__new__" "cls, /, *args, **kwargs" => |i, b| {
        let Value::Class(class) = b.get("cls") else { return Err(b.wrong("cls", "a class")) };
        let args = super::rest(i, b)?;
        i.allocate(&class, args).map(Value::Object)
    },
    "__init_subclass__" "cls, /, **kwargs" => |_, _| Ok(Value::None),
    "__post_init__" "self, /" => |_, _| Ok(Value::None),
};

/// A method that every object has, without an object.
pub(super) fn method(name: &str) -> Option<Value> {
    let native = METHODS.iter().find(|native| native.name == name)?;
    // It is called with the class, wherever it is found.
    Some(match name {
        "__init_subclass__" => Value::Wrapped(Wrapper::Class, Rc::new(Value::Native(native))),
        "__new__" => Value::Wrapped(Wrapper::Static, Rc::new(Value::Native(native))),
        _ => Value::Native(native),
    })
}

/// What a property has: `@size.setter`.
pub(super) fn of_property(property: &Rc<Property>, name: &str) -> Option<Value> {
    static SETTER: Native =
        Native { name: "setter", signature: "property, function, /", call: |_, b| with(b, |p, f| p.set = f) };
    static GETTER: Native =
        Native { name: "getter", signature: "property, function, /", call: |_, b| with(b, |p, f| p.get = f) };
    static DELETER: Native = Native {
        name: "deleter",
        signature: "property, function, /",
        call: |_, b| with(b, |p, f| p.delete = f),
    };
    let native = match name {
        "setter" => &SETTER,
        "getter" => &GETTER,
        "deleter" => &DELETER,
        "fget" => return Some(property.get.clone()),
        "fset" => return Some(property.set.clone()),
        "fdel" => return Some(property.delete.clone()),
        _ => return None,
    };
    Some(Value::Method(Rc::new((Value::Native(native), Value::Property(property.clone())))))
}

fn with(b: &Bound, change: fn(&mut Property, Value)) -> Result<Value> {
    let Value::Property(property) = b.get("property") else { return Err(b.wrong("property", "a property")) };
    let mut changed = (*property).clone();
    change(&mut changed, b.get("function"));
    Ok(Value::Property(Rc::new(changed)))
}

/// An attribute without the hooks of the class.
fn stored(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (this, name) = (b.get("self"), b.string("name")?);
    let found = match &this {
        Value::Object(object) => i.stored_attribute(&this, &object.clone(), &name)?,
        _ => i.find_attribute(&this, &name)?,
    };
    found.ok_or_else(|| i.no_attribute(&this, &name))
}

/// Equality without the `__eq__` of the class.
fn same(i: &mut Interpreter, b: &Bound) -> Result<bool> {
    let (this, other) = (b.get("self"), b.get("other"));
    match (&this, this.plain()) {
        (Value::Object(_), Value::Object(_)) => Ok(i.is_same(&this, &other)),
        (_, plain) => i.is_equal(&plain.clone(), other.plain()),
    }
}

/// Whether something failed for lack of an attribute, which `hasattr` asks for.
pub(super) fn lacks_attribute(fault: &Fault) -> bool {
    super::exec::is_raised(fault, &["AttributeError"])
}

impl Interpreter {
    /// An attribute of an object, by the rules of its class.
    pub(super) fn object_attribute(
        &mut self,
        of: &Value,
        object: &Rc<Object>,
        name: &str,
    ) -> Result<Option<Value>> {
        if let Some(found) = self.stored_attribute(of, object, name)? {
            return Ok(Some(found));
        }
        match object.class.find("__getattr__") {
            Some(hook) => {
                let hook = Value::Method(Rc::new((hook, of.clone())));
                self.deeper_call(|this| this.call(&hook, Args::of([Value::str(name)]))).map(Some)
            }
            None => Ok(None),
        }
    }

    /// An attribute of an object without what the class does about missing ones.
    fn stored_attribute(&mut self, of: &Value, object: &Rc<Object>, name: &str) -> Result<Option<Value>> {
        let of_class = object.class.find(name);
        if let Some(property @ Value::Property(_)) = of_class {
            return self.bound(property, of.clone(), &object.class.clone()).map(Some);
        }
        match object.get(name) {
            Some(Value::Failed(fault)) => return Err((*fault).clone()),
            Some(value) => {
                if object.class.is_module() {
                    self.trace.reads(object, name, &value);
                }
                return Ok(Some(value));
            }
            None => {}
        }
        if object.is_own_dict.get()
            && let Some(Value::Dict(dict)) = object.contents.get()
            && let Some(value) = dict.borrow().named(name)
        {
            return Ok(Some(value));
        }
        let view = |members| Ok(Some(Value::Attributes(Rc::new((object.clone(), members)))));
        match name {
            "__class__" => return Ok(Some(Value::Class(object.class.clone()))),
            "__module__" => return Ok(Some(Value::str(""))),
            "__doc__" if of_class.is_none() => return Ok(Some(Value::None)),
            "__dict__" if object.is_own_dict.get() => return Ok(Some(of.clone())),
            "__dict__" => return view(Members::All),
            "training" if object.class.is_module() => return Ok(Some(object.training())),
            "_modules" if object.class.is_module() => return view(Members::Modules),
            "_parameters" if object.class.is_module() => return view(Members::Parameters),
            "_buffers" if object.class.is_module() => return view(Members::Buffers),
            _ => {}
        }
        if let Some(found) = of_class {
            return self.bound(found, of.clone(), &object.class.clone()).map(Some);
        }
        if let Some(contents) = object.contents.get()
            && let Some(found) = self.method_of(contents, name)?
        {
            return Ok(Some(found));
        }
        if let Some(native) = self.native_method(object, name) {
            return Ok(Some(Value::Method(Rc::new((Value::Native(native), of.clone())))));
        }
        if let NativeClass::Container(super::value::Container::Wrapper("_orig_mod")) = object.class.native()
            && let Some(inner) = object.get("_orig_mod")
        {
            return self.deeper(|this| this.find_attribute(&inner, name));
        }
        match method(name) {
            Some(found) if name != "__getattr__" && name != "__post_init__" => {
                self.bound(found, of.clone(), &object.class.clone()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Sets an attribute of an object, by the rules of its class.
    pub(super) fn set_object_attribute(
        &mut self,
        of: &Value,
        object: &Rc<Object>,
        name: &str,
        value: Value,
    ) -> Result<()> {
        if let Some(hook) = object.class.find("__setattr__") {
            let hook = Value::Method(Rc::new((hook, of.clone())));
            return self.deeper_call(|this| this.call(&hook, Args::of([Value::str(name), value]))).map(drop);
        }
        if object.class.find(super::data::FROZEN).is_some() {
            return Err(Fault::python(
                "FrozenInstanceError",
                format!("`{}` is a frozen data class: `{name}` cannot be set", object.class.name),
            )
            .help("`dataclasses.replace(config, ...)` makes a changed copy"));
        }
        self.store_attribute(object, name, value)
    }

    /// Sets an attribute of an object, whatever `__setattr__` its class has.
    fn store_attribute(&mut self, object: &Rc<Object>, name: &str, value: Value) -> Result<()> {
        match object.class.find(name) {
            Some(Value::Property(property)) => {
                return match &property.set {
                    Value::None => Err(Fault::python(
                        "AttributeError",
                        format!("`{name}` of `{}` is a property without a setter", object.class.name),
                    )
                    .help(format!("`@{name}.setter` above a second `def {name}(self, value)` makes one"))),
                    set => self.call(set, Args::of([Value::Object(object.clone()), value])).map(drop),
                };
            }
            Some(descriptor @ Value::Object(_)) => {
                if let Value::Object(inner) = &descriptor
                    && inner.class.find("__set__").is_some()
                {
                    let args = Args::of([Value::Object(object.clone()), value]);
                    return self.call_method(&descriptor, "__set__", args).map(drop);
                }
            }
            _ => {}
        }
        if object.class.find("_fields").is_some() && object.contents.get().is_some() {
            return Err(Fault::python(
                "AttributeError",
                format!("`{name}` of `{}`, a named tuple, cannot be set", object.class.name),
            )
            .help(format!("`._replace({name}=...)` makes a changed copy")));
        }
        if name == "__dict__" {
            return self.set_own_dict(object, &value);
        }
        if object.class.is_module() {
            self.trace.writes(object, name, &value);
            return self.set_module_attribute(object, name, value);
        }
        self.cells(1)?;
        match object.contents.get() {
            Some(contents) if object.is_own_dict.get() => {
                self.set_item(&contents.clone(), &Value::str(name), value)
            }
            _ => {
                object.set(name, value);
                Ok(())
            }
        }
    }

    /// `self.__dict__ = ...`
    fn set_own_dict(&mut self, object: &Rc<Object>, value: &Value) -> Result<()> {
        if let Value::Object(other) = value
            && Rc::ptr_eq(other, object)
            && matches!(object.contents.get(), Some(Value::Dict(_)))
        {
            let before = object.attributes.take();
            object.is_own_dict.set(true);
            return before
                .into_iter()
                .try_for_each(|(name, value)| self.store_attribute(object, &name, value));
        }
        let Value::Dict(dict) = self.dict_of(value)? else {
            return Err(Fault::type_error(format!(
                "`__dict__` should be a dict, but is a {}",
                value.type_name()
            )));
        };
        object.attributes.borrow_mut().clear();
        let entries: Vec<(Value, Value)> = dict.borrow().entries.values().cloned().collect();
        self.cells(entries.len())?;
        for (name, value) in entries {
            let name = name.as_str().ok_or_else(|| Fault::type_error("names of attributes are strings"))?;
            self.store_attribute(object, name, value)?;
        }
        Ok(())
    }

    /// `del object.name`
    pub(super) fn delete_attribute(&mut self, object: &Rc<Object>, name: &str) -> Result<()> {
        if let Some(hook) = object.class.find("__delattr__") {
            let hook = Value::Method(Rc::new((hook, Value::Object(object.clone()))));
            return self.deeper_call(|this| this.call(&hook, Args::of([Value::str(name)]))).map(drop);
        }
        self.remove_attribute(object, name)
    }

    fn remove_attribute(&mut self, object: &Rc<Object>, name: &str) -> Result<()> {
        if let Some(Value::Property(property)) = object.class.find(name) {
            return match &property.delete {
                Value::None => Err(Fault::python("AttributeError", format!("`{name}` cannot be deleted"))),
                delete => self.call(delete, Args::of([Value::Object(object.clone())])).map(drop),
            };
        }
        if let (true, Some(contents)) = (object.is_own_dict.get(), object.contents.get()) {
            return self.delete_item(&contents.clone(), &Value::str(name));
        }
        self.step(object.attributes.borrow().len() as u64 / 32)?;
        let removed = object.attributes.borrow_mut().shift_remove(name);
        object.buffers.borrow_mut().shift_remove(name);
        match removed {
            Some(_) => Ok(()),
            None => Err(self.no_attribute(&Value::Object(object.clone()), name)),
        }
    }

    /// A new object of a class, before its constructor.
    pub(crate) fn allocate(&mut self, class: &Rc<Class>, args: Args) -> Result<Rc<Object>> {
        let object = self.object(class.clone());
        object.made.set(self.here);
        if class.find("_fields").is_some() && class.is_named("tuple") {
            self.fill_named_tuple(&object, args)?;
            return Ok(object);
        }
        let Some(native) = class.builtin() else { return Ok(object) };
        let contents = match native.name {
            "builtins.list" => Value::list([]),
            "builtins.set" => self.set_of(vec![])?,
            "builtins.dict" | "collections.defaultdict" => Value::Dict(Rc::default()),
            "collections.OrderedDict" => {
                Value::Dict(Rc::new(Dict { is_ordered: true, ..Dict::default() }.into()))
            }
            "builtins.int" | "builtins.float" | "builtins.str" | "builtins.tuple" => {
                self.call_native(native, args)?
            }
            name => {
                return Err(Fault::unsupported(format!(
                    "classes that derive from `{}` are not supported",
                    super::call::short(name)
                )));
            }
        };
        let _ = object.contents.set(contents);
        Ok(object)
    }

    /// The constructor of `dict`, `list` and so on for an object of a class that derives from them.
    pub(super) fn init_contents(&mut self, object: &Rc<Object>, args: Args) -> Result<()> {
        let Some(contents) = object.contents.get().cloned() else { return Ok(()) };
        let mut positional = args.positional;
        if object.class.is_named("defaultdict") && !positional.is_empty() {
            object.set("default_factory", positional.remove(0));
        }
        match &contents {
            Value::Dict(_) => {
                let mut all = Args { positional, named: args.named };
                if matches!(all.positional.first(), Some(Value::None)) {
                    all.positional.clear();
                }
                self.call_method(&contents, "update", all).map(drop)
            }
            Value::List(_) if !positional.is_empty() => {
                self.call_method(&contents, "extend", Args::of(positional)).map(drop)
            }
            Value::Set(_) if !positional.is_empty() => {
                self.call_method(&contents, "update", Args::of(positional)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The constructor of `SimpleNamespace`.
    pub(super) fn init_namespace(&mut self, object: &Rc<Object>, args: Args) -> Result<()> {
        let mut all = Dict::default();
        for mapping in &args.positional {
            self.update_dict(&mut all, mapping)?;
        }
        let given = all.entries.into_values().map(|(name, value)| (name.as_str().map(Rc::from), value));
        let named = args.named.into_iter().map(|(name, value)| (Some(name), value));
        for (name, value) in given.chain(named) {
            self.cells(1)?;
            object.set(&name.ok_or_else(|| Fault::type_error("names of attributes are strings"))?, value);
        }
        Ok(())
    }

    /// Attributes as a dict, or a dict itself.
    pub(crate) fn dict_of(&mut self, value: &Value) -> Result<Value> {
        let Value::Attributes(view) = value else { return Ok(value.plain().clone()) };
        let (object, members) = &**view;
        let attributes = object.attributes.borrow();
        let buffers = object.buffers.borrow();
        self.cells(attributes.len())?;
        let is_meant = |name: &Rc<str>, value: &Value| match members {
            Members::All => true,
            Members::Modules => value.as_module().is_some(),
            Members::Parameters => matches!(value, Value::Parameter(_)) && !buffers.contains_key(name),
            Members::Buffers => buffers.contains_key(name),
        };
        let taken = attributes.iter().filter(|(name, value)| is_meant(name, value));
        Ok(Value::named(taken.map(|(name, value)| (name.clone(), value.clone()))))
    }

    /// A method of attributes as a dict: what it changes are the attributes.
    pub(super) fn method_of_attributes(&mut self, of: &Value, name: &str) -> Result<Option<Value>> {
        static CHANGED: Native = Native {
            name: "dict",
            signature: "view, method, /, *args, **kwargs",
            call: |i, b| {
                let args = super::rest(i, b)?;
                let Value::Attributes(view) = b.get("view") else { return Ok(Value::None) };
                let dict = i.dict_of(&b.get("view"))?;
                let Value::Dict(before) = &dict else { return Ok(Value::None) };
                let before = before.borrow().entries.clone();
                let result = i.call_method(&dict, &b.string("method")?, args)?;
                let Value::Dict(after) = &dict else { return Ok(Value::None) };
                let after = after.borrow().entries.clone();
                for (key, (name, _)) in &before {
                    if let (false, Some(name)) = (after.contains_key(key), name.as_str()) {
                        i.remove_attribute(&view.0, name)?;
                    }
                }
                for (key, (name, value)) in &after {
                    let is_new = before.get(key).is_none_or(|(_, old)| !i.is_same(old, value));
                    if let (true, Some(name)) = (is_new, name.as_str()) {
                        i.store_attribute(&view.0, name, value.clone())?;
                    }
                }
                Ok(result)
            },
        };
        let empty = Value::Dict(Rc::default());
        if self.method_of(&empty, name)?.is_none() {
            return Ok(None);
        }
        let partial = super::value::Partial {
            callee: Value::Native(&CHANGED),
            positional: vec![of.clone(), Value::str(name)],
            named: vec![],
        };
        Ok(Some(Value::Partial(Rc::new(partial))))
    }

    /// `view[key] = value` and `del view[key]` of attributes as a dict.
    pub(super) fn change_attribute(
        &mut self,
        view: &Rc<(Rc<Object>, Members)>,
        key: &Value,
        value: Option<Value>,
    ) -> Result<()> {
        let name = key.as_str().ok_or_else(|| Fault::type_error("names of attributes are strings"))?;
        match value {
            Some(value) => self.store_attribute(&view.0, name, value),
            None => self.remove_attribute(&view.0, name),
        }
    }

    /// What a dict of a class of its own gives for a key that it does not have.
    pub(super) fn missing(&mut self, object: &Rc<Object>, key: &Value) -> Result<Option<Value>> {
        let of = Value::Object(object.clone());
        if let Some(hook) = object.class.find("__missing__") {
            let hook = Value::Method(Rc::new((hook, of)));
            return self.deeper_call(|this| this.call(&hook, Args::of([key.clone()]))).map(Some);
        }
        match object.get("default_factory") {
            Some(Value::None) | None => Ok(None),
            Some(_) if !object.class.is_named("defaultdict") => Ok(None),
            Some(factory) => {
                let value = self.call(&factory, Args::default())?;
                let contents = of.plain().clone();
                self.set_item(&contents, key, value.clone())?;
                Ok(Some(value))
            }
        }
    }

    /// Whether two objects that compare by their attributes have equal ones: namespaces, devices.
    pub(super) fn equal_attributes(&mut self, a: &Rc<Object>, b: &Rc<Object>) -> Result<Option<bool>> {
        let by_attributes = ["SimpleNamespace", "Namespace", "torch.device"];
        if !by_attributes.iter().any(|name| a.class.is_named(name) && b.class.is_named(name)) {
            return Ok(None);
        }
        let of = |object: &Rc<Object>| {
            Value::named(object.attributes.borrow().iter().map(|(name, value)| (name.clone(), value.clone())))
        };
        self.cells(a.attributes.borrow().len() + b.attributes.borrow().len())?;
        let (a, b) = (of(a), of(b));
        self.deeper(|this| this.is_equal(&a, &b)).map(Some)
    }

    /// The fields of something that has named ones, for what `forward` gives: data classes, named tuples.
    pub(crate) fn fields_of(&mut self, value: &Value) -> Result<Option<super::data::Fields>> {
        let Value::Object(object) = value else { return Ok(None) };
        if object.class.find(super::data::FIELDS).is_some() {
            let names = super::data::names(&object.class);
            self.cells(names.len())?;
            return Ok(Some(
                names.into_iter().filter_map(|name| Some((name.clone(), object.get(&name)?))).collect(),
            ));
        }
        let Some(Value::Tuple(names)) = object.class.find("_fields") else { return Ok(None) };
        let items = self.items(value)?;
        let names = names.iter().filter_map(|name| name.as_str().map(Rc::from));
        Ok(Some(names.zip(items).collect()))
    }

    /// The key of a value in a dict where it is equal by its contents: a frozen data class.
    pub(super) fn key_of_fields(&mut self, value: &Value) -> Result<Option<Key>> {
        let Value::Object(object) = value else { return Ok(None) };
        if object.class.find(super::data::FROZEN).is_none() || object.class.find("__hash__").is_some() {
            return Ok(None);
        }
        let Some((class, values)) = self.data_of(value)? else { return Ok(None) };
        let mut keys = vec![Key::Identity(Rc::as_ptr(&class).addr())];
        for value in &values {
            keys.push(self.deeper(|this| this.key(value))?);
        }
        Ok(Some(Key::Tuple(keys)))
    }
}
