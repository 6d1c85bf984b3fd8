//! Python's own functions and types.

use std::rc::Rc;

use super::Interpreter;
use super::call::Args;
use super::fault::{Fault, Result};
use super::methods::natives;
use super::native::{Bound, Native};
use super::value::{Class, Dict, NativeClass, Property, Value, Wrapper};

/// Functions, and types that are called like functions.
static FUNCTIONS: &[Native] = natives! {
    "builtins.len" "obj, /" => |i, b| match b.get("obj") {
        tensor @ (Value::Tensor(_) | Value::Parameter(_)) => {
            let shape = i.call_method(&tensor, "size", Args::default())?;
            i.item(&shape, &Value::Int(0))
        }
        other => {
            let length = i.length(&other)?;
            Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
        }
    },
    "builtins.range" "start, stop=None, step=1, /" => range,
    "builtins.slice" "*parts" => |i, b| {
        let parts = match &i.items(&b.get("parts"))?[..] {
            [stop] => [Value::None, stop.clone(), Value::None],
            [start, stop] => [start.clone(), stop.clone(), Value::None],
            [start, stop, step] => [start.clone(), stop.clone(), step.clone()],
            _ => return Err(b.wrong("parts", "one to three integers")),
        };
        Ok(Value::Slice(Rc::new(parts)))
    },
    "builtins.print" "*args, **kwargs" => |_, _| Ok(Value::None),
    "builtins.enumerate" "iterable, start=0" => |i, b| {
        let start = b.int("start")?;
        let items = i.items(&b.get("iterable"))?;
        i.cells(items.len().saturating_mul(2))?;
        let last = i64::try_from(items.len()).ok().and_then(|count| start.checked_add(count));
        let last = last.ok_or_else(|| b.wrong("start", "smaller"))?;
        let pairs = (start..last).zip(items).map(|(at, item)| Value::tuple([Value::Int(at), item]));
        Ok(Value::iterator(pairs.collect()))
    },
    "builtins.zip" "*iterables, strict=False" => |i, b| {
        let mut lists = vec![];
        for iterable in i.items(&b.get("iterables"))? {
            lists.push(i.items(&iterable)?.into_iter());
        }
        let mut rows = vec![];
        while !lists.is_empty() {
            let row: Vec<Option<Value>> = lists.iter_mut().map(Iterator::next).collect();
            let count = row.iter().flatten().count();
            if count < row.len() {
                if count > 0 && b.bool("strict")? {
                    return Err(Fault::value("`zip(strict=True)`: the arguments differ in length"));
                }
                break;
            }
            let row: Vec<Value> = row.into_iter().flatten().collect();
            i.cells(row.len())?;
            rows.push(Value::tuple(row));
        }
        Ok(Value::iterator(rows))
    },
    "builtins.map" "function, iterable, /, *more" => |i, b| {
        let mut columns = vec![i.items(&b.get("iterable"))?.into_iter()];
        for more in i.items(&b.get("more"))? {
            columns.push(i.items(&more)?.into_iter());
        }
        let mut out = vec![];
        while let Some(row) = columns.iter_mut().map(Iterator::next).collect::<Option<Vec<Value>>>() {
            out.push(i.call(&b.get("function"), Args::of(row))?);
        }
        Ok(Value::iterator(out))
    },
    "builtins.filter" "function, iterable, /" => |i, b| {
        let mut out = vec![];
        for item in i.items(&b.get("iterable"))? {
            let kept = match b.get("function") {
                Value::None => item.clone(),
                function => i.call(&function, Args::of([item.clone()]))?,
            };
            if i.truth(&kept)? {
                out.push(item);
            }
        }
        Ok(Value::iterator(out))
    },
    "builtins.reversed" "items, /" => |i, b| {
        let mut items = i.items(&b.get("items"))?;
        items.reverse();
        Ok(Value::iterator(items))
    },
    "builtins.sorted" "items, /, *, key=None, reverse=False" => |i, b| {
        let items = i.items(&b.get("items"))?;
        Ok(Value::list(i.sorted(items, &b.get("key"), b.bool("reverse")?)?))
    },
    "builtins.ord" "c, /" => |_, b| {
        let text = b.string("c")?;
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some(c), None) => Ok(Value::Int(i64::from(u32::from(c)))),
            _ => Err(b.wrong("c", "one character")),
        }
    },
    "builtins.chr" "i, /" => |_, b| {
        let code = u32::try_from(b.int("i")?).ok().and_then(char::from_u32);
        code.map(|c| Value::str(c.to_string())).ok_or_else(|| b.wrong("i", "the number of a character"))
    },
    "builtins.format" "value, spec='', /" => |i, b| {
        let text = i.formatted(&b.get("value"), &b.string("spec")?)?;
        i.cells(text.len())?;
        Ok(Value::str(text))
    },
    "builtins.iter" "items, /" => |i, b| match b.get("items") {
        // Two names of one iterator go on together.
        same @ Value::Iterator(_) => Ok(same),
        Value::Object(object) if object.class.find("__iter__").is_some() => {
            i.call_method(&Value::Object(object), "__iter__", Args::default())
        }
        other => Ok(Value::iterator(i.items(&other)?)),
    },
    "builtins.next" "items, /, *default" => |i, b| {
        let next = match b.get("items") {
            Value::Iterator(items) => items.borrow_mut().next(),
            Value::Object(object) if object.class.find("__next__").is_some() => {
                let default = i.items(&b.get("default"))?;
                return match (i.call_method(&Value::Object(object), "__next__", Args::default()), default.first()) {
                    (Err(fault), Some(default)) if super::exec::is_raised(&fault, &["StopIteration"]) => Ok(default.clone()),
                    (result, _) => result,
                };
            }
            _ => return Err(b.wrong("items", "an iterator; `iter(...)` makes one")),
        };
        match (next, i.items(&b.get("default"))?.first()) {
            (Some(value), _) => Ok(value),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => Err(Fault::python("StopIteration", "there are no more elements")),
        }
    },
    "builtins.sum" "items, /, start=0" => |i, b| {
        let mut sum = b.get("start");
        for item in i.items(&b.get("items"))? {
            sum = i.binary(ruff_python_ast::Operator::Add, &sum, &item)?;
        }
        Ok(sum)
    },
    "builtins.max" "*items, default=None, key=None" => |i, b| extreme(i, b, std::cmp::Ordering::Greater),
    "builtins.min" "*items, default=None, key=None" => |i, b| extreme(i, b, std::cmp::Ordering::Less),
    "builtins.abs" "x, /" => |i, b| match b.get("x") {
        Value::Int(x) => x.checked_abs().map(Value::Int).ok_or_else(|| b.wrong("x", "smaller")),
        Value::Float(x) => Ok(Value::Float(x.abs())),
        tensor => i.call_method(&tensor, "abs", Args::default()),
    },
    "builtins.round" "x, ndigits=None" => |_, b| {
        let x = b.float("x")?;
        if b.is_none("ndigits") {
            return integer(x.round_ties_even());
        }
        let digits = i32::try_from(b.int("ndigits")?.clamp(-300, 300)).unwrap_or(0);
        let rounded = match usize::try_from(digits) {
            // The decimals of the number itself count: `round(2.675, 2)` is 2.67.
            Ok(digits) => format!("{x:.digits$}").parse().unwrap_or(x),
            Err(_) => {
                let unit = 10f64.powi(-digits);
                (x / unit).round_ties_even() * unit
            }
        };
        if matches!(b.get("x"), Value::Int(_) | Value::Bool(_)) { integer(rounded) } else { Ok(Value::Float(rounded)) }
    },
    "builtins.pow" "base, exp, /" => |i, b| i.binary(ruff_python_ast::Operator::Pow, &b.get("base"), &b.get("exp")),
    "builtins.divmod" "a, b, /" => |i, b| {
        let (x, y) = (b.get("a"), b.get("b"));
        let quotient = i.binary(ruff_python_ast::Operator::FloorDiv, &x, &y)?;
        Ok(Value::tuple([quotient, i.binary(ruff_python_ast::Operator::Mod, &x, &y)?]))
    },
    "builtins.all" "items, /" => |i, b| {
        for item in i.items(&b.get("items"))? {
            if !i.truth(&item)? {
                return Ok(Value::Bool(false));
            }
        }
        Ok(Value::Bool(true))
    },
    "builtins.any" "items, /" => |i, b| {
        for item in i.items(&b.get("items"))? {
            if i.truth(&item)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    },
    "builtins.isinstance" "obj, types, /" => |i, b| Ok(Value::Bool(i.is_instance(&b.get("obj"), &b.get("types"))?)),
    "builtins.issubclass" "obj, types, /" => |i, b| {
        let Value::Class(class) = b.get("obj") else { return Err(b.wrong("obj", "a class")) };
        let types = match b.get("types") {
            Value::Tuple(types) => types.to_vec(),
            one => vec![one],
        };
        i.step(types.len() as u64)?;
        Ok(Value::Bool(types.iter().any(|one| matches!(one, Value::Class(other) if class.derives_from(other)))))
    },
    "builtins.hasattr" "obj, name, /" => |i, b| {
        match i.find_attribute(&b.get("obj"), &b.string("name")?) {
            Ok(found) => Ok(Value::Bool(found.is_some())),
            Err(fault) if super::object::lacks_attribute(&fault) => Ok(Value::Bool(false)),
            Err(fault) => Err(fault),
        }
    },
    "builtins.getattr" "obj, name, /, *default" => |i, b| {
        let (object, name) = (b.get("obj"), b.string("name")?);
        match (i.find_attribute(&object, &name), i.items(&b.get("default"))?.first()) {
            (Ok(Some(Value::Failed(fault))), _) => Err((*fault).clone()),
            (Ok(Some(value)), _) => Ok(value),
            (Ok(None), Some(default)) => Ok(default.clone()),
            (Err(fault), Some(default)) if super::object::lacks_attribute(&fault) => Ok(default.clone()),
            (Ok(None), None) => i.attribute(&object, &name),
            (Err(fault), _) => Err(fault),
        }
    },
    "builtins.delattr" "obj, name, /" => |i, b| {
        let Value::Object(object) = b.get("obj") else { return Err(b.wrong("obj", "an object")) };
        i.delete_attribute(&object, &b.string("name")?)?;
        Ok(Value::None)
    },
    "builtins.vars" "obj, /" => |i, b| i.attribute(&b.get("obj"), "__dict__"),
    "builtins.dir" "obj, /" => |i, b| {
        let mut names: Vec<Rc<str>> = match b.get("obj") {
            Value::Object(object) => {
                let of_class = object.class.mro().flat_map(|class| class.attributes.borrow().keys().cloned().collect::<Vec<_>>());
                object.attributes.borrow().keys().cloned().chain(of_class).collect()
            }
            Value::Class(class) => class.mro().flat_map(|class| class.attributes.borrow().keys().cloned().collect::<Vec<_>>()).collect(),
            Value::Namespace(namespace) => namespace.scope.as_ref().map(|scope| scope.names()).unwrap_or_default(),
            _ => return Err(b.wrong("obj", "an object, a class or a module")),
        };
        i.cells(names.len())?;
        names.sort();
        names.dedup();
        Ok(Value::list(names.into_iter().map(Value::Str)))
    },
    "builtins.hash" "obj, /" => |i, b| {
        use std::hash::{Hash, Hasher};
        let key = i.key(&b.get("obj"))?;
        let mut hasher = std::hash::DefaultHasher::new();
        match key {
            super::value::Key::Int(n) => return Ok(Value::Int(n)),
            key => key.hash(&mut hasher),
        }
        Ok(Value::Int(i64::try_from(hasher.finish() >> 2).unwrap_or(0)))
    },
    "builtins.setattr" "obj, name, value, /" => |i, b| {
        i.set_attribute(&b.get("obj"), &b.string("name")?, b.get("value"))?;
        Ok(Value::None)
    },
    "builtins.callable" "obj, /" => |_, b| Ok(Value::Bool(matches!(
        b.get("obj"),
        Value::Function(_) | Value::Method(_) | Value::Native(_) | Value::Partial(_) | Value::Class(_) | Value::Wrapped(Wrapper::Cached | Wrapper::Static, _)
    ) || matches!(b.get("obj"), Value::Object(object) if object.class.is_module() || object.class.find("__call__").is_some()))),
    "builtins.repr" "obj, /" => |i, b| Ok(Value::str(i.repr_of(&b.get("obj"))?)),
    "builtins.id" "obj, /" => |_, b| Ok(Value::Int(i64::try_from(b.get("obj").identity().unwrap_or(0)).unwrap_or(0))),
    "builtins.super" "cls, obj, /" => |_, b| match (b.get("cls"), b.get("obj")) {
        (Value::Class(class), this) => Ok(Value::Super(Rc::new((class, this)))),
        _ => Err(b.wrong("cls", "a class")),
    },
    "builtins.property" "fget=None, fset=None, fdel=None, doc=None" => |_, b| {
        let property = Property { get: b.get("fget"), set: b.get("fset"), delete: b.get("fdel") };
        Ok(Value::Property(Rc::new(property)))
    },
    "builtins.staticmethod" "function, /" => |i, b| Ok(i.wrap(Wrapper::Static, b.get("function"))),
    "builtins.classmethod" "function, /" => |i, b| Ok(i.wrap(Wrapper::Class, b.get("function"))),
};

