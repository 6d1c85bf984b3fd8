//! Modules that hold modules: `nn.Sequential`, `nn.ModuleList`, `nn.ModuleDict`, `nn.ParameterList`, `nn.DataParallel`.

use std::rc::Rc;

use crate::python::value::{Class, Container, NativeClass};
use crate::python::{Args, Bound, Fault, Interpreter, Object, Result, Value};

/// Names and modules of a dict.
pub(super) fn pairs(i: &mut Interpreter, of: &Value, keys: Vec<Value>) -> Result<Vec<(Rc<str>, Value)>> {
    let mut pairs = vec![];
    for key in keys {
        let Value::Str(name) = &key else { return Err(Fault::type_error("names of modules are strings")) };
        pairs.push((name.clone(), i.item(of, &key)?));
    }
    Ok(pairs)
}

/// `ModuleList.append(module)`
pub(super) fn append(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let object = b.object("self")?;
    i.push(&object, b.get("module"))?;
    Ok(b.get("self"))
}

/// `ModuleList.extend(modules)`
pub(super) fn extend(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let object = b.object("self")?;
    for module in i.items(&b.get("modules"))? {
        i.push(&object, module)?;
    }
    Ok(b.get("self"))
}

/// `ModuleList.insert(index, module)`
pub(super) fn insert(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let object = b.object("self")?;
    i.crowd(&object)?;
    let mut members = i.members(&object);
    let length = i64::try_from(members.len()).unwrap_or(i64::MAX);
    let index = b.int("index")?;
    let index = (if index < 0 { index.saturating_add(length) } else { index }).clamp(0, length);
    members.insert(usize::try_from(index).unwrap_or(0), b.get("module"));
    object.attributes.borrow_mut().clear();
    for member in members {
        i.push(&object, member)?;
    }
    Ok(b.get("self"))
}

impl Interpreter {
    /// Counts what it takes to go through the attributes of a module.
    pub(crate) fn crowd(&mut self, object: &Rc<Object>) -> Result<()> {
        self.step(object.attributes.borrow().len() as u64 / 8)
    }

    /// The contents of a container, in order.
    pub(crate) fn members(&mut self, object: &Rc<Object>) -> Vec<Value> {
        let wanted = |value: &Value| value.as_module().is_some() || matches!(value, Value::Parameter(_));
        object.attributes.borrow().values().filter(|value| wanted(value)).cloned().collect()
    }

