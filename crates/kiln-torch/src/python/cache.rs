//! `functools.lru_cache`: functions that cache their results.

use std::rc::Rc;

use super::Interpreter;
use super::call::Args;
use super::fault::Result;
use super::methods::natives;
use super::native::Native;
use super::value::{Key, Partial, Value, Wrapper};

pub(super) static FUNCTIONS: &[Native] = natives! {
    "functools.lru_cache" "maxsize=128, typed=False" => |_, b| Ok(match b.get("maxsize") {
        // `@lru_cache` without brackets.
        function @ (Value::Function(_) | Value::Wrapped(..) | Value::Partial(_) | Value::Class(_) | Value::Native(_)) => cached(function, Value::Int(128)),
        most => Value::Partial(Rc::new(Partial {
            callee: Value::Native(&CACHED),
            positional: vec![],
            named: vec![("maxsize".into(), most)],
        })),
    }),
    "functools.cache" "function, /" => |_, b| Ok(cached(b.get("function"), Value::None)),
    "functools.cached_property" "function, /" => |_, b| {
        Ok(Value::Wrapped(Wrapper::CachedProperty, Rc::new(b.get("function"))))
    },
};

/// `lru_cache(maxsize)`, the decorator.
static CACHED: Native = Native {
    name: "functools.lru_cache",
    signature: "function, /, maxsize",
    call: |_, b| Ok(cached(b.get("function"), b.get("maxsize"))),
};

/// A call of a function that remembers.
static REMEMBER: Native = Native {
    name: "functools.lru_cache",
    signature: "function, known, maxsize, /, *args, **kwargs",
    call: |i, b| {
        let args = super::rest(i, b)?;
        let mut parts = vec![];
        for value in &args.positional {
            parts.push(i.key(value)?);
        }
        let mut named: Vec<&(Rc<str>, Value)> = args.named.iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in named {
            parts.push(Key::Tuple(vec![Key::Str(name.clone()), i.key(value)?]));
        }
        let key = Key::Tuple(parts);
        let Value::Dict(known) = b.get("known") else { return Ok(Value::None) };
        let found = known.borrow_mut().entries.shift_remove(&key);
        i.step(known.borrow().entries.len() as u64 / 32)?;
        let value = match found {
            Some((_, value)) => value,
            None => i.call(&b.get("function"), args)?,
        };
        i.cells(1)?;
        i.cycles.changed(&b.get("known"), &value);
        let mut known = known.borrow_mut();
        // The most recently used is at the end.
        known.entries.insert(key, (Value::None, value.clone()));
        if let Some(most) = b.get("maxsize").as_int()
            && i64::try_from(known.entries.len()).is_ok_and(|count| count > most.max(0))
        {
            known.entries.shift_remove_index(0);
        }
        Ok(value)
    },
};

fn cached(function: Value, most: Value) -> Value {
    let known = Value::Dict(Rc::default());
    let partial =
        Partial { callee: Value::Native(&REMEMBER), positional: vec![function, known, most], named: vec![] };
    Value::Wrapped(Wrapper::Cached, Rc::new(Value::Partial(Rc::new(partial))))
}

impl Interpreter {
    /// Attributes of functions that remember.
    pub(super) fn of_cached(&mut self, cached: &Value, name: &str) -> Result<Option<Value>> {
        static CLEAR: Native = Native {
            name: "cache_clear",
            signature: "known, /",
            call: |i, b| i.call_method(&b.get("known"), "clear", Args::default()),
        };
        let Value::Partial(partial) = cached else { return Ok(None) };
        let [function, known, _] = &partial.positional[..] else { return Ok(None) };
        match name {
            "cache_clear" => Ok(Some(Value::Method(Rc::new((Value::Native(&CLEAR), known.clone()))))),
            "__wrapped__" => Ok(Some(function.clone())),
            _ => self.deeper(|this| this.find_attribute(function, name)),
        }
    }
}
