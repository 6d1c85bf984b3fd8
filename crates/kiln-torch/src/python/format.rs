//! Values as text: `str`, `repr`, f-strings.

use ruff_python_ast::{ConversionFlag, ExprFString, FStringPart, InterpolatedStringElement};

use super::Interpreter;
use super::fault::{Fault, Result};
use super::scope::Env;
use super::value::{NativeClass, Value};

/// How a value is written in a program, shortened.
pub(crate) fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(value, 4, &mut out);
    out
}

/// Longer texts are of no use in a message.
const LONGEST: usize = 2000;

fn write_repr(value: &Value, depth: usize, out: &mut String) {
    if out.len() > LONGEST || depth == 0 {
        out.push_str("...");
        return;
    }
    let mut list = |open: &str, items: &[Value], close: &str| {
        out.push_str(open);
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            write_repr(item, depth - 1, out);
            if out.len() > LONGEST {
                break;
            }
        }
        out.push_str(close);
    };
    match value {
        Value::None => out.push_str("None"),
        Value::Ellipsis => out.push_str("..."),
        Value::Bool(b) => out.push_str(if *b { "True" } else { "False" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::Float(x) => out.push_str(&float(*x)),
        Value::Str(s) => {
            let short: String = s.chars().take(LONGEST).collect();
            let quote = if short.contains('\'') && !short.contains('"') { '"' } else { '\'' };
            out.push(quote);
            for c in short.chars() {
                match c {
                    '\'' | '"' if c != quote => out.push(c),
                    c => out.extend(c.escape_debug()),
                }
            }
            out.push(quote);
        }
        Value::Size(dim) => out.push_str(&dim.to_string()),
        Value::Training => out.push_str("self.training"),
        Value::Tuple(items) if items.len() == 1 => list("(", items, ",)"),
        Value::Tuple(items) => list("(", items, ")"),
        Value::List(items) => list("[", &items.borrow(), "]"),
        Value::Dict(dict) if dict.borrow().is_ordered => {
            let pairs = dict
                .borrow()
                .entries
                .values()
                .take(LONGEST)
                .map(|(k, v)| Value::tuple([k.clone(), v.clone()]))
                .collect::<Vec<_>>();
            out.push_str("OrderedDict(");
            if !pairs.is_empty() {
                write_repr(&Value::list(pairs), depth - 1, out);
            }
            out.push(')');
        }
        Value::Dict(dict) => {
            out.push('{');
            for (i, (key, value)) in dict.borrow().entries.values().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_repr(key, depth - 1, out);
                out.push_str(": ");
                write_repr(value, depth - 1, out);
                if out.len() > LONGEST {
                    break;
                }
            }
            out.push('}');
        }
        Value::Set(set) if set.borrow().entries.is_empty() => out.push_str("set()"),
        Value::Set(set) => {
            let items: Vec<Value> = set.borrow().entries.values().map(|(key, _)| key.clone()).collect();
            list("{", &items, "}");
        }
        Value::Range(range) => out.push_str(&format!("range({}, {}, {})", range[0], range[1], range[2])),
        Value::Class(class) => out.push_str(&class.name),
        Value::Function(function) => out.push_str(&function.name.borrow()),
        Value::Object(object) => out.push_str(&format!("{}()", object.class.name)),
        Value::DType(dtype) => out.push_str(&format!("torch.{dtype}")),
        other => out.push_str(&format!("<{}>", other.type_name())),
    }
}

