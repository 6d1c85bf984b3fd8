//! Types of elements: as a graph has them, as memory stores them, as kernels compute with them, and as WGSL spells them.

use kiln_graph::{DType, Dim, Tensor};
use kiln_plan::Storage;

use crate::target::Target;

/// The element type that kernels compute in with what has the type `dtype` on the device.
pub(crate) fn computed_type(dtype: DType) -> Storage {
    match dtype {
        DType::F32 | DType::F16 => Storage::F32,
        DType::I32 | DType::I16 | DType::I8 => Storage::I32,
        DType::Bool | DType::U8 | DType::U16 | DType::U32 => Storage::U32,
        DType::I64 => Storage::I64,
        DType::F64 => Storage::F64,
    }
}

/// The element type in memory of what has the type `dtype` on the device, unless all its digits are kept.
pub(crate) fn stored_type(dtype: DType, target: &Target) -> Storage {
    if dtype == DType::F16 && target.float16 { Storage::F16 } else { computed_type(dtype) }
}

/// The element type in memory of a state: as of an input, 64-bit integers are checked to fit into 32. 16-bit floats have
/// 32 bits there, or small updates would be lost.
pub(crate) fn state_type(dtype: DType) -> Storage {
    computed_type(if dtype == DType::I64 { DType::I32 } else { dtype })
}

/// Bytes of an element in memory.
pub(crate) fn bytes_of(element: Storage) -> Dim {
    i64::try_from(element.size()).unwrap_or(8).into()
}

/// WGSL type of a vector (or scalar) of `dtype` in registers.
pub(crate) fn register_type(dtype: DType, width: usize) -> String {
    let scalar = match dtype {
        DType::Bool => "bool",
        DType::F32
        | DType::F16
        | DType::F64
        | DType::I32
        | DType::I16
        | DType::I8
        | DType::I64
        | DType::U8
        | DType::U16
        | DType::U32 => memory_scalar(computed_type(dtype)),
    };
    if width == 4 { format!("vec4<{scalar}>") } else { scalar.into() }
}

/// WGSL type of an element in memory.
pub(crate) fn memory_scalar(storage: Storage) -> &'static str {
    match storage {
        Storage::F32 => "f32",
        Storage::I32 => "i32",
        Storage::U32 => "u32",
        Storage::I64 => "i64",
        Storage::F64 => "f64",
        Storage::F16 => "f16",
    }
}

/// How four neighbouring elements in memory are loaded and stored at once.
#[derive(Clone, Copy)]
pub(crate) struct Vec4Access {
    /// WGSL type of the four.
    pub ty: &'static str,
    /// What makes a vector to compute with of it.
    pub wide: &'static str,
    /// The other way.
    pub narrow: &'static str,
}

impl Vec4Access {
    /// Of elements of this type.
    pub(crate) fn of(element: Storage) -> Self {
        let same = |ty| Self { ty, wide: ty, narrow: ty };
        match element {
            Storage::F32 => same("vec4<f32>"),
            Storage::I32 => same("vec4<i32>"),
            Storage::U32 => same("vec4<u32>"),
            Storage::I64 => same("vec4<i64>"),
            Storage::F64 => same("vec4<f64>"),
            // As two words, since Mesa moves halves one by one.
            Storage::F16 => Self { ty: "vec2<u32>", wide: "of_halves", narrow: "to_halves" },
        }
    }
}

/// What the words of weights that are whole numbers of 8 bits are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WordOf {
    /// Four neighbouring columns.
    Columns,
    /// Four terms of one column, for products of words.
    Terms,
}

/// How weights that are whole numbers of 8 bits are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    /// What added to the numbers gives the elements.
    pub from: i32,
    /// What their words are made of.
    pub word_of: WordOf,
}

impl Vec4Access {
    /// Of whole numbers of 8 bits, four to a word, that are computed with as `element`; where they are moved, with a
    /// parameter of that name added. Words of terms are multiplied as they are.
    pub(crate) fn of_bytes(element: Storage, packing: Packing) -> Self {
        let moved = packing.from != 0;
        if packing.word_of == WordOf::Terms {
            return Self { ty: "vec4<u32>", wide: "vec4<u32>", narrow: "vec4<u32>" };
        }
        let wide = match (element == Storage::I32, moved) {
            (true, false) => "unpack4xI8",
            (true, true) => "ints_of_moved",
            (false, false) => "of_bytes",
            (false, true) => "of_moved_bytes",
        };
        Self { ty: "u32", wide, narrow: "pack4xI8" }
    }
}

/// WGSL type that an element in memory is computed with.
pub(crate) fn computed_scalar(storage: Storage) -> &'static str {
    memory_scalar(if storage == Storage::F16 { Storage::F32 } else { storage })
}

/// A number as WGSL.
pub(crate) fn literal(dtype: DType, value: f64, width: usize) -> String {
    let scalar = match dtype {
        DType::F32 | DType::F16 => float(value as f32),
        DType::F64 if value.is_finite() => format!("{value:?}lf"),
        DType::F64 => format!("f64({})", float(value as f32)),
        DType::I32 | DType::I16 | DType::I8 => format!("i32({})", value as i64),
        DType::I64 => long(value as i64),
        DType::U8 | DType::U16 | DType::U32 => format!("{}u", value as u64),
        DType::Bool => (value != 0.0).to_string(),
    };
    if width == 4 { format!("{}({scalar})", register_type(dtype, 4)) } else { scalar }
}

/// The only element of a constant as WGSL, of type `dtype`.
pub(crate) fn constant(dtype: DType, tensor: &Tensor, width: usize) -> String {
    match (dtype, tensor.to_ints().as_deref()) {
        // By way of a float it would lose digits.
        (DType::I64, Some([value])) if width == 4 => format!("vec4<i64>({})", long(*value)),
        (DType::I64, Some([value])) => long(*value),
        _ => literal(dtype, tensor.to_f64().first().copied().unwrap_or(0.0), width),
    }
}

/// The smallest number has no literal of its own: a sign is not part of one.
fn long(value: i64) -> String {
    if value == i64::MIN { format!("({}li - 1li)", i64::MIN + 1) } else { format!("i64({value}li)") }
}

fn float(value: f32) -> String {
    if value.is_finite() {
        return format!("{value:?}f");
    }
    // Constant expressions may not overflow, so infinities and NaN are made of bits that are not constant.
    format!("bitcast<f32>({}u | (params.count & 0u))", value.to_bits())
}
