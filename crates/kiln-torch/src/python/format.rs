//! Values as text: `str`, `repr`, f-strings.

use ruff_python_ast::{ConversionFlag, ExprFString, FStringPart, InterpolatedStringElement};

use super::Interpreter;
use super::fault::{Fault, Result};
use super::scope::Env;
use super::value::Value;

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
            out.push_str(&format!("'{}'", short.escape_debug().to_string().replace("\\\"", "\"")));
        }
        Value::Size(dim) => out.push_str(&dim.to_string()),
        Value::Training => out.push_str("self.training"),
        Value::Tuple(items) if items.len() == 1 => list("(", items, ",)"),
        Value::Tuple(items) => list("(", items, ")"),
        Value::List(items) => list("[", &items.borrow(), "]"),
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
            other => repr(other),
        };
        self.cells(text.len())?;
        Ok(text)
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
                    let value = match hole.conversion {
                        ConversionFlag::Repr | ConversionFlag::Ascii => Value::str(repr(&value)),
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

    /// `format(value, spec)`, as far as names of layers need it: width, alignment, zeros, decimals.
    pub(crate) fn formatted(&mut self, value: &Value, spec: &str) -> Result<String> {
        if spec.is_empty() {
            return self.string_of(value);
        }
        let odd = || Fault::unsupported(format!("the format `{spec}` is not supported"));
        let mut rest = spec;
        let (mut fill, mut align) = (' ', None);
        let mut characters = spec.chars();
        if let (Some(first), Some(second)) = (characters.next(), characters.next())
            && matches!(second, '<' | '>' | '^')
        {
            (fill, align, rest) = (first, Some(second), &spec[first.len_utf8() + 1..]);
        } else if let Some(first @ ('<' | '>' | '^')) = spec.chars().next() {
            (align, rest) = (Some(first), &spec[1..]);
        }
        if let Some(zeros) = rest.strip_prefix('0') {
            (fill, rest) = ('0', zeros);
            align.get_or_insert('>');
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let width: usize = if digits == 0 { 0 } else { rest[..digits].parse().map_err(|_| odd())? };
        let rest = &rest[digits..];
        let (rest, thousands) = rest.strip_prefix(',').map_or((rest, false), |rest| (rest, true));
        let (precision, kind) = match rest.strip_prefix('.') {
            Some(rest) => {
                let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                let precision: usize = rest[..digits].parse().map_err(|_| odd())?;
                (Some(precision), &rest[digits..])
            }
            None => (None, rest),
        };
        if width > 1000 || precision.is_some_and(|p| p > 100) {
            return Err(odd());
        }
        let text = match (kind, value) {
            ("" | "s", Value::Str(text)) => text.chars().take(precision.unwrap_or(usize::MAX)).collect(),
            ("" | "d", Value::Int(i)) if thousands => grouped(*i),
            ("" | "d", Value::Int(_) | Value::Bool(_) | Value::Size(_)) => match value.as_int() {
                Some(i) => i.to_string(),
                None => repr(value),
            },
            ("f" | "F" | "", _) if value.as_f64().is_some() && (!kind.is_empty() || precision.is_some()) => {
                format!("{:.*}", precision.unwrap_or(6), value.as_f64().unwrap_or(0.0))
            }
            ("%", _) if value.as_f64().is_some() => {
                format!("{:.*}%", precision.unwrap_or(6), value.as_f64().unwrap_or(0.0) * 100.0)
            }
            ("e", _) if value.as_f64().is_some() => {
                format!("{:.*e}", precision.unwrap_or(6), value.as_f64().unwrap_or(0.0))
            }
            ("g", _) if value.as_f64().is_some() => repr(value),
            ("x", Value::Int(i)) => format!("{i:x}"),
            ("", _) => self.string_of(value)?,
            _ => return Err(odd()),
        };
        let missing = width.saturating_sub(text.chars().count());
        let left = align.unwrap_or(if value.as_f64().is_some() { '>' } else { '<' });
        let (before, after) = match left {
            '<' => (0, missing),
            '>' => (missing, 0),
            _ => (missing / 2, missing - missing / 2),
        };
        let pad = |count| std::iter::repeat_n(fill, count).collect::<String>();
        Ok(format!("{}{text}{}", pad(before), pad(after)))
    }

    /// `"format" % values`
    pub(crate) fn percent(&mut self, format: &str, values: &Value) -> Result<Value> {
        let mut values = match values {
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
            let end = rest
                .find(|c: char| c.is_ascii_alphabetic())
                .ok_or_else(|| Fault::value("a format ends early"))?;
            let (spec, kind) = (&rest[..end], &rest[end..=end]);
            rest = &rest[end + 1..];
            let value = values
                .next()
                .ok_or_else(|| Fault::type_error("there are fewer values than the format has places"))?;
            let kind = match kind {
                "s" | "r" => "",
                "i" => "d",
                other => other,
            };
            let value = if kind.is_empty() { Value::str(self.string_of(&value)?) } else { value };
            out.push_str(&self.formatted(&value, &format!("{spec}{kind}"))?);
        }
        out.push_str(rest);
        self.cells(out.len())?;
        Ok(Value::str(out))
    }
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if number < 0 { format!("-{out}") } else { out }
}