/// Types that are called like functions.
static TYPES: &[Native] = natives! {
    "builtins.int" "x=0, /, base=10" => |_, b| match b.get("x").plain().clone() {

        Value::Size(dim) => Ok(Value::Size(dim)),
        Value::Str(text) => {
            let base = u32::try_from(b.int("base")?).ok().filter(|base| (2..=36).contains(base));
            let base = base.ok_or_else(|| b.wrong("base", "between 2 and 36"))?;
            let digits = text.trim().replace('_', "");
            i64::from_str_radix(&digits, base).map(Value::Int).map_err(|_| no_number(b))
        }
        Value::Tensor(_) => Err(Fault::unsupported("the value of a tensor is only known when the plan runs")),
        _ => integer(b.float("x")?.trunc()),
    },
    "builtins.float" "x=0.0, /" => |_, b| match b.get("x").plain().clone() {
        Value::Str(text) => text.trim().parse().map(Value::Float).map_err(|_| no_number(b)),
        Value::Tensor(_) => Err(Fault::unsupported("the value of a tensor is only known when the plan runs")),
        _ => b.float("x").map(Value::Float),
    },
    "builtins.bool" "x=False, /" => |i, b| Ok(Value::Bool(i.truth(&b.get("x"))?)),
    "builtins.str" "x='', /" => |i, b| Ok(Value::str(i.string_of(&b.get("x"))?)),
    "builtins.list" "items=(), /" => |i, b| Ok(Value::list(i.items(&b.get("items"))?)),
    "builtins.tuple" "items=(), /" => |i, b| Ok(Value::tuple(i.items(&b.get("items"))?)),
    "builtins.set" "items=(), /" => |i, b| {
        let items = i.items(&b.get("items"))?;
        i.set_of(items)
    },
    "builtins.dict" "items=None, /, **kwargs" => |i, b| new_dict(i, b, false),
    "collections.OrderedDict" "items=None, /, **kwargs" => |i, b| new_dict(i, b, true),
    "collections.defaultdict" "default_factory=None, items=None, /, **kwargs" => |i, b| {
        let class = i.class("collections.defaultdict")?;
        let object = i.object(class);
        object.set("default_factory", b.get("default_factory"));
        let contents = new_dict(i, b, false)?;
        let _ = object.contents.set(contents);
        Ok(Value::Object(object))
    },
    "builtins.frozenset" "items=(), /" => |i, b| {
        let items = i.items(&b.get("items"))?;
        i.set_of(items)
    },
    "builtins.type" "obj, /" => |i, b| match b.get("obj") {
        Value::Object(object) => Ok(Value::Class(object.class.clone())),
        Value::Class(_) => i.class("builtins.type").map(Value::Class),
        Value::Tensor(_) => i.class("torch.Tensor").map(Value::Class),
        Value::Parameter(_) => i.class("torch.nn.Parameter").map(Value::Class),
        Value::Function(_) | Value::Method(_) | Value::Native(_) => i.class("typing.function").map(Value::Class),
        Value::None => i.class("typing.NoneType").map(Value::Class),
        Value::Dict(dict) if dict.borrow().is_ordered => i.class("collections.OrderedDict").map(Value::Class),
        other => {
            let name = other.type_name();
            let found = TYPES.iter().find(|native| native.name.strip_prefix("builtins.") == Some(name.as_str()));
            match found {
                Some(native) => Ok(Value::Class(i.class(native.name)?)),
                None => Ok(Value::str(name)),
            }
        }
    },
};

