//! Methods of strings, lists, tuples and dictionaries.

use std::rc::Rc;

use super::Interpreter;
use super::call::Args;
use super::fault::{Fault, Result};
use super::native::{Bound, Native};
use super::value::{Dict, Value};

macro_rules! natives {
    ($($name:literal $signature:literal => $call:expr),* $(,)?) => {
        &[$(Native { name: $name, signature: $signature, call: $call }),*]
    };
}
pub(crate) use natives;

type Table = &'static [Native];

static STR: Table = natives! {
    "str.format" "self, /, *args, **kwargs" => format,
    "str.join" "self, items, /" => |i, b| {
        let separator = b.string("self")?;
        let items = i.items(&b.get("items"))?;
        let mut parts = vec![];
        for item in &items {
            parts.push(item.as_str().ok_or_else(|| Fault::type_error("`join` puts strings together"))?.to_owned());
        }
        let joined = parts.join(&separator);
        i.cells(joined.len())?;
        Ok(Value::str(joined))
    },
    "str.split" "self, sep=None, maxsplit=-1" => |i, b| {
        let text = b.string("self")?;
        i.cells(text.len())?;
        let parts: Vec<Value> = match b.get("sep") {
            Value::Str(separator) if !separator.is_empty() => text.split(&*separator).map(Value::str).collect(),
            _ => text.split_whitespace().map(Value::str).collect(),
        };
        Ok(Value::list(parts))
    },
    "str.startswith" "self, prefix, /" => |_, b| affix(b, |text, part| text.starts_with(part)),
    "str.endswith" "self, prefix, /" => |_, b| affix(b, |text, part| text.ends_with(part)),
    "str.replace" "self, old, new, /" => |i, b| {
        let (text, old, new) = (b.string("self")?, b.string("old")?, b.string("new")?);
        i.cells(text.len().saturating_mul(new.len() + 1).saturating_add(new.len()))?;
        Ok(Value::str(text.replace(&*old, &new)))
    },
    "str.lower" "self, /" => |_, b| Ok(Value::str(b.string("self")?.to_lowercase())),
    "str.upper" "self, /" => |_, b| Ok(Value::str(b.string("self")?.to_uppercase())),
    "str.strip" "self, chars=None, /" => |_, b| Ok(Value::str(b.string("self")?.trim())),
    "str.isdigit" "self, /" => |_, b| {
        let text = b.string("self")?;
        Ok(Value::Bool(!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())))
    },
};

static LIST: Table = natives! {
    "list.append" "self, item, /" => |i, b| {
        i.cells(1)?;
        i.cycles.changed(&b.get("self"), &b.get("item"));
        list(b)?.borrow_mut().push(b.get("item"));
        Ok(Value::None)
    },
    "list.extend" "self, items, /" => |i, b| {
        let items = i.items(&b.get("items"))?;
        i.cycles.changed(&b.get("self"), &b.get("items"));
        list(b)?.borrow_mut().extend(items);
        Ok(Value::None)
    },
    "list.insert" "self, index, item, /" => |i, b| {
        i.cells(1)?;
        let list = list(b)?;
        let length = i64::try_from(list.borrow().len()).unwrap_or(i64::MAX);
        i.step(list.borrow().len() as u64 / 64)?;
        let index = b.int("index")?;
        let index = (if index < 0 { index.saturating_add(length) } else { index }).clamp(0, length);
        i.cycles.changed(&b.get("self"), &b.get("item"));
        list.borrow_mut().insert(usize::try_from(index).unwrap_or(0), b.get("item"));
        Ok(Value::None)
    },
    "list.pop" "self, index=-1, /" => |i, b| {
        let list = list(b)?;
        i.step(list.borrow().len() as u64 / 64)?;
        let at = super::sequence::position(&b.get("index"), list.borrow().len(), "list")?;
        let item = list.borrow_mut().remove(at);
        Ok(item)
    },
    "list.reverse" "self, /" => |i, b| {
        let list = list(b)?;
        i.step(list.borrow().len() as u64)?;
        list.borrow_mut().reverse();
        Ok(Value::None)
    },
    "list.copy" "self, /" => |i, b| {
        let items = i.items(&b.get("self"))?;
        Ok(Value::list(items))
    },
    "list.index" "self, item, /" => index,
    "list.count" "self, item, /" => count,
    "list.sort" "self, /" => |i, b| {
        let items = i.items(&b.get("self"))?;
        let sorted = i.sorted(items)?;
        *list(b)?.borrow_mut() = sorted;
        Ok(Value::None)
    },
};

