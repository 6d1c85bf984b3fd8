//! Methods of strings, lists, tuples and dictionaries.

use std::collections::HashSet;
use std::rc::Rc;

use ruff_python_ast::Operator;

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
            let part = item.as_str().ok_or_else(|| Fault::type_error("`join` puts strings together"))?;
            i.cells(part.len().saturating_add(separator.len()))?;
            parts.push(part);
        }
        Ok(Value::str(parts.join(&*separator)))
    },
    "str.split" "self, sep=None, maxsplit=-1" => |i, b| {
        let text = b.string("self")?;
        i.cells(text.len())?;
        let most = usize::try_from(b.int("maxsplit")?).map_or(usize::MAX, |most| most.saturating_add(1));
        let parts: Vec<Value> = match b.get("sep") {
            Value::Str(separator) if !separator.is_empty() => {
                text.splitn(most, &*separator).map(Value::str).collect()
            }
            _ if most < usize::MAX => return Err(Fault::unsupported("`maxsplit` needs `sep`")),
            _ => text.split_whitespace().map(Value::str).collect(),
        };
        Ok(Value::list(parts))
    },
    "str.rsplit" "self, sep=None, maxsplit=-1" => |i, b| {
        let text = b.string("self")?;
        i.cells(text.len())?;
        let most = usize::try_from(b.int("maxsplit")?).map_or(usize::MAX, |most| most.saturating_add(1));
        let Value::Str(separator) = b.get("sep") else { return Err(b.wrong("sep", "a string")) };
        if separator.is_empty() {
            return Err(b.wrong("sep", "a string with letters"));
        }
        let mut parts: Vec<Value> = text.rsplitn(most, &*separator).map(Value::str).collect();
        parts.reverse();
        Ok(Value::list(parts))
    },
    "str.partition" "self, sep, /" => |i, b| {
        let (text, separator) = (b.string("self")?, b.string("sep")?);
        i.cells(text.len())?;
        let parts = match text.split_once(&*separator) {
            Some((before, behind)) => [before, &*separator, behind],
            None => [&*text, "", ""],
        };
        Ok(Value::tuple(parts.map(Value::str)))
    },
    "str.splitlines" "self, /" => |i, b| {
        let text = b.string("self")?;
        i.cells(text.len())?;
        Ok(Value::list(text.lines().map(Value::str)))
    },
    "str.startswith" "self, prefix, /" => |_, b| affix(b, |text, part| text.starts_with(part)),
    "str.endswith" "self, prefix, /" => |_, b| affix(b, |text, part| text.ends_with(part)),
    "str.replace" "self, old, new, count=-1, /" => |i, b| {
        let (text, old, new) = (b.string("self")?, b.string("old")?, b.string("new")?);
        i.cells(text.len().saturating_mul(new.len() + 1).saturating_add(new.len()))?;
        Ok(Value::str(match usize::try_from(b.int("count")?) {
            Ok(count) => text.replacen(&*old, &new, count),
            Err(_) => text.replace(&*old, &new),
        }))
    },
    "str.lower" "self, /" => |_, b| Ok(Value::str(b.string("self")?.to_lowercase())),
    "str.upper" "self, /" => |_, b| Ok(Value::str(b.string("self")?.to_uppercase())),
    "str.strip" "self, chars=None, /" => |_, b| stripped(b, true, true),
    "str.lstrip" "self, chars=None, /" => |_, b| stripped(b, true, false),
    "str.rstrip" "self, chars=None, /" => |_, b| stripped(b, false, true),
    "str.removeprefix" "self, prefix, /" => |_, b| {
        let (text, prefix) = (b.string("self")?, b.string("prefix")?);
        Ok(Value::str(text.strip_prefix(&*prefix).unwrap_or(&text)))
    },
    "str.removesuffix" "self, suffix, /" => |_, b| {
        let (text, suffix) = (b.string("self")?, b.string("suffix")?);
        Ok(Value::str(text.strip_suffix(&*suffix).unwrap_or(&text)))
    },
    "str.rpartition" "self, sep, /" => |i, b| {
        let (text, separator) = (b.string("self")?, b.string("sep")?);
        i.cells(text.len())?;
        let parts = match text.rsplit_once(&*separator) {
            Some((before, behind)) => [before, &*separator, behind],
            None => ["", "", &*text],
        };
        Ok(Value::tuple(parts.map(Value::str)))
    },
    "str.format_map" "self, mapping, /" => |i, b| {
        let named = match i.dict_of(&b.get("mapping"))? {
            Value::Dict(dict) => dict.borrow().entries.values()
                .filter_map(|(name, value)| Some((Rc::from(name.as_str()?), value.clone()))).collect(),
            _ => return Err(b.wrong("mapping", "a dict")),
        };
        i.call_method(&b.get("self"), "format", Args { positional: vec![], named })
    },
    "str.casefold" "self, /" => |_, b| Ok(Value::str(b.string("self")?.to_lowercase())),
    "str.swapcase" "self, /" => |_, b| {
        let swap = |c: char| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
        Ok(Value::str(b.string("self")?.chars().map(swap).collect::<String>()))
    },
    "str.isnumeric" "self, /" => |_, b| every(b, char::is_numeric),
    "str.isdecimal" "self, /" => |_, b| every(b, |c| c.is_ascii_digit()),
    "str.isidentifier" "self, /" => |_, b| {
        let text = b.string("self")?;
        let is_first = text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
        Ok(Value::Bool(is_first && text.chars().all(|c| c.is_alphanumeric() || c == '_')))
    },
    "str.rfind" "self, sub, /" => |_, b| {
        let (text, part) = (b.string("self")?, b.string("sub")?);
        let found = text.rfind(&*part).map(|at| text[..at].chars().count());
        Ok(Value::Int(found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)))
    },
    "str.find" "self, sub, /" => |_, b| Ok(Value::Int(found_at(b)?.unwrap_or(-1))),
    "str.index" "self, sub, /" => |_, b| {
        found_at(b)?.map(Value::Int).ok_or_else(|| Fault::value("that is not in the text"))
    },
    "str.count" "self, sub, /" => |_, b| {
        let (text, part) = (b.string("self")?, b.string("sub")?);
        let count = if part.is_empty() { text.chars().count() + 1 } else { text.matches(&*part).count() };
        Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
    },
    "str.capitalize" "self, /" => |_, b| {
        let text = b.string("self")?;
        let mut letters = text.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        Ok(Value::str(first + &letters.as_str().to_lowercase()))
    },
    "str.title" "self, /" => |_, b| {
        let mut is_inside = false;
        let mut out = String::new();
        for c in b.string("self")?.chars() {
            if is_inside { out.extend(c.to_lowercase()) } else { out.extend(c.to_uppercase()) }
            is_inside = c.is_alphabetic();
        }
        Ok(Value::str(out))
    },
    "str.isalpha" "self, /" => |_, b| every(b, char::is_alphabetic),
    "str.isalnum" "self, /" => |_, b| every(b, char::is_alphanumeric),
    "str.isspace" "self, /" => |_, b| every(b, char::is_whitespace),
    "str.isupper" "self, /" => |_, b| {
        let text = b.string("self")?;
        Ok(Value::Bool(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)))
    },
    "str.islower" "self, /" => |_, b| {
        let text = b.string("self")?;
        Ok(Value::Bool(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)))
    },
    "str.zfill" "self, width, /" => |i, b| {
        let text = b.string("self")?;
        let (sign, digits) = text.strip_prefix(['-', '+']).map_or(("", &*text), |rest| (&text[..1], rest));
        let zeros = missing(i, b, &text)?;
        Ok(Value::str(format!("{sign}{}{digits}", "0".repeat(zeros))))
    },
    "str.ljust" "self, width, fillchar=' ', /" => |i, b| filled(i, b, |_| 0),
    "str.rjust" "self, width, fillchar=' ', /" => |i, b| filled(i, b, |missing| missing),
    "str.center" "self, width, fillchar=' ', /" => |i, b| filled(i, b, |missing| missing / 2),
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
    "list.sort" "self, /, *, key=None, reverse=False" => |i, b| {
        let items = i.items(&b.get("self"))?;
        let sorted = i.sorted(items, &b.get("key"), b.bool("reverse")?)?;
        *list(b)?.borrow_mut() = sorted;
        Ok(Value::None)
    },
    "list.remove" "self, item, /" => |i, b| {
        for (at, item) in i.items(&b.get("self"))?.iter().enumerate() {
            if i.is_equal(item, &b.get("item"))? {
                list(b)?.borrow_mut().remove(at);
                return Ok(Value::None);
            }
        }
        Err(Fault::value("that is not in the list"))
    },
    "list.clear" "self, /" => |_, b| {
        let items = std::mem::take(&mut *list(b)?.borrow_mut());
        drop(items);
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
    "dict.popitem" "self, /" => |_, b| {
        let last = dict(b)?.borrow_mut().entries.pop();
        let (_, (key, value)) = last.ok_or_else(|| Fault::python("KeyError", "the dict is empty"))?;
        Ok(Value::tuple([key, value]))
    },
    "dict.clear" "self, /" => |_, b| {
        let entries = std::mem::take(&mut dict(b)?.borrow_mut().entries);
        drop(entries);
        Ok(Value::None)
    },
    // Of `OrderedDict`.
    "dict.move_to_end" "self, key, last=True" => |i, b| {
        let (key, is_last) = (i.key(&b.get("key"))?, b.bool("last")?);
        let dict = dict(b)?;
        let mut dict = dict.borrow_mut();
        i.step(dict.entries.len() as u64 / 32)?;
        let entry = dict.entries.shift_remove(&key);
        let entry = entry.ok_or_else(|| Fault::python("KeyError", "there is no such key"))?;
        let place = if is_last { dict.entries.len() } else { 0 };
        dict.entries.shift_insert(place, key, entry);
        Ok(Value::None)
    },
    "dict.pop" "self, key, /, *default" => |i, b| {
        let key = i.key(&b.get("key"))?;
        i.step(dict(b)?.borrow().entries.len() as u64 / 32)?;
        let found = dict(b)?.borrow_mut().entries.shift_remove(&key);
        match (found, i.items(&b.get("default"))?.first()) {
            (Some((_, value)), _) => Ok(value),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => {
                let key = super::format::repr(&b.get("key"));
                Err(Fault::python("KeyError", format!("the dict has no {key}")))
            }
        }
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
        let mut merged = Dict { entries: dict.borrow().entries.clone(), is_ordered: dict.borrow().is_ordered };
        i.cells(merged.entries.len())?;
        i.cycles.changed(&b.get("self"), &b.get("self"));
        i.update_dict(&mut merged, &b.get("other"))?;
        i.update_dict(&mut merged, &b.get("kwargs"))?;
        *dict.borrow_mut() = merged;
        Ok(Value::None)
    },
    "dict.copy" "self, /" => |i, b| {
        let dict = dict(b)?;
        let copy = Dict { entries: dict.borrow().entries.clone(), is_ordered: dict.borrow().is_ordered };
        i.cells(copy.entries.len())?;
        Ok(Value::Dict(Rc::new(copy.into())))
    },
};

