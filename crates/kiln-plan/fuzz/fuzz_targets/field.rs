//! Protobuf as a tree of fields, without knowing what they mean: the messages of a plan file are its own affair.

/// A field of a message.
#[derive(Clone)]
pub struct Field {
    pub tag: u64,
    pub value: Value,
}

#[derive(Clone)]
pub enum Value {
    Number(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    /// Text, packed numbers, or a message of which nothing can be made.
    Bytes(Vec<u8>),
    Message(Vec<Field>),
}

/// How deep messages are taken apart.
const DEPTH: usize = 24;

/// The fields in `bytes`, if that is what they are.
pub fn parse(bytes: &[u8]) -> Option<Vec<Field>> {
    fields(bytes, DEPTH)
}

fn fields(mut bytes: &[u8], depth: usize) -> Option<Vec<Field>> {
    let mut found = vec![];
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)?),
            1 => Value::Fixed64(split(&mut bytes, 8)?.try_into().ok()?),
            5 => Value::Fixed32(split(&mut bytes, 4)?.try_into().ok()?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let inner = split(&mut bytes, length)?;
                // A text is a message in appearance only.
                let text =
                    inner.len() > 2 && inner.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
                let message = if text || depth == 0 { None } else { fields(inner, depth - 1) };
                message.map_or_else(|| Value::Bytes(inner.to_vec()), Value::Message)
            }
            _ => return None,
        };
        let tag = (1..1 << 29).contains(&(key >> 3)).then_some(key >> 3)?;
        found.push(Field { tag, value });
    }
    Some(found)
}

fn split<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = split(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The bytes of `fields`.
pub fn write(fields: &[Field], to: &mut Vec<u8>) {
    for field in fields {
        let wire = match &field.value {
            Value::Number(_) => 0,
            Value::Fixed64(_) => 1,
            Value::Bytes(_) | Value::Message(_) => 2,
            Value::Fixed32(_) => 5,
        };
        number(field.tag << 3 | wire, to);
        match &field.value {
            Value::Number(value) => number(*value, to),
            Value::Fixed32(bytes) => to.extend(bytes),
            Value::Fixed64(bytes) => to.extend(bytes),
            Value::Bytes(bytes) => sized(bytes, to),
            Value::Message(fields) => {
                let mut inner = vec![];
                write(fields, &mut inner);
                sized(&inner, to);
            }
        }
    }
}

fn sized(bytes: &[u8], to: &mut Vec<u8>) {
    number(bytes.len() as u64, to);
    to.extend(bytes);
}

fn number(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