/// Exceptions with what they derive from.
static EXCEPTIONS: &[(&str, &str)] = &[
    ("BaseException", "object"),
    ("Exception", "BaseException"),
    ("ArithmeticError", "Exception"),
    ("AssertionError", "Exception"),
    ("AttributeError", "Exception"),
    ("FrozenInstanceError", "AttributeError"),
    ("SystemExit", "BaseException"),
    ("KeyboardInterrupt", "BaseException"),
    ("ImportError", "Exception"),
    ("ModuleNotFoundError", "ImportError"),
    ("LookupError", "Exception"),
    ("IndexError", "LookupError"),
    ("KeyError", "LookupError"),
    ("NameError", "Exception"),
    ("RuntimeError", "Exception"),
    ("NotImplementedError", "RuntimeError"),
    ("StopIteration", "Exception"),
    ("SyntaxError", "Exception"),
    ("TypeError", "Exception"),
    ("ValueError", "Exception"),
    ("ZeroDivisionError", "ArithmeticError"),
    ("Warning", "Exception"),
    ("UserWarning", "Warning"),
    ("DeprecationWarning", "Warning"),
    ("FutureWarning", "Warning"),
    ("RuntimeWarning", "Warning"),
    ("OSError", "Exception"),
    ("FileNotFoundError", "OSError"),
];

