//! Data classes, named tuples, and the functions of `dataclasses`.

use std::rc::Rc;

use indexmap::IndexMap;

use super::Interpreter;
use super::call::Args;
use super::fault::{Fault, Result};
use super::methods::natives;
use super::native::{Bound, Native};
use super::value::{Class, NativeClass, Object, Value, Wrapper};

/// Names with values, in order.
pub(crate) type Fields = Vec<(Rc<str>, Value)>;

/// The attribute of a data class that has its fields by name.
pub(super) const FIELDS: &str = "__dataclass_fields__";
/// The attribute of a data class whose objects cannot be changed.
pub(super) const FROZEN: &str = "__dataclass_frozen__";
/// The attribute of a data class whose objects have an order.
const ORDERED: &str = "__dataclass_ordered__";

pub(super) static FUNCTIONS: &[Native] = natives! {
    "dataclasses.dataclass" "cls=None, /, **kwargs" => |i, b| match b.get("cls") {
        Value::Class(class) => {
            let flags = super::rest(i, &Bound { callee: String::new(), values: vec![
                ("args".into(), Value::tuple([])), ("kwargs".into(), b.get("kwargs")),
            ] })?;
            i.make_data_class(&class, &flags.named)?;
            Ok(Value::Class(class))
        }
        _ => {
            let Some(Value::Native(native)) = super::library::function("dataclasses.dataclass") else {
                return Ok(Value::None);
            };
            let named = match b.get("kwargs") {
                Value::Dict(dict) => dict.borrow().entries.values()
                    .filter_map(|(name, value)| Some((Rc::from(name.as_str()?), value.clone()))).collect(),
                _ => vec![],
            };
            let partial = super::value::Partial { callee: Value::Native(native), positional: vec![], named };
            Ok(Value::Partial(Rc::new(partial)))
        }
    },
    "dataclasses.field" "**kwargs" => |i, b| {
        let class = i.class("dataclasses.Field")?;
        let field = i.object(class);
        if let Value::Dict(dict) = b.get("kwargs") {
            for (name, value) in dict.borrow().entries.values() {
                field.set(name.as_str().unwrap_or_default(), value.clone());
            }
        }
        Ok(Value::Object(field))
    },
    "dataclasses.fields" "obj, /" => |i, b| {
        let class = match b.get("obj") {
            Value::Class(class) => class,
            Value::Object(object) => object.class.clone(),
            _ => return Err(b.wrong("obj", "a data class")),
        };
        let Some(Value::Dict(fields)) = class.find(FIELDS) else { return Err(b.wrong("obj", "a data class")) };
        // What only the constructor takes is none.
        let is_field = |field: &Value| !matches!(field, Value::Object(field) if field.get("is_init_var").is_some());
        let fields: Vec<Value> =
            fields.borrow().entries.values().map(|(_, field)| field.clone()).filter(is_field).collect();
        i.cells(fields.len())?;
        Ok(Value::tuple(fields))
    },
    "dataclasses.asdict" "obj, /, *, dict_factory=None" => |i, b| {
        if i.data_of(&b.get("obj"))?.is_none() {
            return Err(b.wrong("obj", "an object of a data class"));
        }
        i.taken_apart(&b.get("obj"), &Apart::Dict(b.get("dict_factory")))
    },
    "dataclasses.astuple" "obj, /" => |i, b| {
        if i.data_of(&b.get("obj"))?.is_none() {
            return Err(b.wrong("obj", "an object of a data class"));
        }
        i.taken_apart(&b.get("obj"), &Apart::Tuple)
    },
    "dataclasses.replace" "obj, /, **changes" => |i, b| {
        let Value::Object(object) = b.get("obj") else { return Err(b.wrong("obj", "an object of a data class")) };
        let mut named = match b.get("changes") {
            Value::Dict(dict) => dict.borrow().entries.values()
                .filter_map(|(name, value)| Some((Rc::from(name.as_str()?), value.clone()))).collect(),
            _ => vec![],
        };
        for (name, field) in i.fields(&object.class)? {
            let is_given = named.iter().any(|(other, _): &(Rc<str>, Value)| *other == name);
            if !is_given && is_set(&field, "init")
                && let Some(value) = object.get(&name)
            {
                named.push((name, value));
            }
        }
        i.call(&Value::Class(object.class.clone()), Args { positional: vec![], named })
    },
    "dataclasses.is_dataclass" "obj, /" => |_, b| Ok(Value::Bool(match b.get("obj") {
        Value::Class(class) => class.find(FIELDS).is_some(),
        Value::Object(object) => object.class.find(FIELDS).is_some(),
        _ => false,
    })),
    "collections.namedtuple" "typename, field_names, *, rename=False, defaults=None, module=None" => |i, b| {
        let names: Vec<Rc<str>> = match b.get("field_names") {
            Value::Str(words) => words.replace(',', " ").split_whitespace().map(Rc::from).collect(),
            list => {
                let items = i.items(&list)?;
                let name = |item: &Value| item.as_str().map(Rc::from).ok_or_else(|| b.wrong("field_names", "strings"));
                items.iter().map(name).collect::<Result<_>>()?
            }
        };
        i.cells(names.len())?;
        let defaults = if b.is_none("defaults") { vec![] } else { i.items(&b.get("defaults"))? };
        let first = names.len().checked_sub(defaults.len()).ok_or_else(|| b.wrong("defaults", "at most as many as fields"))?;
        let defaults = names[first..].iter().cloned().zip(defaults).collect();
        let base = i.class("builtins.tuple")?;
        let ancestors = i.ancestors(&[base])?;
        let class = Rc::new(Class {
            name: b.string("typename")?,
            ancestors,
            attributes: Default::default(),
            native: NativeClass::None,
            unknown_base: None,
        });
        i.cycles.class(&class);
        named_tuple(&class, &names, defaults);
        Ok(Value::Class(class))
    },
};

