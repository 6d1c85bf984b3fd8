//! Elements of things: iterating, indexing, slicing, membership, length.

use std::rc::Rc;

use super::Interpreter;
use super::fault::{Fault, Result};
use super::value::{Container, NativeClass, Value};

impl Interpreter {
    /// All elements of something that can be iterated over.
    pub(crate) fn items(&mut self, value: &Value) -> Result<Vec<Value>> {
        if let Value::Object(object) = value
            && let Some(method) = object.class.find("__iter__")
        {
            let method = Value::Method(Rc::new((method, value.clone())));
            let iterated = self.call(&method, Default::default())?;
            if matches!(&iterated, Value::Object(object) if object.class.find("__next__").is_some()) {
                return self
                    .each_until(|this, _| this.call_method(&iterated, "__next__", Default::default()));
            }
            return self.deeper(|this| this.items(&iterated));
        }
        let items: Vec<Value> = match value.plain() {
            Value::Tuple(items) => items.to_vec(),
            Value::List(items) => items.borrow().clone(),
            Value::Dict(dict) | Value::Set(dict) => {
                dict.borrow().entries.values().map(|(key, _)| key.clone()).collect()
            }
            Value::Str(text) => text.chars().map(|c| Value::str(c.to_string())).collect(),
            Value::Iterator(items) => items.borrow_mut().by_ref().collect(),
            Value::Range(range) => {
                let count = range_length(range);
                self.cells(usize::try_from(count).unwrap_or(usize::MAX))?;
                (0..count).map(|i| Value::Int(range[0].wrapping_add(range[2].wrapping_mul(i)))).collect()
            }
            Value::Object(object) => match object.class.native() {
                NativeClass::Container(Container::ModuleDict | Container::ParameterDict) => {
                    self.crowd(object)?;
                    self.named_members(object).into_iter().map(|(name, _)| Value::Str(name)).collect()
                }
                NativeClass::Container(_) => {
                    self.crowd(object)?;
                    self.members(object)
                }
                _ if object.class.find("__next__").is_some() => {
                    self.each_until(|this, _| this.call_method(value, "__next__", Default::default()))?
                }
                // As sequences were before there were iterators.
                _ if object.class.find("__getitem__").is_some() && !object.class.is_module() => {
                    self.each_until(|this, at| this.item(value, &Value::Int(at)))?
                }
                _ => return Err(not_iterable(value)),
            },
            Value::Attributes(_) => {
                let dict = self.dict_of(value)?;
                return self.items(&dict);
            }
            Value::Class(class) if super::enumeration::is_enum(class) => self.members_of(class)?,
            Value::Tensor(_) | Value::Parameter(_) => self.tensor_items(value)?,
            Value::Opaque(opaque) => return Err(super::imports::unknown(opaque)),
            Value::Failed(fault) => return Err((**fault).clone()),
            _ => return Err(not_iterable(value)),
        };
        self.cells(items.len())?;
        Ok(items)
    }

