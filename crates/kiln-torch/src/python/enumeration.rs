//! `Enum` and the classes that derive from it.

use std::rc::Rc;

use indexmap::IndexMap;

use super::Interpreter;
use super::call::Args;
use super::fault::{Fault, Result};
use super::value::{Class, Dict, Key, NativeClass, Object, Value};

/// The attribute of an enumeration that has its members by name.
pub(super) const MEMBERS: &str = "__members__";

/// Whether a class is an enumeration, or what they derive from.
pub(super) fn is_enum(class: &Rc<Class>) -> bool {
    class.is_named("Enum")
}

impl Interpreter {
    /// Makes members of what the body of an enumeration assigns.
    pub(super) fn make_members(&mut self, class: &Rc<Class>) -> Result<()> {
        let body = class.attributes.borrow().clone();
        self.cells(body.len())?;
        let (mut members, mut values): (IndexMap<Rc<str>, Value>, Vec<Value>) = (IndexMap::new(), vec![]);
        for (name, value) in body {
            // Functions, properties and names with underscores around them are no members.
            let is_special = name.starts_with("__") || name.starts_with('_') && name.ends_with('_');
            let is_member = match &value {
                Value::Function(_)
                | Value::Property(_)
                | Value::Wrapped(..)
                | Value::Method(_)
                | Value::Native(_) => false,
                Value::Object(object) => object.class.find("__get__").is_none(),
                _ => true,
            };
            if is_special || !is_member {
                continue;
            }
            let value = match value {
                Value::Object(object) if object.class.is_named("auto") => {
                    self.next_value(class, &name, &values)?
                }
                value => value,
            };
            let member = self.member_of(class, &name, value.clone(), &members)?;
            if let Value::Object(object) = &member {
                values.push(object.get("_value_").unwrap_or(value));
            }
            members.insert(name.clone(), member.clone());
            class.attributes.borrow_mut().insert(name, member);
        }
        if !members.is_empty() || class.find(MEMBERS).is_none() {
            class.attributes.borrow_mut().insert(MEMBERS.into(), Value::named(members));
        }
        Ok(())
    }

    /// What `auto()` stands for.
    fn next_value(&mut self, class: &Rc<Class>, name: &Rc<str>, before: &[Value]) -> Result<Value> {
        if let Some(hook) = class.find("_generate_next_value_") {
            let hook = if let Value::Wrapped(_, inner) = hook { (*inner).clone() } else { hook };
            let count = Value::Int(i64::try_from(before.len()).unwrap_or(i64::MAX));
            let args = [Value::Str(name.clone()), Value::Int(1), count, Value::list(before.to_vec())];
            self.cells(before.len())?;
            return self.call(&hook, Args::of(args));
        }
        if class.is_named("StrEnum") {
            return Ok(Value::str(name.to_lowercase()));
        }
        let last = before.iter().rev().find_map(Value::as_int);
        Ok(Value::Int(last.map_or(1, |last| last.saturating_add(1))))
    }

    /// A new member, or the one that has the value already.
    fn member_of(
        &mut self,
        class: &Rc<Class>,
        name: &Rc<str>,
        value: Value,
        members: &IndexMap<Rc<str>, Value>,
    ) -> Result<Value> {
        let args = match &value {
            Value::Tuple(items) => Args::of(items.iter().cloned()),
            one => Args::of([one.clone()]),
        };
        let own = |name: &str| class.find(name).filter(|found| !matches!(found, Value::Native(_)));
        let object = match own("__new__") {
            Some(new) => {
                let new = if let Value::Wrapped(_, inner) = new { (*inner).clone() } else { new };
                let mut all = args.clone();
                all.positional.insert(0, Value::Class(class.clone()));
                match self.call(&new, all)? {
                    Value::Object(object) => object,
                    other => {
                        return Err(Fault::type_error(format!("`__new__` gives a {}", other.type_name())));
                    }
                }
            }
            None if class.builtin().is_some() => self.allocate(class, args.clone())?,
            None => self.object(class.clone()),
        };
        let value = match (object.get("_value_"), object.contents.get()) {
            (Some(value), _) => value,
            (None, Some(contents)) if !matches!(value, Value::Tuple(_)) => contents.clone(),
            (None, _) => value,
        };
        for member in members.values() {
            self.step(1)?;
            if let Value::Object(other) = member
                && let Some(known) = other.get("_value_")
                && self.is_equal(&known, &value)?
            {
                return Ok(member.clone());
            }
        }
        let named = Value::Str(name.clone());
        for (attribute, value) in
            [("_name_", named.clone()), ("_value_", value.clone()), ("name", named), ("value", value)]
        {
            object.set(attribute, value);
        }
        if let Some(init) = own("__init__") {
            let init = Value::Method(Rc::new((init, Value::Object(object.clone()))));
            self.call(&init, args)?;
        }
        Ok(Value::Object(object))
    }

