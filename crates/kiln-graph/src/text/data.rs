//! Elements of tensors as text.

use half::f16;

use crate::tensor::{DType, Data, Tensor};

/// The elements of a tensor as a list, or as `fill(value)` where all are the same; `...` if there are more than `most`.
pub fn print(tensor: &Tensor, most: usize) -> String {
    let words: Vec<String> = match tensor.data() {
        _ if tensor.len() > most && !all_same(tensor) => return "...".into(),
        Data::F32(v) => v.iter().map(|x| format!("{x:?}")).collect(),
        Data::F64(v) => v.iter().map(|x| format!("{x:?}")).collect(),
        Data::F16(v) => v.iter().map(|x| format!("{:?}", x.to_f32())).collect(),
        Data::I32(v) => v.iter().map(ToString::to_string).collect(),
        Data::I64(v) => v.iter().map(ToString::to_string).collect(),
        Data::U8(v) => v.iter().map(ToString::to_string).collect(),
        Data::I8(v) => v.iter().map(ToString::to_string).collect(),
        Data::U16(v) => v.iter().map(ToString::to_string).collect(),
        Data::I16(v) => v.iter().map(ToString::to_string).collect(),
        Data::U32(v) => v.iter().map(ToString::to_string).collect(),
        Data::Bool(v) => v.iter().map(ToString::to_string).collect(),
    };
    match words.as_slice() {
        [first, _, ..] if all_same(tensor) => format!("fill({first})"),
        _ => format!("[{}]", words.join(", ")),
    }
}

fn all_same(tensor: &Tensor) -> bool {
    fn same<T: PartialEq>(v: &[T]) -> bool {
        v.first().is_some_and(|first| v.iter().all(|x| x == first))
    }
    match tensor.data() {
        // Zeros of either sign compare equal, but print differently.
        Data::F32(v) => same(&v.iter().map(|x| x.to_bits()).collect::<Vec<_>>()),
        Data::F64(v) => same(&v.iter().map(|x| x.to_bits()).collect::<Vec<_>>()),
        Data::F16(v) => same(&v.iter().map(|x| x.to_bits()).collect::<Vec<_>>()),
        Data::I32(v) => same(v),
        Data::I64(v) => same(v),
        Data::U8(v) => same(v),
        Data::I8(v) => same(v),
        Data::U16(v) => same(v),
        Data::I16(v) => same(v),
        Data::U32(v) => same(v),
        Data::Bool(v) => same(v),
    }
}

/// A tensor from words, or from one word for all elements.
pub(super) fn parse(dtype: DType, shape: Vec<usize>, text: &str) -> Result<Tensor, String> {
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= 1 << 28);
    let count = count.ok_or("this is too large for the text form")?;
    let fill = text.strip_prefix("fill(").and_then(|rest| rest.strip_suffix(')'));
    let words: Vec<&str> = match (fill, text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))) {
        (Some(word), _) => vec![word.trim(); count],
        (None, Some(list)) if list.trim().is_empty() => vec![],
        (None, Some(list)) => list.split(',').map(str::trim).collect(),
        (None, None) => return Err(format!("`{text}` is not data; use a list `[...]` or `fill(value)`")),
    };
    fn all<T>(words: &[&str], parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
        words.iter().map(|word| parse(word).ok_or_else(|| format!("`{word}` is not an element"))).collect()
    }
    let data = match dtype {
        DType::F32 => Data::F32(all(&words, |w| w.parse().ok())?),
        DType::F64 => Data::F64(all(&words, |w| w.parse().ok())?),
        DType::F16 => Data::F16(all(&words, |w| w.parse().ok().map(f16::from_f32))?),
        DType::I32 => Data::I32(all(&words, |w| w.parse().ok())?),
        DType::I64 => Data::I64(all(&words, |w| w.parse().ok())?),
        DType::U8 => Data::U8(all(&words, |w| w.parse().ok())?),
        DType::I8 => Data::I8(all(&words, |w| w.parse().ok())?),
        DType::U16 => Data::U16(all(&words, |w| w.parse().ok())?),
        DType::I16 => Data::I16(all(&words, |w| w.parse().ok())?),
        DType::U32 => Data::U32(all(&words, |w| w.parse().ok())?),
        DType::Bool => Data::Bool(all(&words, |w| w.parse().ok())?),
    };
    Tensor::new(shape, data).map_err(|e| e.to_string())
}