static SET: Table = natives! {
    "set.add" "self, item, /" => |i, b| {
        let item = b.get("item");
        let key = i.key(&item)?;
        i.cells(1)?;
        i.cycles.changed(&b.get("self"), &item);
        dict(b)?.borrow_mut().entries.entry(key).or_insert((item.clone(), item));
        Ok(Value::None)
    },
    "set.discard" "self, item, /" => |i, b| removed(i, b).map(|_| Value::None),
    "set.remove" "self, item, /" => |i, b| match removed(i, b)? {
        true => Ok(Value::None),
        false => Err(Fault::python("KeyError", "that is not in the set")),
    },
    "set.clear" "self, /" => |_, b| {
        let entries = std::mem::take(&mut dict(b)?.borrow_mut().entries);
        drop(entries);
        Ok(Value::None)
    },
    "set.copy" "self, /" => |i, b| {
        let items = i.items(&b.get("self"))?;
        i.set_of(items)
    },
    "set.update" "self, items, /" => |i, b| {
        let more = i.items(&b.get("items"))?;
        let Value::Set(more) = i.set_of(more)? else { return Ok(Value::None) };
        i.cycles.changed(&b.get("self"), &b.get("items"));
        let set = dict(b)?;
        for (key, entry) in &more.borrow().entries {
            set.borrow_mut().entries.entry(key.clone()).or_insert_with(|| entry.clone());
        }
        Ok(Value::None)
    },
    "set.union" "self, items, /" => |i, b| joined(i, b, Operator::BitOr),
    "set.intersection" "self, items, /" => |i, b| joined(i, b, Operator::BitAnd),
    "set.difference" "self, items, /" => |i, b| joined(i, b, Operator::Sub),
    "set.symmetric_difference" "self, items, /" => |i, b| joined(i, b, Operator::BitXor),
    "set.issubset" "self, items, /" => |i, b| {
        let Value::Set(rest) = joined(i, b, Operator::Sub)? else { return Ok(Value::None) };
        Ok(Value::Bool(rest.borrow().entries.is_empty()))
    },
    "set.issuperset" "self, items, /" => |i, b| {
        for item in i.items(&b.get("items"))? {
            if !i.contains(&b.get("self"), &item)? {
                return Ok(Value::Bool(false));
            }
        }
        Ok(Value::Bool(true))
    },
    "set.isdisjoint" "self, items, /" => |i, b| {
        let Value::Set(both) = joined(i, b, Operator::BitAnd)? else { return Ok(Value::None) };
        Ok(Value::Bool(both.borrow().entries.is_empty()))
    },
};