    /// The same with their names.
    pub(crate) fn named_members(&mut self, object: &Rc<Object>) -> Vec<(Rc<str>, Value)> {
        let wanted = |value: &Value| value.as_module().is_some() || matches!(value, Value::Parameter(_));
        let attributes = object.attributes.borrow();
        attributes.iter().filter(|(_, value)| wanted(value)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    fn push(&mut self, object: &Rc<Object>, member: Value) -> Result<()> {
        self.cells(1)?;
        let count = self.members(object).len();
        self.step(u64::try_from(count).unwrap_or(u64::MAX) / 16)?;
        self.place(object, &count.to_string(), member)
    }

    fn place(&mut self, object: &Rc<Object>, name: &str, member: Value) -> Result<()> {
        let is_list = matches!(
            object.class.native(),
            NativeClass::Container(Container::ParameterList | Container::ParameterDict)
        );
        // Tensors become parameters there.
        let member = match member {
            Value::Tensor(id) if is_list => self.parameter_of(id.get(), false)?,
            other => other,
        };
        match &member {
            Value::Parameter(_) if is_list => {}
            Value::Object(module) if module.class.is_module() && !is_list => {}
            Value::Failed(fault) => return Err((**fault).clone()),
            Value::Opaque(opaque) => return Err(crate::python::unknown(opaque)),
            other => {
                let fault = Fault::type_error(format!(
                    "`{}` holds {}, but is given a {}",
                    object.class.name,
                    if is_list { "parameters" } else { "modules" },
                    if matches!(other, Value::Class(_)) { "class".into() } else { other.type_name() },
                ));
                return Err(match other {
                    Value::Class(class) => {
                        fault.help(format!("`{}()` makes a module of the class", class.name))
                    }
                    Value::Function(_) | Value::Native(_) => fault
                        .help("functions belong in `forward`; there is a module for most, as `nn.ReLU()`"),
                    Value::List(_) => fault.help(format!(
                        "`{}(*layers)`, with a star, gives the elements of a list one by one",
                        object.class.name
                    )),
                    _ => fault,
                });
            }
        }
        self.set_module_attribute(object, name, member)
    }

    /// The constructors.
    pub(crate) fn init_container(&mut self, object: &Rc<Object>, kind: Container, args: Args) -> Result<()> {
        if let Container::Wrapper(place) = kind {
            return self.init_wrapper(object, place, args);
        }
        if let Some((name, _)) =
            args.named.first().filter(|(name, _)| !matches!(&**name, "modules" | "parameters"))
        {
            return Err(Fault::type_error(format!("`{}` has no argument `{name}`", object.class.name)));
        }
        let mut given = args.positional;
        given.extend(args.named.into_iter().map(|(_, value)| value));
        match kind {
            Container::Wrapper(_) => Ok(()),
            Container::Sequential => match &given[..] {
                [dict] if matches!(dict.plain(), Value::Dict(_)) => self.init_named(object, dict),
                _ => given.into_iter().try_for_each(|module| self.push(object, module)),
            },
            Container::ModuleList | Container::ParameterList => match &given[..] {
                [] | [Value::None] => Ok(()),
                [modules] => {
                    let modules = self.items(modules).map_err(|fault| {
                        fault.help(format!("`{}` takes a list: `[a, b]`", object.class.name))
                    })?;
                    modules.into_iter().try_for_each(|module| self.push(object, module))
                }
                _ => Err(Fault::type_error(format!("`{}` takes one list", object.class.name))
                    .help(format!("`{}([a, b])`, with brackets", object.class.name))),
            },
            Container::ModuleDict | Container::ParameterDict => match &given[..] {
                [] | [Value::None] => Ok(()),
                [dict] => self.init_named(object, dict),
                _ => Err(Fault::type_error("`nn.ModuleDict` takes one dict")),
            },
        }
    }

    /// `nn.DataParallel(module)`: what else is said is about devices.
    fn init_wrapper(&mut self, object: &Rc<Object>, place: &str, args: Args) -> Result<()> {
        let named = args.named.into_iter().find(|(name, _)| matches!(&**name, "module" | "model"));
        let module = args.positional.into_iter().next().or(named.map(|(_, value)| value));
        match module {
            Some(module) if module.as_module().is_some() => self.set_module_attribute(object, place, module),
            _ => Err(Fault::type_error(format!("`{}` takes a module", object.class.name))),
        }
    }

    fn init_named(&mut self, object: &Rc<Object>, dict: &Value) -> Result<()> {
        let as_dict = self.class("builtins.dict")?;
        let dict = self.call(&Value::Class(as_dict), Args::of([dict.clone()]))?;
        let keys = self.items(&dict)?;
        for (name, module) in pairs(self, &dict, keys)? {
            self.place(object, &name, module)?;
        }
        Ok(())
    }

    /// `container[key]`
    pub(crate) fn module_item(&mut self, object: &Rc<Object>, key: &Value) -> Result<Value> {
        let NativeClass::Container(kind) = object.class.native() else {
            return Err(Fault::type_error(format!("`{}` has no elements to index", object.class.name)));
        };
        if matches!(kind, Container::ModuleDict | Container::ParameterDict) {
            let name = key.as_str().ok_or_else(|| Fault::type_error("names of modules are strings"))?;
            if object.get(name).is_none() {
                self.crowd(object)?;
            }
            return object.get(name).ok_or_else(|| {
                let names: Vec<String> =
                    self.named_members(object).iter().take(12).map(|(name, _)| format!("'{name}'")).collect();
                let what = if kind == Container::ModuleDict { "module" } else { "parameter" };
                Fault::python("KeyError", format!("there is no {what} '{name}'"))
                    .help(format!("there are {}", names.join(", ")))
            });
        }
        self.crowd(object)?;
        let members = self.members(object);
        if let Value::Slice(slice) = key {
            // The same kind of container, numbered anew. Its members keep the names under which the model knows them.
            let taken = self.sliced(&members, slice)?;
            let part = {
                let class = self.container_class(kind)?;
                self.object(class)
            };
            part.is_initialized.set(true);
            for (number, member) in taken.into_iter().enumerate() {
                part.set(&number.to_string(), member);
            }
            return Ok(Value::Object(part));
        }
        self.item(&Value::list(members), key)
    }

    fn container_class(&mut self, kind: Container) -> Result<Rc<Class>> {
        self.class(match kind {
            Container::Sequential => "torch.nn.Sequential",
            Container::ModuleList => "torch.nn.ModuleList",
            Container::ModuleDict => "torch.nn.ModuleDict",
            Container::ParameterList => "torch.nn.ParameterList",
            Container::ParameterDict => "torch.nn.ParameterDict",
            Container::Wrapper(_) => "torch.nn.DataParallel",
        })
    }

    /// `container[key] = module`
    pub(crate) fn set_module_item(&mut self, object: &Rc<Object>, key: &Value, value: Value) -> Result<()> {
        let name = self.member_name(object, key)?;
        self.place(object, &name, value)
    }

    /// `del container[key]`
    pub(crate) fn delete_module_item(&mut self, object: &Rc<Object>, key: &Value) -> Result<()> {
        let name = self.member_name(object, key)?;
        object.attributes.borrow_mut().shift_remove(&*name);
        let is_list = matches!(
            object.class.native(),
            NativeClass::Container(Container::ModuleList | Container::Sequential)
        );
        if is_list && key.as_int().is_some() {
            let members = self.members(object);
            object.attributes.borrow_mut().clear();
            members.into_iter().try_for_each(|member| self.push(object, member))?;
        }
        Ok(())
    }

    fn member_name(&mut self, object: &Rc<Object>, key: &Value) -> Result<Rc<str>> {
        self.crowd(object)?;
        match (object.class.native(), key) {
            (NativeClass::Container(Container::ModuleDict | Container::ParameterDict), Value::Str(name)) => {
                Ok(name.clone())
            }
            (NativeClass::Container(_), key) if key.as_int().is_some() => {
                let names: Vec<Rc<str>> = object.attributes.borrow().keys().cloned().collect();
                let at = crate::python::position(key, names.len(), "container")?;
                Ok(names[at].clone())
            }
            _ => Err(Fault::type_error(format!("`{}` has no such element", object.class.name))),
        }
    }
}