/// Methods of named tuples.
static OF_TUPLES: &[Native] = natives! {
    "_asdict" "self, /" => |i, b| {
        let fields = i.fields_of(&b.get("self"))?.unwrap_or_default();
        Ok(Value::named(fields))
    },
    "_replace" "self, /, **changes" => |i, b| {
        let Value::Object(object) = b.get("self") else { return Ok(Value::None) };
        let mut changes = super::value::Dict::default();
        i.update_dict(&mut changes, &b.get("changes"))?;
        let mut values = vec![];
        for (name, value) in i.fields_of(&b.get("self"))?.unwrap_or_default() {
            let key = super::value::Key::Str(name);
            values.push(changes.entries.shift_remove(&key).map_or(value, |(_, new)| new));
        }
        if let Some((_, (name, _))) = changes.entries.first() {
            let name = super::format::repr(name);
            return Err(Fault::value(format!("`{}` has no field {name}", object.class.name)));
        }
        let made = Value::Class(object.class.clone());
        i.call_method(&made, "_make", Args::of([Value::tuple(values)]))
    },
    "_make" "cls, iterable, /" => |i, b| {
        let Value::Class(class) = b.get("cls") else { return Err(b.wrong("cls", "a class")) };
        let values = i.items(&b.get("iterable"))?;
        i.allocate(&class, Args::of(values)).map(Value::Object)
    },
};

/// How `asdict` and `astuple` write a data class.
enum Apart {
    Dict(Value),
    Tuple,
}

/// Makes a class one of named tuples.
fn named_tuple(class: &Rc<Class>, names: &[Rc<str>], defaults: Vec<(Rc<str>, Value)>) {
    let mut attributes = class.attributes.borrow_mut();
    for (name, _) in &defaults {
        attributes.shift_remove(name);
    }
    let listed = Value::tuple(names.iter().cloned().map(Value::Str));
    attributes.insert("_fields".into(), listed.clone());
    attributes.insert("__match_args__".into(), listed);
    attributes.insert("_field_defaults".into(), Value::named(defaults));
    for native in OF_TUPLES {
        let value = Value::Native(native);
        let value =
            if native.name == "_make" { Value::Wrapped(Wrapper::Class, Rc::new(value)) } else { value };
        attributes.insert(native.name.into(), value);
    }
}