/// Classes that only say what something can do: `typing.Sequence`.
pub(crate) const KINDS: &str = "typing.";

/// The names of all functions, for messages.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().chain(TYPES).filter_map(|native| native.name.strip_prefix("builtins."))
}

fn integer(x: f64) -> Result<Value> {
    if x.abs() < 9e18 {
        #[allow(clippy::as_conversions, reason = "it is whole and in range")]
        return Ok(Value::Int(x as i64));
    }
    Err(Fault::value(format!("{x} is not a 64-bit integer")))
}

/// A text that is no number, which programs may catch.
fn no_number(b: &Bound) -> Fault {
    Fault::value(b.wrong("x", "a number").0.message.clone())
}

fn new_dict(i: &mut Interpreter, b: &Bound, is_ordered: bool) -> Result<Value> {
    let mut dict = Dict { is_ordered, ..Dict::default() };
    i.update_dict(&mut dict, &b.get("items"))?;
    i.update_dict(&mut dict, &b.get("kwargs"))?;
    Ok(Value::Dict(Rc::new(dict.into())))
}

/// Classes of the library without behaviour of their own here, and what they derive from.
const PLAIN: &[(&str, &[&str])] = &[
    ("enum.Enum", &["object"]),
    ("enum.IntEnum", &["builtins.int", "enum.Enum"]),
    ("enum.StrEnum", &["builtins.str", "enum.Enum"]),
    ("enum.auto", &["object"]),
    ("typing.NamedTuple", &["builtins.tuple"]),
    ("types.SimpleNamespace", &["object"]),
    ("argparse.Namespace", &["object"]),
    ("dataclasses.Field", &["object"]),
    ("logging.Logger", &["object"]),
    ("packaging.version.Version", &["builtins.str"]),
    ("os.environ", &["object"]),
];