/// Takes an element out of a set; whether it was there.
fn removed(i: &mut Interpreter, b: &Bound) -> Result<bool> {
    let key = i.key(&b.get("item"))?;
    let set = dict(b)?;
    i.step(set.borrow().entries.len() as u64 / 32)?;
    let found = set.borrow_mut().entries.shift_remove(&key);
    Ok(found.is_some())
}

/// A set and elements of anything.
fn joined(i: &mut Interpreter, b: &Bound, op: Operator) -> Result<Value> {
    let items = i.items(&b.get("items"))?;
    let other = i.set_of(items)?;
    i.binary(op, &b.get("self"), &other)
}

/// A text without some characters at its ends.
fn stripped(b: &Bound, start: bool, end: bool) -> Result<Value> {
    let text = b.string("self")?;
    let chars = match b.get("chars") {
        Value::Str(chars) => Some(chars.chars().collect::<HashSet<char>>()),
        _ => None,
    };
    let goes = |c: char| chars.as_ref().map_or(c.is_whitespace(), |chars| chars.contains(&c));
    let mut rest = &*text;
    if start {
        rest = rest.trim_start_matches(goes);
    }
    if end {
        rest = rest.trim_end_matches(goes);
    }
    Ok(Value::str(rest))
}

/// Where a part of a text begins, in characters.
fn found_at(b: &Bound) -> Result<Option<i64>> {
    let (text, part) = (b.string("self")?, b.string("sub")?);
    let found = text.find(&*part).map(|at| text[..at].chars().count());
    Ok(found.and_then(|at| i64::try_from(at).ok()))
}