/// The names of the fields of a data class.
pub(super) fn names(class: &Rc<Class>) -> Vec<Rc<str>> {
    match class.find(FIELDS) {
        Some(Value::Dict(fields)) => {
            fields.borrow().entries.values().filter_map(|(name, _)| name.as_str().map(Rc::from)).collect()
        }
        _ => vec![],
    }
}

/// Whether a field takes part in something; it does unless it is said not to.
fn is_set(field: &Rc<Object>, what: &str) -> bool {
    !matches!(field.get(what), Some(Value::Bool(false)))
}

impl Interpreter {
    /// `class Sizes(NamedTuple):` with annotated names.
    pub(super) fn make_named_tuple(&mut self, class: &Rc<Class>) -> Result<()> {
        let annotations = class.attributes.borrow().get(super::class::ANNOTATIONS).cloned();
        let names: Vec<Rc<str>> = match annotations {
            Some(annotations) => {
                self.items(&annotations)?.iter().filter_map(|n| n.as_str().map(Rc::from)).collect()
            }
            None => vec![],
        };
        let own = class.attributes.borrow().clone();
        let defaults = names.iter().filter_map(|name| Some((name.clone(), own.get(name)?.clone()))).collect();
        named_tuple(class, &names, defaults);
        Ok(())
    }

    /// The values of a named tuple by the arguments of its constructor.
    pub(super) fn fill_named_tuple(&mut self, object: &Rc<Object>, args: Args) -> Result<()> {
        let class = object.class.clone();
        let Some(Value::Tuple(names)) = class.find("_fields") else { return Ok(()) };
        let wrong = |what: String| Fault::type_error(format!("`{}` {what}", class.name));
        let names: Vec<Rc<str>> = names.iter().filter_map(|name| name.as_str().map(Rc::from)).collect();
        self.step((names.len() * (args.named.len() + 1)) as u64 / 8)?;
        self.cells(names.len() + 1)?;
        if args.positional.len() > names.len() {
            return Err(wrong(format!("takes {} arguments", names.len())));
        }
        if let Some((name, _)) = args.named.iter().find(|(name, _)| !names.contains(name)) {
            return Err(wrong(format!("has no field `{name}`")));
        }
        let defaults = match class.find("_field_defaults") {
            Some(Value::Dict(defaults)) => defaults,
            _ => Rc::default(),
        };
        let mut positional = args.positional.into_iter();
        let mut values = vec![];
        for name in &names {
            let by_name = args.named.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            let value = positional.next().or(by_name).or_else(|| defaults.borrow().named(name));
            values.push(value.ok_or_else(|| wrong(format!("needs `{name}`")))?);
        }
        for (name, value) in names.iter().zip(&values) {
            object.set(name, value.clone());
        }
        let _ = object.contents.set(Value::tuple(values));
        Ok(())
    }

    /// The fields of a data class.
    fn fields(&mut self, class: &Rc<Class>) -> Result<Vec<(Rc<str>, Rc<Object>)>> {
        let Some(Value::Dict(fields)) = class.find(FIELDS) else { return Ok(vec![]) };
        let fields = fields.borrow();
        self.cells(fields.entries.len())?;
        let field = |(name, field): &(Value, Value)| match field {
            Value::Object(field) => Some((Rc::from(name.as_str()?), field.clone())),
            _ => None,
        };
        Ok(fields.entries.values().filter_map(field).collect())
    }