    /// Elements one by one until there are no more.
    fn each_until(&mut self, mut next: impl FnMut(&mut Self, i64) -> Result<Value>) -> Result<Vec<Value>> {
        let mut items = vec![];
        for at in 0.. {
            self.cells(1)?;
            match self.deeper_call(|this| next(this, at)) {
                Ok(item) => items.push(item),
                Err(fault) if super::exec::is_raised(&fault, &["StopIteration", "IndexError"]) => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(items)
    }

    /// How many elements there are.
    pub(crate) fn length(&mut self, value: &Value) -> Result<usize> {
        if let Value::Object(object) = value {
            self.crowd(object)?;
        }
        if let Value::Object(object) = value
            && let Some(method) = object.class.find("__len__")
        {
            let method = Value::Method(Rc::new((method, value.clone())));
            let length = self.deeper_call(|this| this.call(&method, Default::default()))?;
            return Ok(length.as_int().and_then(|n| usize::try_from(n).ok()).unwrap_or(0));
        }
        Ok(match value.plain() {
            Value::Attributes(_) => {
                let dict = self.dict_of(value)?;
                return self.length(&dict);
            }
            Value::Class(class) if super::enumeration::is_enum(class) => self.members_of(class)?.len(),
            Value::Tuple(items) => items.len(),
            Value::List(items) => items.borrow().len(),
            Value::Dict(dict) | Value::Set(dict) => dict.borrow().entries.len(),
            Value::Str(text) => text.chars().count(),
            Value::Range(range) => usize::try_from(range_length(range)).unwrap_or(0),
            Value::Object(object) => match object.class.native() {
                NativeClass::Container(_) => self.members(object).len(),
                _ => return Err(Fault::type_error(format!("a {} has no length", value.type_name()))),
            },
            Value::Opaque(opaque) => return Err(super::imports::unknown(opaque)),
            other => return Err(Fault::type_error(format!("a {} has no length", other.type_name()))),
        })
    }

    /// Whether `item` is in something.
    pub(crate) fn contains(&mut self, container: &Value, item: &Value) -> Result<bool> {
        if let Value::Object(object) = container
            && object.class.find("__contains__").is_some()
        {
            let method = self.attribute(container, "__contains__")?;
            let answer = self.deeper_call(|this| this.call(&method, super::Args::of([item.clone()])))?;
            return self.truth(&answer);
        }
        match container.plain() {
            Value::Attributes(_) => {
                let dict = self.dict_of(container)?;
                self.contains(&dict, item)
            }
            Value::Str(text) => match item.plain() {
                Value::Str(part) => {
                    self.text(text)?;
                    Ok(text.contains(&**part))
                }
                other => Err(Fault::type_error(format!("a {} cannot be in a str", other.type_name()))),
            },
            Value::Dict(dict) | Value::Set(dict) => {
                let key = self.key(item)?;
                Ok(dict.borrow().entries.contains_key(&key))
            }
            Value::Object(object)
                if matches!(
                    object.class.native(),
                    NativeClass::Container(Container::ModuleDict | Container::ParameterDict)
                ) =>
            {
                Ok(item.as_str().is_some_and(|name| object.get(name).is_some()))
            }
            _ => {
                for element in self.items(container)? {
                    if self.is_equal(&element, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// `container[key]`
    pub(crate) fn item(&mut self, container: &Value, key: &Value) -> Result<Value> {
        if let Value::Object(object) = container {
            if object.class.find("__getitem__").is_some() {
                let method = self.attribute(container, "__getitem__")?;
                return self.deeper_call(|this| this.call(&method, super::Args::of([key.clone()])));
            }
            if let Some(contents) = object.contents.get() {
                let contents = contents.clone();
                if let Value::Dict(dict) = &contents {
                    let wanted = self.key(key)?;
                    if !dict.borrow().entries.contains_key(&wanted)
                        && let Some(value) = self.missing(object, key)?
                    {
                        return Ok(value);
                    }
                }
                return self.item(&contents, key);
            }
        }
        match container {
            Value::Attributes(_) => {
                let dict = self.dict_of(container)?;
                self.item(&dict, key)
            }
            Value::Tuple(items) => match key {
                Value::Slice(slice) => self.sliced(items, slice).map(Value::tuple),
                _ => {
                    let at = position(key, items.len(), "tuple")?;
                    Ok(items[at].clone())
                }
            },
            Value::List(items) => match key {
                Value::Slice(slice) => self.sliced(&items.borrow(), slice).map(Value::list),
                _ => {
                    let items = items.borrow();
                    let at = position(key, items.len(), "list")?;
                    Ok(items[at].clone())
                }
            },
            Value::Range(_) => {
                let items = self.items(container)?;
                self.item(&Value::list(items), key)
            }
            Value::Str(text) => {
                let characters: Vec<Value> = text.chars().map(|c| Value::str(c.to_string())).collect();
                self.cells(characters.len())?;
                match key {
                    Value::Slice(slice) => {
                        let kept = self.sliced(&characters, slice)?;
                        Ok(Value::str(kept.iter().filter_map(Value::as_str).collect::<String>()))
                    }
                    _ => Ok(characters[position(key, characters.len(), "str")?].clone()),
                }
            }
            Value::Dict(dict) => {
                let wanted = self.key(key)?;
                let found = dict.borrow().entries.get(&wanted).map(|(_, value)| value.clone());
                found.ok_or_else(|| {
                    let keys: Vec<String> = dict
                        .borrow()
                        .entries
                        .values()
                        .take(12)
                        .map(|(k, _)| super::format::repr(k))
                        .collect();
                    Fault::python("KeyError", format!("the dict has no {}", super::format::repr(key))).help(
                        format!(
                            "it has {}",
                            if keys.is_empty() { "nothing".into() } else { keys.join(", ") }
                        ),
                    )
                })
            }
            Value::Object(object) if object.class.is_module() => self.module_item(&object.clone(), key),
            Value::Class(class) if super::enumeration::is_enum(class) => {
                self.member_named(&class.clone(), key)
            }
            Value::Class(class) if class.find("__class_getitem__").is_some() => {
                self.call_method(container, "__class_getitem__", super::Args::of([key.clone()]))
            }
            // `Base[Config]` is the base as well.
            Value::Class(class) if matches!(class.native, NativeClass::None) => Ok(container.clone()),
            Value::Tensor(_) | Value::Parameter(_) => self.tensor_item(container, key),
            // Types with parameters: `list[int]`, `Callable[..., nn.Module]`.
            Value::Class(_) | Value::None => Ok(Value::None),
            Value::Opaque(opaque) => Ok(Value::Opaque(opaque.clone())),
            Value::Failed(fault) => Err((**fault).clone()),
            other => Err(Fault::type_error(format!("a {} has no elements to index", other.type_name()))),
        }
    }

    /// `container[key] = value`
    pub(crate) fn set_item(&mut self, container: &Value, key: &Value, value: Value) -> Result<()> {
        if let Value::Object(object) = container
            && object.class.find("__setitem__").is_some()
        {
            let method = self.attribute(container, "__setitem__")?;
            let args = super::Args::of([key.clone(), value]);
            return self.deeper_call(|this| this.call(&method, args)).map(drop);
        }
        match container.plain() {
            Value::Attributes(view) => self.change_attribute(view, key, Some(value)),
            Value::List(items) => match key {
                Value::Slice(slice) => {
                    let new = self.items(&value)?;
                    let length = items.borrow().len();
                    let (start, stop, step) = bounds(slice, length)?;
                    self.step(length as u64 / 64)?;
                    if step != 1 {
                        let places = slice_indices(slice, length)?;
                        if places.len() != new.len() {
                            let message =
                                format!("{} values cannot be given to {} places", new.len(), places.len());
                            return Err(Fault::value(message));
                        }
                        self.cycles.changed(container, &value);
                        let mut items = items.borrow_mut();
                        places.into_iter().zip(new).for_each(|(at, item)| items[at] = item);
                        return Ok(());
                    }
                    let (start, stop) =
                        (usize::try_from(start).unwrap_or(0), usize::try_from(stop).unwrap_or(0));
                    self.cycles.changed(container, &value);
                    items.borrow_mut().splice(start..stop.max(start), new);
                    Ok(())
                }
                _ => {
                    let at = position(key, items.borrow().len(), "list")?;
                    self.cycles.changed(container, &value);
                    items.borrow_mut()[at] = value;
                    Ok(())
                }
            },
            Value::Dict(dict) => {
                let key_of = self.key(key)?;
                self.cells(1)?;
                self.cycles.changed(container, &value);
                self.cycles.changed(container, key);
                dict.borrow_mut().entries.insert(key_of, (key.clone(), value));
                Ok(())
            }
            Value::Object(object) if object.class.is_module() => {
                self.set_module_item(&object.clone(), key, value)
            }
            Value::Tensor(_) | Value::Parameter(_) => self.set_tensor_item(container, key, &value),
            Value::Opaque(_) => Ok(()),
            other => {
                Err(Fault::type_error(format!("elements of a {} cannot be assigned", other.type_name())))
            }
        }
    }

    /// `del container[key]`
    pub(crate) fn delete_item(&mut self, container: &Value, key: &Value) -> Result<()> {
        if let Value::Object(object) = container
            && object.class.find("__delitem__").is_some()
        {
            let method = self.attribute(container, "__delitem__")?;
            return self.deeper_call(|this| this.call(&method, super::Args::of([key.clone()]))).map(drop);
        }
        match container.plain() {
            Value::Attributes(view) => self.change_attribute(view, key, None)?,
            Value::List(items) if matches!(key, Value::Slice(_)) => {
                let Value::Slice(slice) = key else { return Ok(()) };
                let mut gone = slice_indices(slice, items.borrow().len())?;
                self.step(items.borrow().len() as u64 / 8)?;
                gone.sort_unstable();
                let old = std::mem::take(&mut *items.borrow_mut());
                let kept = old.into_iter().enumerate().filter(|(at, _)| gone.binary_search(at).is_err());
                *items.borrow_mut() = kept.map(|(_, item)| item).collect();
            }
            Value::List(items) => {
                let at = position(key, items.borrow().len(), "list")?;
                self.step(items.borrow().len() as u64 / 64)?;
                items.borrow_mut().remove(at);
            }
            Value::Dict(dict) => {
                let wanted = self.key(key)?;
                self.step(dict.borrow().entries.len() as u64 / 32)?;
                if dict.borrow_mut().entries.shift_remove(&wanted).is_none() {
                    let shown = super::format::repr(key);
                    return Err(Fault::python("KeyError", format!("the dict has no {shown}")));
                }
            }
            Value::Object(object) if object.class.is_module() => {
                self.delete_module_item(&object.clone(), key)?
            }
            other => {
                return Err(Fault::type_error(format!(
                    "elements of a {} cannot be deleted",
                    other.type_name()
                )));
            }
        }
        Ok(())
    }

    /// The elements that a slice takes.
    pub(crate) fn sliced(&mut self, items: &[Value], slice: &[Value; 3]) -> Result<Vec<Value>> {
        let indices = slice_indices(slice, items.len())?;
        self.cells(indices.len())?;
        Ok(indices.into_iter().map(|at| items[at].clone()).collect())
    }
}

fn not_iterable(value: &Value) -> Fault {
    let fault = Fault::type_error(format!("a {} cannot be iterated over", value.type_name()));
    match value {
        Value::Int(n) => fault.help(format!("`range({n})` counts")),
        Value::Object(object) if object.class.is_module() => fault.help(
            "`.children()` gives the modules in it; `nn.Sequential` and `nn.ModuleList` can be iterated over",
        ),
        _ => fault,
    }
}

/// The elements of a range.
pub(crate) fn range_length(range: &[i64; 3]) -> i64 {
    let [start, stop, step] = *range;
    let (low, high, step) = if step > 0 { (start, stop, step) } else { (stop, start, step.saturating_neg()) };
    if high <= low || step == 0 { 0 } else { (high.saturating_sub(low) - 1) / step + 1 }
}

/// An index as a position.
pub(crate) fn position(key: &Value, length: usize, what: &str) -> Result<usize> {
    let index = key.as_int().ok_or_else(|| {
        Fault::type_error(format!("the index of a {what} should be an integer, but is a {}", key.type_name()))
    })?;
    let counted = if index < 0 {
        index.saturating_add_unsigned(u64::try_from(length).unwrap_or(u64::MAX))
    } else {
        index
    };
    usize::try_from(counted).ok().filter(|at| *at < length).ok_or_else(|| {
        Fault::python("IndexError", format!("there is no element {index} in a {what} of {length}"))
    })
}

/// Start, end and step of a slice.
pub(crate) fn bounds(slice: &[Value; 3], length: usize) -> Result<(i64, i64, i64)> {
    let part = |value: &Value| match value {
        Value::None => Ok(None),
        other => other.as_int().map(Some).ok_or_else(|| {
            Fault::type_error(format!("slices are made of integers, not of a {}", other.type_name()))
        }),
    };
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let step = part(&slice[2])?.unwrap_or(1);
    if step == 0 {
        return Err(Fault::value("the step of a slice is zero"));
    }
    let clamp = |index: i64, low: i64, high: i64| {
        (if index < 0 { index.saturating_add(length) } else { index }).clamp(low, high)
    };
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let start = part(&slice[0])?.map_or(if step > 0 { 0 } else { high }, |i| clamp(i, low, high));
    let stop = part(&slice[1])?.map_or(if step > 0 { length } else { low }, |i| clamp(i, low, high));
    Ok((start, stop, step))
}

/// The positions that a slice takes of `length` elements.
pub(crate) fn slice_indices(slice: &[Value; 3], length: usize) -> Result<Vec<usize>> {
    let (start, stop, step) = bounds(slice, length)?;
    let count = range_length(&[start, stop, step]);
    Ok((0..count)
        .filter_map(|i| usize::try_from(start.saturating_add(step.saturating_mul(i))).ok())
        .collect())
}