fn range(_: &mut Interpreter, b: &Bound) -> Result<Value> {
    let bound = |name: &str| {
        b.get(name).as_int().ok_or_else(|| match b.get(name) {
            Value::Size(dim) => super::operators::unknown_size(&dim),
            _ => b.wrong(name, "an integer"),
        })
    };
    let (start, stop) =
        if b.is_none("stop") { (0, bound("start")?) } else { (bound("start")?, bound("stop")?) };
    let step = bound("step")?;
    if step == 0 {
        return Err(Fault::value("the step of a range is zero"));
    }
    Ok(Value::Range(Rc::new([start, stop, step])))
}

fn extreme(i: &mut Interpreter, b: &Bound, wanted: std::cmp::Ordering) -> Result<Value> {
    let mut items = i.items(&b.get("items"))?;
    if let [one] = &items[..] {
        items = i.items(&one.clone())?;
    }
    let mut best: Option<(Value, Value)> = None;
    for item in items {
        let key =
            if b.is_none("key") { item.clone() } else { i.call(&b.get("key"), Args::of([item.clone()]))? };
        let better = match &best {
            Some((_, other)) => i.ordering(&key, other)? == Some(wanted),
            None => true,
        };
        if better {
            best = Some((item, key));
        }
    }
    match best {
        Some((item, _)) => Ok(item),
        None if b.is_none("default") => Err(Fault::value("there is nothing to choose from")),
        None => Ok(b.get("default")),
    }
}