fn every(b: &Bound, test: fn(char) -> bool) -> Result<Value> {
    let text = b.string("self")?;
    Ok(Value::Bool(!text.is_empty() && text.chars().all(test)))
}

/// How many characters a text lacks.
fn missing(i: &mut Interpreter, b: &Bound, text: &str) -> Result<usize> {
    let width = usize::try_from(b.int("width")?).unwrap_or(0);
    i.cells(width.saturating_mul(4))?;
    Ok(width.saturating_sub(text.chars().count()))
}

/// A text filled up to a width; `before` says how much of what is missing comes in front.
fn filled(i: &mut Interpreter, b: &Bound, before: fn(usize) -> usize) -> Result<Value> {
    let (text, fill) = (b.string("self")?, b.string("fillchar")?);
    let missing = missing(i, b, &text)?;
    if fill.chars().count() != 1 {
        return Err(b.wrong("fillchar", "one character"));
    }
    let front = before(missing);
    Ok(Value::str(format!("{}{text}{}", fill.repeat(front), fill.repeat(missing - front))))
}

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

static INT: Table = natives! {
    "int.bit_length" "self, /" => |_, b| Ok(Value::Int(i64::from(64 - b.int("self")?.unsigned_abs().leading_zeros()))),
    "int.is_integer" "self, /" => |_, _| Ok(Value::Bool(true)),
};

static FLOAT: Table = natives! {
    "float.is_integer" "self, /" => |_, b| {
        let x = b.float("self")?;
        Ok(Value::Bool(x.is_finite() && x.fract() == 0.0))
    },
};

static FROM_KEYS: Native = Native {
    name: "dict.fromkeys",
    signature: "iterable, value=None, /",
    call: |i, b| {
        let mut dict = Dict::default();
        for item in i.items(&b.get("iterable"))? {
            dict.entries.insert(i.key(&item)?, (item, b.get("value")));
        }
        Ok(Value::Dict(Rc::new(dict.into())))
    },
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
    match b.get("self").plain() {
        Value::List(list) => Ok(list.clone()),
        _ => Err(b.wrong("self", "a list")),
    }
}