/// A number with a point as Python writes it.
fn float(x: f64) -> String {
    if x.is_infinite() {
        return if x > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if x.is_nan() {
        return "nan".into();
    }
    if x != 0.0 && !(1e-4..1e16).contains(&x.abs()) {
        // Python writes exponents of two digits.
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let text = x.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

impl Interpreter {
    /// `str(value)`
    pub(crate) fn string_of(&mut self, value: &Value) -> Result<String> {
        let text = match value {
            Value::Str(text) => text.to_string(),
            Value::Object(object) if object.class.find("__str__").is_some() => {
                let method = self.attribute(value, "__str__")?;
                let text = self.call(&method, Default::default())?;
                text.as_str().unwrap_or_default().to_owned()
            }
            Value::Object(object) if super::enumeration::is_enum(&object.class) => {
                match self.member_text(object, false)? {
                    Some(text) => text,
                    None => return self.repr_of(value),
                }
            }
            Value::Object(object)
                if matches!(object.contents.get(), Some(Value::Str(_)))
                    && object.class.find("__repr__").is_none() =>
            {
                value.as_str().unwrap_or_default().to_owned()
            }
            Value::Object(object) if object.class.is_named("torch.device") => {
                let part = |name: &str| object.get(name).unwrap_or(Value::None);
                match part("index") {
                    Value::Int(index) => format!("{}:{index}", part("type").as_str().unwrap_or_default()),
                    _ => part("type").as_str().unwrap_or_default().to_owned(),
                }
            }
            Value::Object(object) if matches!(object.class.native(), NativeClass::Exception) => {
                match object.get("args") {
                    Some(Value::Tuple(args)) if args.is_empty() => String::new(),
                    Some(Value::Tuple(args)) if args.len() == 1 => {
                        self.deeper(|this| this.string_of(&args[0]))?
                    }
                    args => repr(&args.unwrap_or(Value::None)),
                }
            }
            other => return self.repr_of(other),
        };
        self.cells(text.len())?;
        Ok(text)
    }

    /// `repr(value)`
    pub(crate) fn repr_of(&mut self, value: &Value) -> Result<String> {
        let text = match value {
            Value::Object(object) if object.class.find("__repr__").is_some() => {
                let method = self.attribute(value, "__repr__")?;
                let text = self.deeper_call(|this| this.call(&method, Default::default()))?;
                text.as_str().unwrap_or_default().to_owned()
            }
            _ => return self.plain_repr(value),
        };
        self.cells(text.len())?;
        Ok(text)
    }

    /// `repr(value)` without the `__repr__` of the class.
    pub(crate) fn plain_repr(&mut self, value: &Value) -> Result<String> {
        let text = match value {
            Value::Object(object) => {
                if let Some(text) = self.member_text(object, true)? {
                    self.cells(text.len())?;
                    return Ok(text);
                }
                let is_namespace =
                    object.class.is_named("SimpleNamespace") || object.class.is_named("Namespace");
                let fields = match self.shown_fields(value)? {
                    Some(fields) => Some(fields),
                    None if object.class.find("_fields").is_some() => self.fields_of(value)?,
                    None if is_namespace => {
                        self.cells(object.attributes.borrow().len())?;
                        let attributes = object.attributes.borrow();
                        Some(attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
                    }
                    None => None,
                };
                match (fields, object.contents.get()) {
                    (Some(fields), _) => {
                        let mut parts = vec![];
                        for (name, value) in &fields {
                            parts.push(format!("{name}={}", self.deeper(|this| this.repr_of(value))?));
                        }
                        let name = if object.class.is_named("SimpleNamespace") {
                            "namespace"
                        } else {
                            &*object.class.name
                        };
                        format!("{name}({})", parts.join(", "))
                    }
                    (None, Some(contents)) => {
                        let contents = contents.clone();
                        return self.deeper(|this| this.repr_of(&contents));
                    }
                    _ if object.class.is_named("torch.device") => {
                        let part = |name: &str| object.get(name).unwrap_or(Value::None);
                        match part("index") {
                            Value::Int(index) => {
                                format!("device(type={}, index={index})", repr(&part("type")))
                            }
                            _ => format!("device(type={})", repr(&part("type"))),
                        }
                    }
                    _ => repr(value),
                }
            }
            Value::Attributes(_) => {
                let dict = self.dict_of(value)?;
                return self.deeper(|this| this.repr_of(&dict));
            }
            // What is in them may have a `__repr__`.
            Value::List(items) if items.borrow().iter().any(|item| matches!(item, Value::Object(_))) => {
                let items = items.borrow().clone();
                format!("[{}]", self.reprs(&items)?)
            }
            Value::Tuple(items) if items.iter().any(|item| matches!(item, Value::Object(_))) => {
                let comma = if items.len() == 1 { "," } else { "" };
                format!("({}{comma})", self.reprs(items)?)
            }
            _ => repr(value),
        };
        self.cells(text.len())?;
        Ok(text)
    }

    fn reprs(&mut self, items: &[Value]) -> Result<String> {
        let mut parts = vec![];
        for item in items {
            parts.push(self.deeper_call(|this| this.repr_of(item))?);
        }
        Ok(parts.join(", "))
    }

    /// An f-string.
    pub(crate) fn f_string(&mut self, env: &Env, string: &ExprFString) -> Result<Value> {
        let mut out = String::new();
        for part in &string.value {
            match part {
                FStringPart::Literal(literal) => out.push_str(&literal.value),
                FStringPart::FString(parts) => self.interpolate(env, &parts.elements, &mut out)?,
            }
        }
        self.cells(out.len())?;
        Ok(Value::str(out))
    }

    fn interpolate<'a>(
        &mut self,
        env: &Env,
        elements: impl IntoIterator<Item = &'a InterpolatedStringElement>,
        out: &mut String,
    ) -> Result<()> {
        for element in elements {
            match element {
                InterpolatedStringElement::Literal(literal) => out.push_str(&literal.value),
                InterpolatedStringElement::Interpolation(hole) => {
                    let value = self.eval(env, &hole.expression)?;
                    if let Some(text) = &hole.debug_text {
                        out.push_str(text.leading());
                        out.push_str(self.text_of(crate::source::Span::of(env.file, &*hole.expression)));
                        out.push_str(text.trailing());
                    }
                    // `f"{n=}"` writes values as in a program.
                    let plain = hole.debug_text.is_some() && hole.format_spec.is_none();
                    let value = match hole.conversion {
                        ConversionFlag::None if plain => Value::str(self.repr_of(&value)?),
                        ConversionFlag::Repr | ConversionFlag::Ascii => Value::str(self.repr_of(&value)?),
                        ConversionFlag::Str => Value::str(self.string_of(&value)?),
                        ConversionFlag::None => value,
                    };
                    let mut spec = String::new();
                    if let Some(format) = &hole.format_spec {
                        self.deeper(|this| this.interpolate(env, &format.elements, &mut spec))?;
                    }
                    out.push_str(&self.formatted(&value, &spec)?);
                }
            }
            self.cells(1)?;
        }
        Ok(())
    }

    /// `format(value, spec)`
    pub(crate) fn formatted(&mut self, value: &Value, spec: &str) -> Result<String> {
        if spec.is_empty() {
            return self.string_of(value);
        }
        if let Value::Object(object) = value {
            if object.class.find("__format__").is_some() {
                let text = self.call_method(value, "__format__", super::Args::of([Value::str(spec)]))?;
                return Ok(text.as_str().unwrap_or_default().to_owned());
            }
            if let Some(contents) = object.contents.get() {
                let contents = contents.clone();
                return self.deeper(|this| this.formatted(&contents, spec));
            }
        }
        let odd = || Fault::unsupported(format!("the format `{spec}` is not supported"));
        let spec = Spec::read(spec).ok_or_else(odd)?;
        let text = match (spec.kind, value) {
            ("" | "s", Value::Str(text)) => {
                let text: String = text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
                return Ok(spec.filled("", &text, '<'));
            }
            ("" | "d" | "b" | "o" | "x" | "X", Value::Int(_) | Value::Bool(_))
                if spec.precision.is_none() =>
            {
                if spec.kind.is_empty() && matches!(value, Value::Bool(_)) {
                    let text = self.string_of(value)?;
                    return Ok(spec.filled("", &text, '<'));
                }
                let number = value.as_int().unwrap_or(0);
                let size = number.unsigned_abs();
                let (digits, prefix) = match spec.kind {
                    "b" => (format!("{size:b}"), "0b"),
                    "o" => (format!("{size:o}"), "0o"),
                    "x" => (format!("{size:x}"), "0x"),
                    "X" => (format!("{size:X}"), "0X"),
                    _ => (size.to_string(), ""),
                };
                let prefix = if spec.alternate { prefix } else { "" };
                return Ok(spec.signed(number < 0, prefix, &digits));
            }
            ("e" | "E" | "f" | "F" | "g" | "G" | "%" | "", _) if value.as_f64().is_some() => {
                let x = value.as_f64().unwrap_or(0.0);
                (real(x.abs(), &spec), x.is_sign_negative() && !x.is_nan())
            }
            ("" | "d", Value::Size(_)) => (repr(value), false),
            ("", _) => {
                let text = self.string_of(value)?;
                return Ok(spec.filled("", &text, '<'));
            }
            _ => return Err(odd()),
        };
        Ok(spec.signed(text.1, "", &text.0))
    }

    /// `"format" % values`
    pub(crate) fn percent(&mut self, format: &str, values: &Value) -> Result<Value> {
        let mut positional = match values.plain() {
            Value::Tuple(items) => {
                self.step(items.len() as u64 / 8)?;
                items.to_vec()
            }
            other => vec![other.clone()],
        }
        .into_iter();
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let mut named = None;
            if let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
                named = Some(self.item(values, &Value::str(name))?);
                rest = after;
            }
            let end = rest
                .find(|c: char| c.is_ascii_alphabetic())
                .ok_or_else(|| Fault::value("a format ends early"))?;
            let (spec, kind) = (&rest[..end], &rest[end..=end]);
            rest = &rest[end + 1..];
            let value = match named {
                Some(value) => value,
                None => positional
                    .next()
                    .ok_or_else(|| Fault::type_error("there are fewer values than the format has places"))?,
            };
            // All is to the right here, but for what has a `-`.
            let spec = match spec.strip_prefix('-') {
                Some(spec) => format!("<{spec}"),
                None if matches!(kind, "s" | "r") => format!(">{spec}"),
                None => spec.to_owned(),
            };
            let (value, kind) = match (kind, &value) {
                ("s", _) => (Value::str(self.string_of(&value)?), "s"),
                ("r", _) => (Value::str(self.repr_of(&value)?), "s"),
                ("d" | "i" | "u", Value::Float(x)) if x.abs() < 9e15 => (Value::Int(x.trunc() as i64), "d"),
                ("i" | "u", _) => (value, "d"),
                (kind, _) => (value, kind),
            };
            out.push_str(&self.formatted(&value, &format!("{spec}{kind}"))?);
        }
        out.push_str(rest);
        self.cells(out.len())?;
        Ok(Value::str(out))
    }
}

/// What stands behind the colon: `[[fill]align][sign][#][0][width][,][.precision][type]`.
struct Spec<'a> {
    fill: char,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    thousands: Option<char>,
    precision: Option<usize>,
    kind: &'a str,
}

