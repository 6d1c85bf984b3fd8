//! Element types, tensor types and tensors with data.

use std::fmt;
use std::sync::Arc;

use half::f16;

use crate::dim::{Dim, product};
use crate::number::Number;

/// The most elements a tensor may have. Larger ones come only from damaged or hostile files.
pub const MAX_ELEMENTS: i64 = 1 << 40;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// 64-bit floating point.
    F64,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// 8-bit signed integer.
    I8,
    /// 16-bit unsigned integer.
    U16,
    /// 16-bit signed integer.
    I16,
    /// 32-bit unsigned integer.
    U32,
    /// Truth value.
    Bool,
}

impl DType {
    /// All element types.
    pub const ALL: [DType; 11] = [
        DType::F32,
        DType::F16,
        DType::F64,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::I8,
        DType::U16,
        DType::I16,
        DType::U32,
        DType::Bool,
    ];

    /// The name in the text form: `f32`, `i64`, `bool`.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::F64 => "f64",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::I8 => "i8",
            DType::U16 => "u16",
            DType::I16 => "i16",
            DType::U32 => "u32",
            DType::Bool => "bool",
        }
    }

    /// Bytes of one element on the host.
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 | DType::U32 => 4,
            DType::F16 | DType::I16 | DType::U16 => 2,
            DType::U8 | DType::I8 | DType::Bool => 1,
        }
    }

    /// Whether this is a floating point type.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F16 | DType::F64)
    }

    /// Smallest and largest value, if this is an integer type or bool.
    pub fn integer_range(self) -> Option<(i64, i64)> {
        match self {
            DType::I8 => Some((i8::MIN.into(), i8::MAX.into())),
            DType::I16 => Some((i16::MIN.into(), i16::MAX.into())),
            DType::I32 => Some((i32::MIN.into(), i32::MAX.into())),
            DType::I64 => Some((i64::MIN, i64::MAX)),
            DType::U8 => Some((0, u8::MAX.into())),
            DType::U16 => Some((0, u16::MAX.into())),
            DType::U32 => Some((0, u32::MAX.into())),
            DType::Bool => Some((0, 1)),
            DType::F32 | DType::F16 | DType::F64 => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Element type and shape of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: Vec<Dim>,
}

impl TensorType {
    /// A type from its parts; dimensions may be numbers or symbols: `TensorType::new(F32, ["N".into(), 3.into()])`.
    pub fn new(dtype: DType, shape: impl IntoIterator<Item = Dim>) -> Self {
        Self { dtype, shape: shape.into_iter().collect() }
    }

    /// `f32` of `shape`.
    pub fn f32(shape: impl IntoIterator<Item = Dim>) -> Self {
        Self::new(DType::F32, shape)
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn elements(&self) -> Dim {
        product(&self.shape)
    }

    /// The shape as numbers if no symbol is in it.
    pub fn static_shape(&self) -> Option<Vec<usize>> {
        self.shape.iter().map(Dim::as_usize).collect()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, ShapeDisplay(&self.shape))
    }
}

/// Shows a shape as `[N, 3, 32, 32]`.
pub struct ShapeDisplay<'a, T>(pub &'a [T]);

impl<T: fmt::Display> fmt::Display for ShapeDisplay<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}

/// Elements of a tensor, outermost dimension slowest (row-major).
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// See [`DType::F32`].
    F32(Vec<f32>),
    /// See [`DType::F16`].
    F16(Vec<f16>),
    /// See [`DType::F64`].
    F64(Vec<f64>),
    /// See [`DType::I32`].
    I32(Vec<i32>),
    /// See [`DType::I64`].
    I64(Vec<i64>),
    /// See [`DType::U8`].
    U8(Vec<u8>),
    /// See [`DType::I8`].
    I8(Vec<i8>),
    /// See [`DType::U16`].
    U16(Vec<u16>),
    /// See [`DType::I16`].
    I16(Vec<i16>),
    /// See [`DType::U32`].
    U32(Vec<u32>),
    /// See [`DType::Bool`].
    Bool(Vec<bool>),
}