    /// What `@dataclass` does to a class: its annotated names are fields, behind those of its ancestors.
    fn make_data_class(&mut self, class: &Rc<Class>, flags: &[(Rc<str>, Value)]) -> Result<()> {
        let mut is_on = |name: &str| match flags.iter().find(|(other, _)| &**other == name) {
            Some((_, value)) => self.truth(value),
            None => Ok(false),
        };
        let (frozen, ordered, mut by_name) = (is_on("frozen")?, is_on("order")?, is_on("kw_only")?);
        let mut fields: IndexMap<Rc<str>, Value> = IndexMap::new();
        for base in class.ancestors.iter().rev() {
            if base.attributes.borrow().contains_key(FIELDS) {
                let inherited = self.fields(base)?;
                fields.extend(inherited.into_iter().map(|(name, field)| (name, Value::Object(field))));
            }
        }
        let annotations = class.attributes.borrow().get(super::class::ANNOTATIONS).cloned();
        let Some(Value::Dict(annotations)) = annotations else { return Ok(()) };
        let own: Vec<(Value, Value)> = annotations.borrow().entries.values().cloned().collect();
        for (name, words) in own {
            let (Some(name), Some(words)) = (name.as_str(), words.as_str()) else { continue };
            let kind =
                words.split('[').next().unwrap_or_default().rsplit('.').next().unwrap_or_default().trim();
            match kind {
                "ClassVar" => continue,
                "KW_ONLY" => {
                    by_name = true;
                    continue;
                }
                _ => {}
            }
            let given = class.attributes.borrow().get(name).cloned();
            let field = match given {
                Some(Value::Object(field)) if field.class.is_named("Field") => {
                    let mut attributes = class.attributes.borrow_mut();
                    match field.get("default") {
                        Some(default) => drop(attributes.insert(name.into(), default)),
                        None => drop(attributes.shift_remove(name)),
                    }
                    field
                }
                given => {
                    let kind = self.class("dataclasses.Field")?;
                    let field = self.object(kind);
                    match given {
                        Some(Value::List(_) | Value::Dict(_) | Value::Set(_)) => {
                            return Err(Fault::value(format!(
                                "the default of the field `{name}` would be shared by all objects of `{}`",
                                class.name
                            ))
                            .help("`field(default_factory=list)` makes a new one for each"));
                        }
                        Some(default) => field.set("default", default),
                        None => {}
                    }
                    field
                }
            };
            field.set("name", Value::str(name));
            field.set("type", Value::str(words));
            if kind == "InitVar" {
                field.set("is_init_var", Value::Bool(true));
            }
            if by_name && field.get("kw_only").is_none() {
                field.set("kw_only", Value::Bool(true));
            }
            fields.insert(name.into(), Value::Object(field));
        }
        let mut attributes = class.attributes.borrow_mut();
        let names = Value::tuple(fields.keys().cloned().map(Value::Str));
        attributes.entry("__match_args__".into()).or_insert(names);
        attributes.insert(FIELDS.into(), Value::named(fields));
        for (flag, is_on) in [(FROZEN, frozen), (ORDERED, ordered)] {
            if is_on {
                attributes.insert(flag.into(), Value::Bool(true));
            }
        }
        Ok(())
    }

    /// The class and the values that objects of a data class are compared by.
    pub(crate) fn data_of(&mut self, value: &Value) -> Result<Option<(Rc<Class>, Vec<Value>)>> {
        let Value::Object(object) = value else { return Ok(None) };
        if object.class.find(FIELDS).is_none() {
            return Ok(None);
        }
        let fields = self.fields(&object.class)?;
        let compared = fields.iter().filter(|(_, field)| is_set(field, "compare"));
        let values = compared.map(|(name, _)| object.get(name).unwrap_or(Value::None)).collect();
        Ok(Some((object.class.clone(), values)))
    }

    /// The same of classes that have an order.
    pub(super) fn ordered_data(&mut self, value: &Value) -> Result<Option<(Rc<Class>, Vec<Value>)>> {
        match value {
            Value::Object(object) if object.class.find(ORDERED).is_some() => self.data_of(value),
            _ => Ok(None),
        }
    }

    /// The fields that `repr` shows of an object of a data class.
    pub(super) fn shown_fields(&mut self, value: &Value) -> Result<Option<Fields>> {
        let Value::Object(object) = value else { return Ok(None) };
        if object.class.find(FIELDS).is_none() {
            return Ok(None);
        }
        let fields = self.fields(&object.class)?.into_iter().filter(|(_, field)| is_set(field, "repr"));
        Ok(Some(fields.filter_map(|(name, _)| Some((name.clone(), object.get(&name)?))).collect()))
    }

