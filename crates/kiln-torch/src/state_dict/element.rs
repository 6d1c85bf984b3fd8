//! Element types as files have them, and how their bytes become Kiln's.

use half::{bf16, f16};
use kiln_graph::Data;
pub(crate) use kiln_pickle::Element;

use super::view::View;

/// The elements of a view that is known to fit into `bytes`, in row-major order. What Kiln does not have is widened
/// without loss.
pub(super) fn gather(element: Element, bytes: &[u8], view: &View) -> Data {
    match element {
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