impl<'a> Spec<'a> {
    fn read(spec: &'a str) -> Option<Self> {
        let is_align = |c: &char| matches!(c, '<' | '>' | '^' | '=');
        let (mut fill, mut align, mut rest) = (' ', None, spec);
        let mut letters = spec.chars();
        match (letters.next(), letters.next()) {
            (Some(first), Some(second)) if is_align(&second) => {
                (fill, align, rest) = (first, Some(second), letters.as_str());
            }
            (Some(first), _) if is_align(&first) => (align, rest) = (Some(first), &spec[1..]),
            _ => {}
        }
        let sign = rest.chars().next().filter(|c| matches!(c, '+' | '-' | ' '));
        rest = &rest[usize::from(sign.is_some())..];
        let alternate = rest.starts_with('#');
        rest = &rest[usize::from(alternate)..];
        if let Some(zeros) = rest.strip_prefix('0') {
            rest = zeros;
            if align.is_none() {
                (fill, align) = ('0', Some('='));
            }
        }
        let number = |rest: &mut &'a str| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, behind) = rest.split_at(digits);
            *rest = behind;
            if number.is_empty() { Some(None) } else { number.parse::<usize>().ok().map(Some) }
        };
        let width = number(&mut rest)?.unwrap_or(0);
        let thousands = rest.chars().next().filter(|c| matches!(c, ',' | '_'));
        rest = &rest[usize::from(thousands.is_some())..];
        let mut precision = None;
        if let Some(behind) = rest.strip_prefix('.') {
            rest = behind;
            precision = Some(number(&mut rest)??);
        }
        let is_small = width <= 1000 && precision.is_none_or(|p| p <= 100);
        is_small.then_some(Self { fill, align, sign, alternate, width, thousands, precision, kind: rest })
    }

    /// A number's size with its sign.
    fn signed(&self, is_negative: bool, prefix: &str, size: &str) -> String {
        let sign = match (is_negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        };
        let size = match self.thousands {
            Some(separator) => {
                let end = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
                grouped(&size[..end], separator) + &size[end..]
            }
            None => size.to_owned(),
        };
        self.filled(&format!("{sign}{prefix}"), &size, '>')
    }

    fn filled(&self, front: &str, text: &str, usual: char) -> String {
        let missing = self.width.saturating_sub(front.chars().count() + text.chars().count());
        let pad = |count| std::iter::repeat_n(self.fill, count).collect::<String>();
        match self.align.unwrap_or(usual) {
            '<' => format!("{front}{text}{}", pad(missing)),
            '>' => format!("{}{front}{text}", pad(missing)),
            '=' => format!("{front}{}{text}", pad(missing)),
            _ => format!("{}{front}{text}{}", pad(missing / 2), pad(missing - missing / 2)),
        }
    }
}

