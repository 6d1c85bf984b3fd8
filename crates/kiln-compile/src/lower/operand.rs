//! What an elementwise kernel walks and reads: the space of its results, and operands wherever they lie.

use kiln_graph::{DType, Dim, Tensor};
use kiln_plan::Storage;

use super::context::{View, computed_type};
use crate::layout::{Layout, is_multiple};

/// The elements a kernel makes, in memory order.
#[derive(Clone, Debug)]
pub struct Space {
    /// Sizes by logical dimension.
    pub shape: Vec<Dim>,
    /// Logical dimensions from slowest to fastest.
    pub order: Vec<usize>,
    /// Elements an invocation makes: 4 or 1.
    pub width: usize,
    /// Elements of the fastest dimension that are not padding.
    pub valid: Dim,
}

impl Space {
    /// All elements of a tensor of `shape` in `layout`.
    pub fn new(shape: &[Dim], layout: &Layout) -> Self {
        let inner = layout.order.last().map_or(Dim::from(1), |axis| shape[*axis].clone());
        let width = if layout.lanes == 4 || is_multiple(&inner, 4) { 4 } else { 1 };
        Self { shape: shape.to_vec(), order: layout.order.clone(), width, valid: inner }
    }

    /// The fastest dimension.
    pub fn inner_axis(&self) -> Option<usize> {
        self.order.last().copied()
    }

    /// Number of vectors of the fastest dimension.
    pub fn inner(&self) -> Dim {
        let inner = self.inner_axis().map_or(Dim::from(1), |axis| self.shape[axis].clone());
        inner.ceil_div(if self.width == 4 { 4 } else { 1 })
    }

    /// Number of vectors.
    pub fn count(&self) -> Dim {
        self.order.iter().rev().skip(1).fold(self.inner(), |n, axis| &n * &self.shape[*axis])
    }
}

/// What happens to a coordinate of the space before it becomes one of an operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Remap {
    /// Shifted by the padding before; outside, the operand is a value.
    Constant {
        /// Elements of padding before the first.
        before: i64,
        /// The value outside.
        value: f32,
    },
    /// Shifted and mirrored at the ends.
    Reflect {
        /// Elements of padding before the first.
        before: i64,
    },
    /// Shifted and clamped.
    Edge {
        /// Elements of padding before the first.
        before: i64,
    },
    /// Shifted, modulo the size of what is not cropped.
    Wrap {
        /// Elements of padding before the first.
        before: i64,
        /// How many elements are cropped in front.
        first: i64,
        /// How many are cropped behind.
        last: i64,
    },
}

/// Something an expression reads.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Where it lies; strides are by logical dimension of the space (0 where it is broadcast).
    pub view: View,
    /// The element type it is computed with.
    pub dtype: DType,
    /// Coordinates that are changed first: axis, size of the operand there, how.
    pub remaps: Vec<(usize, Dim, Remap)>,
    /// An index that is added: the operand (by number) that holds it, and the size and stride of the axis it is for.
    pub gather: Option<(usize, Dim, Dim)>,
}

impl Operand {
    /// An operand that is read as it lies.
    pub fn plain(view: View, dtype: DType) -> Self {
        Self { view, dtype, remaps: Vec::new(), gather: None }
    }
}

/// WGSL type of a vector (or scalar) of `dtype` in registers.
pub fn register_type(dtype: DType, width: usize) -> String {
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

/// What functions of `functions.wgsl` call.
const CALLS: &[(&str, &[&str])] = &[
    ("minimum", &["is_nan"]),
    ("maximum", &["is_nan"]),
    ("minimum_double", &["is_nan_double"]),
    ("maximum_double", &["is_nan_double"]),
    ("sign_safe", &["is_nan"]),
    ("sign_safe_double", &["is_nan_double"]),
    ("softplus", &["is_nan", "log_one_plus"]),
    ("tanh_safe", &["is_nan"]),
    ("arc_sine", &["size_bits", "signed_like", "not_a_number"]),
    ("arc_cosine", &["size_bits", "not_a_number"]),
    ("arc_tangent", &["size_bits", "signed_like"]),
    ("sinh_safe", &["size_bits", "signed_like"]),
    ("cosh_safe", &["size_bits"]),
    ("asinh_safe", &["size_bits", "signed_like"]),
    ("acosh_safe", &["not_a_number"]),
    ("atanh_safe", &["size_bits", "signed_like", "not_a_number"]),
    ("turned", &["size_bits", "not_a_number"]),
    ("power", &["is_nan", "size_bits"]),
    ("floor_mod", &["remainder"]),
    ("floor_mod_double", &["remainder_double"]),
    ("remainder", &["size_bits", "signed_like"]),
    ("whole_int", &["is_nan"]),
    ("whole_unsigned", &["is_nan"]),
    ("whole_long", &["is_nan"]),
    ("whole_int_double", &["is_nan_double"]),
    ("whole_unsigned_double", &["is_nan_double"]),
    ("whole_long_double", &["is_nan_double"]),
];

/// These functions and all that they call.
fn with_calls(used: &[&'static str]) -> Vec<&'static str> {
    let mut all = used.to_vec();
    let mut next = 0;
    while let Some(name) = all.get(next).copied() {
        let calls = CALLS.iter().filter(|(caller, _)| *caller == name).flat_map(|(_, called)| *called);
        let new: Vec<&str> = calls.copied().filter(|called| !all.contains(called)).collect();
        all.extend(new);
        next += 1;
    }
    all
}

/// Values for the holes of `functions.wgsl`: the types of `width` elements, and which functions are called.
pub fn functions(width: usize, used: &[&'static str]) -> minijinja::Value {
    let ty = |dtype| register_type(dtype, width);
    minijinja::context! {
        T => ty(DType::F32),
        I => ty(DType::I32),
        U => ty(DType::U32),
        L => ty(DType::I64),
        D => ty(DType::F64),
        B => ty(DType::Bool),
        used => with_calls(used),
    }
}

/// WGSL type of an element in memory.
pub fn memory_scalar(storage: Storage) -> &'static str {
    match storage {
        Storage::F32 => "f32",
        Storage::I32 => "i32",
        Storage::U32 => "u32",
        Storage::I64 => "i64",
        Storage::F64 => "f64",
        Storage::F16 => "f16",
    }
}

/// How four neighbours in memory are read and written at once.
#[derive(Clone, Copy)]
pub struct Four {
    /// WGSL type of the four.
    pub ty: &'static str,
    /// What makes a vector to compute with of it.
    pub wide: &'static str,
    /// The other way.
    pub narrow: &'static str,
}

impl Four {
    /// Of elements of this type.
    pub fn of(element: Storage) -> Self {
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

/// WGSL type that an element in memory is computed with.
pub fn computed_scalar(storage: Storage) -> &'static str {
    memory_scalar(if storage == Storage::F16 { Storage::F32 } else { storage })
}

/// A number as WGSL.
pub fn literal(dtype: DType, value: f64, width: usize) -> String {
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

/// The one element of a constant as WGSL, held as `dtype`.
pub fn constant(dtype: DType, tensor: &Tensor, width: usize) -> String {
    match (dtype, tensor.to_ints().as_deref()) {
        // By way of a float it would lose digits.
        (DType::I64, Some([value])) if width == 4 => format!("vec4<i64>({})", long(*value)),
        (DType::I64, Some([value])) => long(*value),
        _ => literal(dtype, tensor.to_f64().first().copied().unwrap_or(0.0), width),
    }
}

/// The smallest number has no literal of its own: the sign is no part of one.
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