impl Interpreter {
    /// The value of a name that the program does not define.
    pub(crate) fn builtin(&mut self, name: &str) -> Result<Option<Value>> {
        if let Some(native) = FUNCTIONS.iter().find(|n| n.name.strip_prefix("builtins.") == Some(name)) {
            return Ok(Some(Value::Native(native)));
        }
        if let Some(native) = TYPES.iter().find(|n| n.name.strip_prefix("builtins.") == Some(name)) {
            return self.class(native.name).map(|class| Some(Value::Class(class)));
        }
        if name == "object" {
            return self.class("object").map(|class| Some(Value::Class(class)));
        }
        if let Some((exception, _)) = EXCEPTIONS.iter().find(|(exception, _)| *exception == name) {
            return self.class(exception).map(|class| Some(Value::Class(class)));
        }
        Ok((name == "NotImplemented").then_some(Value::None))
    }

    /// A class that Python or PyTorch defines, by full name.
    pub(crate) fn class(&mut self, name: &'static str) -> Result<Rc<Class>> {
        if let Some(class) = self.classes.get(name) {
            return Ok(class.clone());
        }
        if let Some((_, bases)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
            let mut known = vec![];
            for base in *bases {
                known.push(self.class(base)?);
            }
            let class = Rc::new(Class {
                name: name.rsplit('.').next().unwrap_or(name).into(),
                ancestors: self.ancestors(&known)?,
                attributes: Default::default(),
                native: NativeClass::Plain,
                unknown_base: None,
            });
            self.classes.insert(name, class.clone());
            return Ok(class);
        }
        let (shown, base, native) = if name == "object" {
            (name.to_owned(), None, NativeClass::Plain)
        } else if let Some(shown) = name.strip_prefix(KINDS) {
            (shown.to_owned(), Some("object"), NativeClass::Plain)
        } else if let Some(native) = TYPES.iter().find(|native| native.name == name) {
            // `OrderedDict`
            let base = if name.starts_with("collections.") { "builtins.dict" } else { "object" };
            let shown = super::call::short(name);
            (shown.rsplit('.').next().unwrap_or_default().to_owned(), Some(base), NativeClass::Type(native))
        } else if let Some((_, base)) = EXCEPTIONS.iter().find(|(exception, _)| *exception == name) {
            (name.to_owned(), Some(*base), NativeClass::Exception)
        } else {
            let (base, native) = crate::torch::native_class(name).ok_or_else(|| {
                Fault::unsupported(format!("`{}` is not supported", super::call::short(name)))
            })?;
            (super::call::short(name), Some(base), native)
        };
        let mut ancestors = vec![];
        if let Some(base) = base {
            let base = self.class(base)?;
            ancestors.push(base.clone());
            ancestors.extend(base.ancestors.iter().cloned());
        }
        let class = Rc::new(Class {
            name: shown.into(),
            ancestors,
            attributes: Default::default(),
            native,
            unknown_base: None,
        });
        self.classes.insert(name, class.clone());
        Ok(class)
    }