/// The size of a number with a point.
fn real(x: f64, spec: &Spec<'_>) -> String {
    if !x.is_finite() {
        return float(x);
    }
    let precision = spec.precision.unwrap_or(6);
    match spec.kind {
        "f" | "F" => format!("{x:.precision$}"),
        "%" => format!("{:.precision$}%", x * 100.0),
        "e" | "E" => exponential(x, precision),
        "" if spec.precision.is_none() => float(x),
        _ => {
            // As many digits as requested, with an exponent only where that is shorter.
            let digits = precision.max(1);
            let scientific = exponential(x, digits - 1);
            let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
            let power: i32 = power.parse().unwrap_or(0);
            let limit = i32::try_from(digits).unwrap_or(i32::MAX);
            let trimmed = |text: &str| match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text.to_owned(),
            };
            if (-4..limit).contains(&power) {
                let decimals = usize::try_from(limit - 1 - power).unwrap_or(0);
                let text = trimmed(&format!("{x:.decimals$}"));
                if spec.kind.is_empty() && !text.contains('.') { text + ".0" } else { text }
            } else {
                let (_, exponent) = scientific.split_at(mantissa.len());
                trimmed(mantissa) + exponent
            }
        }
    }
}

/// `1.50e-07`: Python writes exponents of two digits.
fn exponential(x: f64, precision: usize) -> String {
    let text = format!("{x:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `1,234,567`
fn grouped(digits: &str, separator: char) -> String {
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}