fn dict(b: &Bound) -> Result<Rc<std::cell::RefCell<Dict>>> {
    match b.get("self").plain() {
        Value::Dict(dict) | Value::Set(dict) => Ok(dict.clone()),
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
        let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
        // `{0[1]}`, `{x.y}`
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (name, mut path) = name.split_at(end);
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
        let mut value = value
            .ok_or_else(|| Fault::python("IndexError", format!("there is no value for `{{{hole}}}`")))?;
        while let Some(first) = path.chars().next() {
            let Some(rest) = path.strip_prefix(['.', '[']) else {
                return Err(Fault::value(format!("`{{{hole}}}` continues after a `]`")));
            };
            let end = rest.find(if first == '[' { &[']'][..] } else { &['.', '['] }).unwrap_or(rest.len());
            let part = &rest[..end];
            path = &rest[if first == '[' { (end + 1).min(rest.len()) } else { end }..];
            value = match (first, part.parse::<i64>()) {
                ('[', Ok(index)) => i.item(&value, &Value::Int(index))?,
                ('[', Err(_)) => i.item(&value, &Value::str(part))?,
                _ => i.attribute(&value, part)?,
            };
        }
        let value = match conversion {
            "" => value,
            "r" => Value::str(i.repr_of(&value)?),
            _ => Value::str(i.string_of(&value)?),
        };
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
            Value::Int(_) | Value::Bool(_) => INT,
            Value::Float(_) => FLOAT,
            _ => return Ok(None),
        };
        if name == "__class__" {
            let class = Value::Class(self.class("builtins.type")?);
            return self.call(&class, Args::of([of.clone()])).map(Some);
        }
        if name == "fromkeys" && matches!(of, Value::Dict(_)) {
            return Ok(Some(Value::Native(&FROM_KEYS)));
        }
        let native = table.iter().find(|native| native.name.split('.').nth(1) == Some(name));
        let method = native.map(Value::Native).or_else(|| match super::object::method(name) {
            Some(found @ Value::Native(_)) if !name.ends_with("attr__") && name != "__post_init__" => {
                Some(found)
            }
            _ => None,
        });
        Ok(method.map(|method| Value::Method(Rc::new((method, of.clone())))))
    }

    /// The same without a value: `str.lower`, `dict.fromkeys`.
    pub(super) fn method_of_type(&mut self, of: &str, name: &str) -> Option<Value> {
        let table = match of {
            "builtins.str" => STR,
            "builtins.list" => LIST,
            "builtins.dict" | "collections.OrderedDict" | "collections.defaultdict" if name == "fromkeys" => {
                return Some(Value::Native(&FROM_KEYS));
            }
            "builtins.dict" | "collections.OrderedDict" | "collections.defaultdict" => DICT,
            "builtins.set" => SET,
            "builtins.tuple" => SIZE,
            "builtins.int" => INT,
            "builtins.float" => FLOAT,
            _ => return None,
        };
        table.iter().find(|native| native.name.split('.').nth(1) == Some(name)).map(Value::Native)
    }

    /// Values in order, or what `key` makes of them; those that are equal stay as they are.
    pub(crate) fn sorted(&mut self, items: Vec<Value>, key: &Value, reverse: bool) -> Result<Vec<Value>> {
        use std::cmp::Ordering;
        let before = if reverse { Ordering::Greater } else { Ordering::Less };
        // Insertion by bisection: an order that contradicts itself cannot do harm.
        let mut sorted: Vec<(Value, Value)> = Vec::with_capacity(items.len());
        for item in items {
            let by = match key {
                Value::None => item.clone(),
                key => self.call(key, Args::of([item.clone()]))?,
            };
            let (mut low, mut high) = (0, sorted.len());
            while low < high {
                let middle = usize::midpoint(low, high);
                if self.ordering(&by, &sorted[middle].0)? == Some(before) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            self.step(1 + sorted.len() as u64 / 64)?;
            sorted.insert(low, (by, item));
        }
        Ok(sorted.into_iter().map(|(_, item)| item).collect())
    }

    /// Calls a method by name.
    pub(crate) fn call_method(&mut self, of: &Value, name: &str, args: Args) -> Result<Value> {
        let method = self.attribute(of, name)?;
        self.call(&method, args)
    }
}