static DICT: Table = natives! {
    "dict.keys" "self, /" => |i, b| Ok(Value::list(i.items(&b.get("self"))?)),
    "dict.values" "self, /" => |i, b| {
        let values: Vec<Value> = dict(b)?.borrow().entries.values().map(|(_, v)| v.clone()).collect();
        i.cells(values.len())?;
        Ok(Value::list(values))
    },
    "dict.items" "self, /" => |i, b| {
        let pairs: Vec<Value> = dict(b)?
            .borrow()
            .entries
            .values()
            .map(|(k, v)| Value::tuple([k.clone(), v.clone()]))
            .collect();
        i.cells(pairs.len().saturating_mul(3))?;
        Ok(Value::list(pairs))
    },
    "dict.get" "self, key, default=None, /" => |i, b| {
        let key = i.key(&b.get("key"))?;
        let found = dict(b)?.borrow().entries.get(&key).map(|(_, v)| v.clone());
        Ok(found.unwrap_or_else(|| b.get("default")))
    },
    "dict.pop" "self, key, default=None, /" => |i, b| {
        let key = i.key(&b.get("key"))?;
        i.step(dict(b)?.borrow().entries.len() as u64 / 32)?;
        let found = dict(b)?.borrow_mut().entries.shift_remove(&key);
        Ok(found.map_or_else(|| b.get("default"), |(_, v)| v))
    },
    "dict.setdefault" "self, key, default=None, /" => |i, b| {
        let key = i.key(&b.get("key"))?;
        i.cells(1)?;
        i.cycles.changed(&b.get("self"), &b.get("default"));
        let dict = dict(b)?;
        let mut dict = dict.borrow_mut();
        let entry = dict.entries.entry(key).or_insert_with(|| (b.get("key"), b.get("default")));
        Ok(entry.1.clone())
    },
    "dict.update" "self, other=None, /, **kwargs" => |i, b| {
        let dict = dict(b)?;
        let mut merged = Dict { entries: dict.borrow().entries.clone() };
        i.cells(merged.entries.len())?;
        i.cycles.changed(&b.get("self"), &b.get("self"));
        i.update_dict(&mut merged, &b.get("other"))?;
        i.update_dict(&mut merged, &b.get("kwargs"))?;
        *dict.borrow_mut() = merged;
        Ok(Value::None)
    },
    "dict.copy" "self, /" => |i, b| {
        let entries = dict(b)?.borrow().entries.clone();
        i.cells(entries.len())?;
        Ok(Value::Dict(Rc::new(Dict { entries }.into())))
    },
};

static SET: Table = natives! {
    "set.add" "self, item, /" => |i, b| {
        let item = b.get("item");
        let key = i.key(&item)?;
        i.cells(1)?;
        i.cycles.changed(&b.get("self"), &item);
        dict(b)?.borrow_mut().entries.insert(key, (item.clone(), item));
        Ok(Value::None)
    },
};

static SIZE: Table = natives! {
    // `torch.Size`, which is a tuple here.
    "tuple.numel" "self, /" => |i, b| {
        let mut product = Value::Int(1);
        for size in i.items(&b.get("self"))? {
            product = i.binary(ruff_python_ast::Operator::Mult, &product, &size)?;
        }
        Ok(product)
    },
    "tuple.index" "self, item, /" => index,
    "tuple.count" "self, item, /" => count,
};

/// Where an element is first.
fn index(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    for (at, item) in i.items(&b.get("self"))?.iter().enumerate() {
        if i.is_equal(item, &b.get("item"))? {
            return Ok(Value::Int(i64::try_from(at).unwrap_or(i64::MAX)));
        }
    }
    Err(Fault::value("that is not among the elements"))
}

