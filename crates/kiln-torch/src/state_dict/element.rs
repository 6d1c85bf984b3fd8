//! Element types as files have them, and how their bytes become Kiln's.

use half::{bf16, f16};
use kiln_graph::Data;

use super::view::View;

/// The type of stored elements. What Kiln does not have is widened without loss when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    F32,
    F16,
    /// Becomes `f32`.
    BF16,
    F64,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Element {
    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self {
            Element::F64 | Element::I64 => 8,
            Element::F32 | Element::I32 => 4,
            Element::F16 | Element::BF16 | Element::I16 => 2,
            Element::I8 | Element::U8 | Element::Bool => 1,
        }
    }

    /// The elements of a view that is known to fit into `bytes`, in row-major order.
    pub(super) fn gather(self, bytes: &[u8], view: &View) -> Data {
        match self {
            Element::F32 => Data::F32(view.gather(bytes, f32::from_le_bytes)),
            Element::F16 => Data::F16(view.gather(bytes, f16::from_le_bytes)),
            Element::BF16 => Data::F32(view.gather(bytes, |bits| bf16::from_le_bytes(bits).to_f32())),
            Element::F64 => Data::F64(view.gather(bytes, f64::from_le_bytes)),
            Element::I64 => Data::I64(view.gather(bytes, i64::from_le_bytes)),
            Element::I32 => Data::I32(view.gather(bytes, i32::from_le_bytes)),
            Element::I16 => Data::I16(view.gather(bytes, i16::from_le_bytes)),
            Element::I8 => Data::I8(view.gather(bytes, i8::from_le_bytes)),
            Element::U8 => Data::U8(view.gather(bytes, u8::from_le_bytes)),
            Element::Bool => Data::Bool(view.gather(bytes, |[byte]: [u8; 1]| byte != 0)),
        }
    }
}

/// The elements as little endian bytes, for writing.
pub(super) fn to_bytes(data: &Data) -> Vec<u8> {
    match data {
        Data::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::F16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::F64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::U8(v) => v.clone(),
        Data::I8(v) => v.iter().map(|x| x.cast_unsigned()).collect(),
        Data::U16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::I16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::U32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::Bool(v) => v.iter().map(|x| u8::from(*x)).collect(),
    }
}