    /// The members of an enumeration, each once.
    pub(super) fn members_of(&mut self, class: &Rc<Class>) -> Result<Vec<Value>> {
        let Some(Value::Dict(members)) = class.find(MEMBERS) else { return Ok(vec![]) };
        let mut listed: IndexMap<usize, Value> = IndexMap::new();
        for (_, member) in members.borrow().entries.values() {
            listed.entry(member.identity().unwrap_or(0)).or_insert_with(|| member.clone());
        }
        self.cells(listed.len())?;
        Ok(listed.into_values().collect())
    }

    /// `Color(1)`: the member that has the value; `Enum('Color', 'RED GREEN')`: a new enumeration.
    pub(super) fn call_enum(&mut self, class: &Rc<Class>, args: Args) -> Result<Value> {
        if class.find(MEMBERS).is_none() {
            return self.new_enum(class, args);
        }
        let [value] = &args.positional[..] else {
            return Err(Fault::type_error(format!("`{}` takes the value of a member", class.name)));
        };
        for member in self.members_of(class)? {
            let known = if let Value::Object(object) = &member { object.get("_value_") } else { None };
            if self.is_same(&member, value)
                || known.is_some_and(|known| self.is_equal(&known, value).unwrap_or(false))
            {
                return Ok(member);
            }
        }
        if class.find("_missing_").is_some() {
            let found = self.call_method(&Value::Class(class.clone()), "_missing_", args.clone())?;
            if !matches!(found, Value::None) {
                return Ok(found);
            }
        }
        let shown = self.repr_of(value)?;
        let fault = Fault::value(format!("{shown} is not a valid {}", class.name));
        let known: Vec<String> = self
            .members_of(class)?
            .iter()
            .take(12)
            .filter_map(|member| match member {
                Value::Object(object) => object.get("_value_").map(|value| super::format::repr(&value)),
                _ => None,
            })
            .collect();
        Err(fault.help(format!("it has {}", known.join(", "))))
    }

    fn new_enum(&mut self, base: &Rc<Class>, args: Args) -> Result<Value> {
        let mut given = args.positional.into_iter();
        let (Some(Value::Str(name)), Some(names)) = (given.next(), given.next()) else {
            return Err(Fault::type_error(format!("`{}` takes a name and the names of members", base.name)));
        };
        let names = match &names {
            Value::Str(words) => words.replace(',', " ").split_whitespace().map(Value::str).collect(),
            Value::Dict(_) => {
                let pairs = self.call_method(&names, "items", Args::default())?;
                self.items(&pairs)?
            }
            other => self.items(other)?,
        };
        let mut attributes = IndexMap::new();
        for (place, item) in names.into_iter().enumerate() {
            let (name, value) = match &item {
                Value::Tuple(pair) if pair.len() == 2 => (pair[0].clone(), pair[1].clone()),
                name => (name.clone(), Value::Int(i64::try_from(place + 1).unwrap_or(i64::MAX))),
            };
            let name = name.as_str().ok_or_else(|| Fault::type_error("names of members are strings"))?;
            attributes.insert(Rc::from(name), value);
        }
        let ancestors = self.ancestors(std::slice::from_ref(base))?;
        let class = Rc::new(Class {
            name,
            ancestors,
            attributes: attributes.into(),
            native: NativeClass::None,
            unknown_base: None,
        });
        self.cycles.class(&class);
        self.make_members(&class)?;
        Ok(Value::Class(class))
    }

    /// `Color['RED']`
    pub(super) fn member_named(&mut self, class: &Rc<Class>, key: &Value) -> Result<Value> {
        let members = match class.find(MEMBERS) {
            Some(Value::Dict(members)) => members,
            _ => Rc::new(Dict::default().into()),
        };
        let found = key.as_str().and_then(|name| members.borrow().named(name));
        found.ok_or_else(|| {
            let shown = super::format::repr(key);
            let names: Vec<String> = members
                .borrow()
                .entries
                .keys()
                .take(12)
                .filter_map(|key| match key {
                    Key::Str(name) => Some(format!("'{name}'")),
                    _ => None,
                })
                .collect();
            Fault::python("KeyError", format!("`{}` has no member {shown}", class.name))
                .help(format!("it has {}", names.join(", ")))
        })
    }

    /// `str(member)` and `repr(member)`
    pub(super) fn member_text(&mut self, object: &Rc<Object>, is_repr: bool) -> Result<Option<String>> {
        if !is_enum(&object.class) {
            return Ok(None);
        }
        let (Some(name), Some(value)) = (object.get("_name_"), object.get("_value_")) else {
            return Ok(None);
        };
        let name = name.as_str().unwrap_or_default().to_owned();
        if is_repr {
            let value = self.deeper(|this| this.repr_of(&value))?;
            return Ok(Some(format!("<{}.{name}: {value}>", object.class.name)));
        }
        let is_plain = object.class.is_named("IntEnum") || object.class.is_named("StrEnum");
        match object.contents.get() {
            Some(contents) if is_plain => self.string_of(&contents.clone()).map(Some),
            _ => Ok(Some(format!("{}.{name}", object.class.name))),
        }
    }
}