/// How often an element is there.
fn count(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let mut count = 0;
    for item in i.items(&b.get("self"))? {
        count += i64::from(i.is_equal(&item, &b.get("item"))?);
    }
    Ok(Value::Int(count))
}

fn list(b: &Bound) -> Result<Rc<std::cell::RefCell<Vec<Value>>>> {
    match b.get("self") {
        Value::List(list) => Ok(list),
        _ => Err(b.wrong("self", "a list")),
    }
}

fn dict(b: &Bound) -> Result<Rc<std::cell::RefCell<Dict>>> {
    match b.get("self") {
        Value::Dict(dict) | Value::Set(dict) => Ok(dict),
        _ => Err(b.wrong("self", "a dict")),
    }
}

fn affix(b: &Bound, test: fn(&str, &str) -> bool) -> Result<Value> {
    let text = b.string("self")?;
    let prefix = b.get("prefix");
    let parts = if let Value::Tuple(parts) = &prefix { &parts[..] } else { std::slice::from_ref(&prefix) };
    Ok(Value::Bool(parts.iter().filter_map(Value::as_str).any(|part| test(&text, part))))
}

/// `"{} {name}".format(...)`
fn format(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let text = b.string("self")?;
    let positional = i.items(&b.get("args"))?;
    let mut next = 0;
    let mut out = String::new();
    let mut rest = &*text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let double = rest[at..].starts_with("{{") || rest[at..].starts_with("}}");
        if double {
            out.push_str(&rest[at..=at]);
            rest = &rest[at + 2..];
            continue;
        }
        let end = rest[at..].find('}').ok_or_else(|| Fault::value("a `{` is not closed"))? + at;
        let hole = rest.get(at + 1..end).ok_or_else(|| Fault::value("a `}` is not opened"))?;
        rest = &rest[end + 1..];
        let (name, spec) = hole.split_once(':').unwrap_or((hole, ""));
        let value = if name.is_empty() {
            next += 1;
            positional.get(next - 1).cloned()
        } else if let Ok(index) = name.parse::<usize>() {
            positional.get(index).cloned()
        } else {
            let key = i.key(&Value::str(name))?;
            match b.get("kwargs") {
                Value::Dict(named) => named.borrow().entries.get(&key).map(|(_, v)| v.clone()),
                _ => None,
            }
        };
        let value = value
            .ok_or_else(|| Fault::python("IndexError", format!("there is no value for `{{{hole}}}`")))?;
        out.push_str(&i.formatted(&value, spec)?);
    }
    out.push_str(rest);
    i.cells(out.len())?;
    Ok(Value::str(out))
}

impl Interpreter {
    /// A method of a value that is no object.
    pub(crate) fn method_of(&mut self, of: &Value, name: &str) -> Result<Option<Value>> {
        let table = match of {
            Value::Str(_) => STR,
            Value::List(_) => LIST,
            Value::Dict(_) => DICT,
            Value::Set(_) => SET,
            Value::Tuple(_) => SIZE,
            _ => return Ok(None),
        };
        let found = table.iter().find(|native| native.name.split('.').nth(1) == Some(name));
        Ok(found.map(|native| Value::Method(Rc::new((Value::Native(native), of.clone())))))
    }

    /// Values in order.
    pub(crate) fn sorted(&mut self, mut items: Vec<Value>) -> Result<Vec<Value>> {
        // Insertion by bisection: an order that contradicts itself cannot do harm.
        let mut sorted: Vec<Value> = Vec::with_capacity(items.len());
        for item in items.drain(..) {
            let (mut low, mut high) = (0, sorted.len());
            while low < high {
                let middle = usize::midpoint(low, high);
                if self.ordering(&item, &sorted[middle])? == Some(std::cmp::Ordering::Less) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            self.step(1 + sorted.len() as u64 / 64)?;
            sorted.insert(low, item);
        }
        Ok(sorted)
    }

    /// Calls a method by name.
    pub(crate) fn call_method(&mut self, of: &Value, name: &str, args: Args) -> Result<Value> {
        let method = self.attribute(of, name)?;
        self.call(&method, args)
    }
}