impl Data {
    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            Data::F32(_) => DType::F32,
            Data::F16(_) => DType::F16,
            Data::F64(_) => DType::F64,
            Data::I32(_) => DType::I32,
            Data::I64(_) => DType::I64,
            Data::U8(_) => DType::U8,
            Data::I8(_) => DType::I8,
            Data::U16(_) => DType::U16,
            Data::I16(_) => DType::I16,
            Data::U32(_) => DType::U32,
            Data::Bool(_) => DType::Bool,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::F16(v) => v.len(),
            Data::F64(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::I64(v) => v.len(),
            Data::U8(v) => v.len(),
            Data::I8(v) => v.len(),
            Data::U16(v) => v.len(),
            Data::I16(v) => v.len(),
            Data::U32(v) => v.len(),
            Data::Bool(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor with its data, cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Arc<Data>,
}

/// The number of elements is not the product of the shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tensor of shape {} has {expected} elements, but {found} were given", ShapeDisplay(.shape))]
pub struct DataLengthError {
    /// The shape.
    pub shape: Vec<usize>,
    /// The product of the shape.
    pub expected: usize,
    /// The elements given.
    pub found: usize,
}

impl Tensor {
    /// A tensor of `shape` with `data` in row-major order.
    pub fn new(shape: impl Into<Vec<usize>>, data: Data) -> Result<Self, DataLengthError> {
        let shape = shape.into();
        let expected = shape.iter().fold(1usize, |n, d| n.saturating_mul(*d));
        if expected != data.len() {
            return Err(DataLengthError { expected, found: data.len(), shape });
        }
        Ok(Self { shape, data: Arc::new(data) })
    }

    /// A tensor whose data is known to have as many elements as `shape` says.
    pub(crate) fn of_len(shape: impl Into<Vec<usize>>, data: Data) -> Self {
        let shape = shape.into();
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { shape, data: Arc::new(data) }
    }

    /// A float tensor; see [`Tensor::new`].
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Self, DataLengthError> {
        Self::new(shape, Data::F32(data))
    }

    /// A tensor without dimensions.
    pub fn scalar(value: f32) -> Self {
        Self { shape: vec![], data: Arc::new(Data::F32(vec![value])) }
    }

    /// An int64 without dimensions.
    pub fn int(value: i64) -> Self {
        Self::of_len([], Data::I64(vec![value]))
    }

    /// A tensor without dimensions, of any type: `value` rounded to it, or the nearest there is.
    pub fn number(value: f64, dtype: DType) -> Self {
        Self::of_len([], f64::write(vec![value], dtype))
    }

    /// A tensor of any type: numbers rounded to it, or the nearest there are.
    pub fn of_numbers(
        shape: impl Into<Vec<usize>>,
        numbers: &[f64],
        dtype: DType,
    ) -> Result<Self, DataLengthError> {
        Self::new(shape, f64::write(numbers.to_vec(), dtype))
    }

    /// A one-dimensional int64 tensor, the type ONNX uses for shapes and axes.
    pub fn ints(values: impl IntoIterator<Item = i64>) -> Self {
        let values: Vec<i64> = values.into_iter().collect();
        Self { shape: vec![values.len()], data: Arc::new(Data::I64(values)) }
    }

    /// The dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The type.
    pub fn ty(&self) -> TensorType {
        TensorType::new(self.dtype(), self.shape.iter().map(|d| Dim::from(*d)))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements if this is an `f32` tensor.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match self.data() {
            Data::F32(v) => Some(v),
            Data::F16(_)
            | Data::F64(_)
            | Data::I32(_)
            | Data::I64(_)
            | Data::U8(_)
            | Data::I8(_)
            | Data::U16(_)
            | Data::I16(_)
            | Data::U32(_)
            | Data::Bool(_) => None,
        }
    }

    /// The elements as integers if the type is an integer type or bool.
    pub fn to_ints(&self) -> Option<Vec<i64>> {
        match self.data() {
            Data::I64(v) => Some(v.clone()),
            Data::I32(v) => Some(v.iter().map(|x| i64::from(*x)).collect()),
            Data::U8(v) => Some(v.iter().map(|x| i64::from(*x)).collect()),
            Data::I8(v) => Some(v.iter().map(|x| i64::from(*x)).collect()),
            Data::U16(v) => Some(v.iter().map(|x| i64::from(*x)).collect()),
            Data::I16(v) => Some(v.iter().map(|x| i64::from(*x)).collect()),
            Data::U32(v) => Some(v.iter().map(|x| i64::from(*x)).collect()),
            Data::Bool(v) => Some(v.iter().map(|x| i64::from(*x)).collect()),
            Data::F32(_) | Data::F16(_) | Data::F64(_) => None,
        }
    }

    /// The elements as `f64`, whatever the type.
    pub fn to_f64(&self) -> Vec<f64> {
        match self.data() {
            Data::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::F16(v) => v.iter().map(|x| x.to_f64()).collect(),
            Data::F64(v) => v.clone(),
            Data::I32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            // Beyond 2^53 this rounds; such values are no sizes and no class indices.
            Data::I64(v) => v.iter().map(|x| *x as f64).collect(),
            Data::U8(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::I8(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::U16(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::I16(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::U32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::Bool(v) => v.iter().map(|x| f64::from(u8::from(*x))).collect(),
        }
    }

    /// The same elements under another shape of the same size.
    pub fn reshaped(&self, shape: impl Into<Vec<usize>>) -> Result<Self, DataLengthError> {
        let shape = shape.into();
        let expected = shape.iter().fold(1usize, |n, d| n.saturating_mul(*d));
        if expected != self.len() {
            return Err(DataLengthError { expected, found: self.len(), shape });
        }
        Ok(Self { shape, data: self.data.clone() })
    }
}
