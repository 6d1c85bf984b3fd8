//! Changes to plan files behind good checksums: what the checksums would catch, nothing else ever gets to see.

use libfuzzer_sys::fuzzer_mutate;

use crate::field::{self, Field, Value};

/// Numbers at which something may go wrong.
const NUMBERS: &[u64] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    12,
    16,
    63,
    64,
    255,
    256,
    257,
    512,
    1024,
    65_535,
    65_536,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 47,
    1 << 62,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 255,
    u64::MAX - 1,
    u64::MAX,
];

const PREFIX: usize = 36;

/// Numbers without a pattern (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound.max(1) as u64) as usize
    }
}

/// Changes `data[..size]` and gives its new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random((u64::from(seed) << 1) | 1 << 40);
    random.below(2);
    match random.below(16) {
        // The checksums, too, are something to read.
        0 => return fuzzer_mutate(data, size, max_size),
        1 => {
            let size = fuzzer_mutate(data, size, max_size);
            repair(&mut data[..size]);
            return size;
        }
        _ => {}
    }
    let Some((mut header, weights)) = parts(&data[..size]) else {
        return fuzzer_mutate(data, size, max_size);
    };
    let mut weights = weights.to_vec();
    for _ in 0..=random.below(3) {
        if random.below(12) == 0 {
            let length = random.below(4) * 256;
            weights.resize(length, 7);
        } else {
            change(&mut header, &mut random);
        }
    }
    let file = written(&header, &weights);
    if file.len() > max_size {
        return size;
    }
    data[..file.len()].copy_from_slice(&file);
    file.len()
}

/// The fields of the header and the bytes of the weights.
fn parts(file: &[u8]) -> Option<(Vec<Field>, &[u8])> {
    let length = usize::try_from(u64::from_le_bytes(file.get(16..24)?.try_into().ok()?)).ok()?;
    let end = PREFIX.checked_add(length)?;
    let header = field::parse(file.get(PREFIX..end)?)?;
    Some((header, file.get(end.checked_next_multiple_of(256)?..)?))
}

fn written(fields: &[Field], weights: &[u8]) -> Vec<u8> {
    let mut file = b"KILNPLAN\x05\0\0\0\0\0\0\0".to_vec();
    file.resize(PREFIX, 0);
    field::write(fields, &mut file);
    let length = (file.len() - PREFIX) as u64;
    file[16..24].copy_from_slice(&length.to_le_bytes());
    file[24..32].copy_from_slice(&(weights.len() as u64).to_le_bytes());
    file.resize(file.len().next_multiple_of(256), 0);
    file.extend(weights);
    repair(&mut file);
    file
}

/// Makes the checksums right again, those of segments apart: any bytes are weights.
fn repair(file: &mut [u8]) {
    let Some(prefix) = file.get(..PREFIX) else { return };
    let length = prefix[16..24].iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
    let end = PREFIX.saturating_add(length);
    let header = file.get(PREFIX..end).map_or(0, crc32fast::hash);
    file[12..16].copy_from_slice(&header.to_le_bytes());
    let prefix = crc32fast::hash(&file[..PREFIX - 4]);
    file[PREFIX - 4..PREFIX].copy_from_slice(&prefix.to_le_bytes());
}

/// Changes a message somewhere in the tree.
fn change(fields: &mut Vec<Field>, random: &mut Random) {
    let inner = fields.iter().filter(|f| matches!(f.value, Value::Message(_))).count();
    if inner > 0 && random.below(5) > 0 {
        let at = random.below(inner);
        let mut messages = fields.iter_mut().filter_map(|field| match &mut field.value {
            Value::Message(inner) => Some(inner),
            Value::Number(_) | Value::Fixed32(_) | Value::Fixed64(_) | Value::Bytes(_) => None,
        });
        if let Some(message) = messages.nth(at) {
            return change(message, random);
        }
    }
    let (at, other) = (random.below(fields.len()), random.below(fields.len()));
    match random.below(8) {
        0 if !fields.is_empty() => drop(fields.remove(at)),
        1 if !fields.is_empty() => fields.insert(at, fields[other].clone()),
        2 if !fields.is_empty() => fields.swap(at, other),
        3 => fields.push(Field { tag: random.below(10) as u64, value: Value::Number(number(random)) }),
        4 => fields.push(deeper(random)),
        _ => {
            if let Some(field) = fields.get_mut(at) {
                value(&mut field.value, random);
            }
        }
    }
}

fn number(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => random.below(6) as u64,
        1 => 4 * random.below(100) as u64,
        _ => NUMBERS[random.below(NUMBERS.len())],
    }
}

fn value(value: &mut Value, random: &mut Random) {
    match value {
        Value::Number(n) => {
            *n = match random.below(4) {
                0 => n.wrapping_add(1),
                1 => n.wrapping_sub(1),
                _ => number(random),
            }
        }
        Value::Fixed32(bytes) => {
            let floats = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::MAX];
            *bytes = floats[random.below(floats.len())].to_le_bytes();
        }
        Value::Fixed64(bytes) => *bytes = number(random).to_le_bytes(),
        Value::Bytes(bytes) => {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes.clear(),
                1 => bytes.push(random.below(256) as u8),
                2 => bytes.extend_from_within(..),
                3 => drop(bytes.pop()),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = random.below(256) as u8;
                    }
                }
            }
        }
        Value::Message(inner) => {
            if random.below(2) == 0 {
                inner.clear();
            } else if inner.len() < 64 {
                inner.extend_from_within(..);
            }
        }
    }
}

/// Fields within fields, as an expression within an expression is.
fn deeper(random: &mut Random) -> Field {
    let mut field = Field { tag: 1 + random.below(3) as u64, value: Value::Number(number(random)) };
    for _ in 0..random.below(40) {
        let inner = if random.below(3) == 0 { vec![field.clone(), field] } else { vec![field] };
        field = Field { tag: 1 + random.below(2) as u64, value: Value::Message(inner) };
        if size(&field) > 400 {
            break;
        }
    }
    field
}

fn size(field: &Field) -> usize {
    match &field.value {
        Value::Message(inner) => 1 + inner.iter().map(size).sum::<usize>(),
        Value::Number(_) | Value::Fixed32(_) | Value::Fixed64(_) | Value::Bytes(_) => 1,
    }
}