    /// The constructor of a data class.
    pub(super) fn init_data(&mut self, object: &Rc<Object>, class: &Rc<Class>, args: Args) -> Result<()> {
        let fields = self.fields(class)?;
        let looked_up = fields.len().saturating_mul(args.named.len() + 1) / 16;
        self.step((fields.len() + looked_up) as u64)?;
        let wrong = |what: &str| Fault::type_error(format!("`{}` {what}", class.name));
        let taken: Vec<_> = fields.iter().filter(|(_, field)| is_set(field, "init")).collect();
        let by_place = |field: &Rc<Object>| !matches!(field.get("kw_only"), Some(Value::Bool(true)));
        let places: Vec<Rc<str>> =
            taken.iter().filter(|(_, field)| by_place(field)).map(|(name, _)| name.clone()).collect();
        if args.positional.len() > places.len() {
            return Err(wrong(&format!("takes {} arguments", places.len())));
        }
        let mut given: IndexMap<Rc<str>, Value> = places.into_iter().zip(args.positional).collect();
        for (name, value) in args.named {
            if !taken.iter().any(|(other, _)| *other == name) {
                return Err(wrong(&format!("has no argument `{name}`")));
            }
            if given.insert(name.clone(), value).is_some() {
                return Err(wrong(&format!("is given `{name}` twice")));
            }
        }
        let mut only_for_init = vec![];
        for (name, field) in &fields {
            let value = match (given.shift_remove(name), field.get("default"), field.get("default_factory")) {
                (Some(value), ..) | (None, Some(value), _) => value,
                (None, None, Some(factory)) => self.call(&factory, Args::default())?,
                (None, None, None) if is_set(field, "init") => return Err(wrong(&format!("needs `{name}`"))),
                (None, None, None) => continue,
            };
            if field.get("is_init_var").is_some() {
                only_for_init.push(value);
                continue;
            }
            // A field may be a module, in a data class that is one.
            if object.class.is_module() {
                self.set_module_attribute(object, name, value)?;
            } else if let Some(Value::Property(_)) = class.find(name) {
                self.set_attribute(&Value::Object(object.clone()), name, value)?;
            } else {
                object.set(name, value);
            }
        }
        match class.find("__post_init__") {
            Some(method) => {
                let method = Value::Method(Rc::new((method, Value::Object(object.clone()))));
                self.call(&method, Args::of(only_for_init)).map(drop)
            }
            None => Ok(()),
        }
    }

    /// A data class as a dict or tuple, and so all that is in it.
    fn taken_apart(&mut self, value: &Value, how: &Apart) -> Result<Value> {
        self.cells(1)?;
        let inner = |this: &mut Self, value: &Value| this.deeper_call(|this| this.taken_apart(value, how));
        if let Value::Object(object) = value {
            let is_data = object.class.find(FIELDS).is_some();
            if is_data {
                let mut named = vec![];
                for (name, value) in self.fields_of(value)?.unwrap_or_default() {
                    named.push((name, inner(self, &value)?));
                }
                return match how {
                    Apart::Tuple => Ok(Value::tuple(named.into_iter().map(|(_, value)| value))),
                    Apart::Dict(Value::None) => Ok(Value::named(named)),
                    Apart::Dict(factory) => {
                        let pairs =
                            named.into_iter().map(|(name, value)| Value::tuple([Value::Str(name), value]));
                        self.call(factory, Args::of([Value::list(pairs)]))
                    }
                };
            }
            if object.class.find("_fields").is_some() {
                let mut values = vec![];
                for value in self.items(value)? {
                    values.push(inner(self, &value)?);
                }
                let class = Value::Class(object.class.clone());
                return self.call_method(&class, "_make", Args::of([Value::tuple(values)]));
            }
        }
        match value {
            Value::List(_) | Value::Tuple(_) => {
                let mut values = vec![];
                for value in self.items(value)? {
                    values.push(inner(self, &value)?);
                }
                Ok(if matches!(value, Value::List(_)) { Value::list(values) } else { Value::tuple(values) })
            }
            Value::Dict(dict) => {
                let mut entries = dict.borrow().entries.clone();
                for (_, value) in entries.values_mut() {
                    *value = inner(self, value)?;
                }
                Ok(Value::Dict(Rc::new(super::value::Dict::of(entries).into())))
            }
            other => self.deep_copy(other),
        }
    }
}
