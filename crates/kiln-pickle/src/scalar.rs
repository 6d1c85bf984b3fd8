//! Instructions that put a number or a text onto the stack.

use super::input::text;
use super::machine::Machine;
use super::value::{Object, Value};
use crate::error::Problem;

/// The magic number of PyTorch's files before 1.6, lowest byte first and as text.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const MAGIC_TEXT: &str = "119547037146038801333356";

impl Machine<'_> {
    /// The value that the instruction stands for, or nothing if it is of another kind.
    pub(super) fn scalar(&mut self, instruction: u8) -> Result<Option<Value>, Problem> {
        let value = match instruction {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.input.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.input.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.input.array()?).into()),
            b'I' => match self.input.line()? {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                digits => integer(digits)?,
            },
            b'L' => integer(self.input.line()?.trim_end_matches('L'))?,
            0x8a => long(self.input.counted::<1>()?),
            0x8b => long(self.input.counted::<4>()?),
            b'F' => {
                self.input.line()?;
                Value::Float
            }
            b'G' => {
                self.input.take(8)?;
                Value::Float
            }
            b'X' => self.unicode::<4>()?,
            0x8c => self.unicode::<1>()?,
            0x8d => self.unicode::<8>()?,
            b'V' => {
                let line = self.input.line()?;
                self.text(&unescaped(line)?)
            }
            b'U' => self.python2_text::<1>()?,
            b'T' => self.python2_text::<4>()?,
            b'S' => {
                let line = self.input.line()?.trim();
                let quoted = ['\'', '"'].iter().find_map(|q| line.strip_prefix(*q)?.strip_suffix(*q));
                let plain = quoted.filter(|content| !content.contains('\\'));
                let content =
                    plain.ok_or_else(|| Problem::Damaged("a string in it is not quoted correctly".into()))?;
                self.text(content)
            }
            b'C' => self.bytes::<1>()?,
            b'B' => self.bytes::<4>()?,
            0x8e | 0x96 => self.bytes::<8>()?,
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    fn text(&mut self, text: &str) -> Value {
        self.heap.add(Object::Text(text.into()))
    }

    fn unicode<const N: usize>(&mut self) -> Result<Value, Problem> {
        let bytes = self.input.counted::<N>()?;
        Ok(self.text(text(bytes)?))
    }

    /// Python 2 had no bytes, so these are names as well as data.
    fn python2_text<const N: usize>(&mut self) -> Result<Value, Problem> {
        let bytes = self.input.counted::<N>()?;
        Ok(match text(bytes) {
            Ok(content) => self.text(content),
            Err(_) => self.heap.add(Object::Bytes(bytes.into())),
        })
    }

    fn bytes<const N: usize>(&mut self) -> Result<Value, Problem> {
        let bytes = self.input.counted::<N>()?;
        Ok(self.heap.add(Object::Bytes(bytes.into())))
    }
}

/// A number in decimal digits.
fn integer(digits: &str) -> Result<Value, Problem> {
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::Damaged("a number in it has other characters than digits".into()));
    }
    Ok(match digits.parse() {
        Ok(number) => Value::Int(number),
        Err(_) if digits == MAGIC_TEXT => Value::Magic,
        Err(_) => Value::BigInt,
    })
}

/// A number in bytes, lowest first, the last one with the sign.
fn long(bytes: &[u8]) -> Value {
    if bytes == MAGIC {
        return Value::Magic;
    }
    let sign: u8 = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let mut number = [sign; 8];
    match number.get_mut(..bytes.len()) {
        Some(low) => {
            low.copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(number))
        }
        None => Value::BigInt,
    }
}

/// Text with `\uXXXX` and `\UXXXXXXXX`, as protocol 0 writes it.
fn unescaped(line: &str) -> Result<String, Problem> {
    let mut result = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((plain, escape)) = rest.split_once('\\') {
        result.push_str(plain);
        let digits = match escape.as_bytes().first() {
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => {
                result.push('\\');
                rest = escape;
                continue;
            }
        };
        let code = escape.get(1..=digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let character = code.and_then(char::from_u32);
        result.push(
            character.ok_or_else(|| Problem::Damaged("a string in it has an invalid character".into()))?,
        );
        rest = &escape[1 + digits..];
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::{MAGIC, MAGIC_TEXT, Value, integer, long, unescaped};

    #[test]
    fn numbers_of_any_length() {
        assert_eq!(long(&[]), Value::Int(0));
        assert_eq!(long(&[0xff]), Value::Int(-1));
        assert_eq!(long(&[0xff, 0]), Value::Int(255));
        assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80]), Value::Int(i64::MIN));
        assert_eq!(long(&[0; 9]), Value::BigInt);
        assert_eq!(long(&MAGIC), Value::Magic);
        assert_eq!(integer(MAGIC_TEXT), Ok(Value::Magic));
        assert_eq!(integer("-12"), Ok(Value::Int(-12)));
        assert_eq!(integer("99999999999999999999"), Ok(Value::BigInt));
        assert!(integer("1e3").is_err() && integer("").is_err());
    }

    #[test]
    fn escapes_of_protocol_0() {
        assert_eq!(unescaped(r"a\u00e9b\U0001f600").as_deref(), Ok("aéb😀"));
        assert_eq!(unescaped(r"a\x").as_deref(), Ok(r"a\x"));
        assert!(unescaped(r"\ud800").is_err() && unescaped(r"\u12").is_err());
    }
}