    /// `isinstance(value, types)`
    pub(crate) fn is_instance(&mut self, value: &Value, types: &Value) -> Result<bool> {
        Ok(match types {
            Value::Tuple(types) => {
                for one in types.iter() {
                    self.step(1)?;
                    if self.deeper(|this| this.is_instance(value, one))? {
                        return Ok(true);
                    }
                }
                false
            }
            Value::Class(class) => match value {
                _ if matches!(class.native, NativeClass::Plain) && &*class.name == "Sequence" => {
                    matches!(
                        value.plain(),
                        Value::List(_) | Value::Tuple(_) | Value::Range(_) | Value::Str(_)
                    )
                }
                _ if matches!(class.native, NativeClass::Plain)
                    && matches!(&*class.name, "Iterable" | "Collection") =>
                {
                    matches!(
                        value.plain(),
                        Value::List(_)
                            | Value::Tuple(_)
                            | Value::Range(_)
                            | Value::Str(_)
                            | Value::Dict(_)
                            | Value::Set(_)
                    ) || &*class.name == "Iterable"
                        && match value {
                            Value::Iterator(_) | Value::Tensor(_) | Value::Parameter(_) => true,
                            Value::Object(object) => {
                                object.class.find("__iter__").is_some()
                                    || matches!(object.class.native(), NativeClass::Container(_))
                            }
                            _ => false,
                        }
                }
                _ if matches!(class.native, NativeClass::Plain) && &*class.name == "Number" => {
                    value.plain().as_f64().is_some()
                }
                _ if matches!(class.native, NativeClass::Plain) && &*class.name == "Integral" => {
                    value.plain().as_int().is_some()
                }
                _ if &*class.name == "Mapping" => matches!(value.plain(), Value::Dict(_)),
                _ if &*class.name == "Callable" => {
                    let args = Args::of([value.clone()]);
                    let callable = self.builtin("callable")?.unwrap_or(Value::None);
                    matches!(self.call(&callable, args)?, Value::Bool(true))
                }
                Value::Object(object) => object.class.derives_from(class),
                Value::Tensor(_) => &*class.name == "torch.Tensor" || &*class.name == "object",
                Value::Parameter(_) => matches!(&*class.name, "torch.Tensor" | "nn.Parameter" | "object"),
                Value::Bool(_) if &*class.name == "int" => true,
                Value::Dict(_) if &*class.name == "dict" => true,
                Value::Wrapped(Wrapper::Cached, _) | Value::Property(_) => &*class.name == "object",
                Value::Training if &*class.name == "bool" => true,
                other => *class.name == *other.type_name() || &*class.name == "object",
            },
            Value::Failed(fault) => return Err((**fault).clone()),
            // Nothing is known to be of a type that is not known; `Callable` and the like are `None`.
            _ => false,
        })
    }
}
