//! Tensors on the host, and the conversion of their elements to the device and back. The device stores two, four or
//! eight bytes for each element; the host uses the user's types.

use std::borrow::Cow;

use half::f16;
use kiln_plan::{DType, Storage};

use crate::RuntimeError;

/// Elements, one `Vec` for each type.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are the types of the same name")]
pub enum Data {
    F32(Vec<f32>),
    F16(Vec<f16>),
    F64(Vec<f64>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    Bool(Vec<bool>),
}

/// A dense tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    shape: Vec<usize>,
    data: Data,
}

macro_rules! element_types {
    ($($variant:ident $ty:ty, $as:ident;)*) => {
        $(impl From<Vec<$ty>> for Data {
            fn from(elements: Vec<$ty>) -> Self {
                Self::$variant(elements)
            }
        })*

        impl Data {
            /// The element type.
            pub fn dtype(&self) -> DType {
                match self { $(Self::$variant(_) => DType::$variant,)* }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match self { $(Self::$variant(elements) => elements.len(),)* }
            }

            /// Of each run of `length` elements the `kept` first ones.
            fn beginnings(&self, length: usize, kept: usize) -> Self {
                match self {
                    $(Self::$variant(elements) => {
                        let runs = elements.chunks_exact(length.max(1));
                        Self::$variant(runs.flat_map(|run| run.iter().take(kept)).copied().collect())
                    })*
                }
            }

            /// Zeros.
            pub fn zeros(dtype: DType, count: usize) -> Self {
                match dtype { $(DType::$variant => Self::$variant(vec![<$ty>::default(); count]),)* }
            }
        }

        impl HostTensor {
            $(#[doc = concat!("The elements, if they are `", stringify!($ty), "`.")]
            pub fn $as(&self) -> Result<&[$ty], RuntimeError> {
                match &self.data {
                    Data::$variant(elements) => Ok(elements),
                    other => Err(RuntimeError::ReadAs {
                        found: other.dtype().name(),
                        wanted: DType::$variant.name(),
                    }),
                }
            })*
        }
    };
}

/// Calls a macro with all element types: the variant of [`Data`], the type, the method that gives a slice.
macro_rules! for_element_types {
    ($macro:ident) => {
        $macro! {
            F32 f32, as_f32;
            F16 f16, as_f16;
            F64 f64, as_f64;
            I32 i32, as_i32;
            I64 i64, as_i64;
            U8 u8, as_u8;
            I8 i8, as_i8;
            U16 u16, as_u16;
            I16 i16, as_i16;
            U32 u32, as_u32;
            Bool bool, as_bool;
        }
    };
}
#[cfg(feature = "ndarray")]
pub(crate) use for_element_types;

for_element_types!(element_types);

impl Data {
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl HostTensor {
    /// A tensor of the given elements.
    pub fn new(shape: impl Into<Vec<usize>>, data: impl Into<Data>) -> Result<Self, RuntimeError> {
        let (shape, data) = (shape.into(), data.into());
        let expected = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
        if expected != Some(data.len()) {
            let (expected, found) = (expected.unwrap_or(usize::MAX), data.len());
            return Err(RuntimeError::Elements { shape: shape_text(&shape), expected, found });
        }
        Ok(Self { shape, data })
    }

    /// A tensor of an array's elements, which are as many as its shape says.
    #[cfg(feature = "ndarray")]
    pub(crate) fn of_array(shape: Vec<usize>, data: Data) -> Self {
        Self { shape, data }
    }

    /// A tensor of zeros; for shapes of which the number of elements is a `usize`.
    pub fn zeros(dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let data = Data::zeros(dtype, shape.iter().product());
        Self { shape, data }
    }

    /// The dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The elements in row-major order.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// No more than the first `length` elements along an axis.
    pub(crate) fn beginning(mut self, axis: usize, length: usize) -> Self {
        let Some(size) = self.shape.get(axis).copied().filter(|size| *size > length) else { return self };
        let after: usize = self.shape[axis + 1..].iter().product();
        self.data = self.data.beginnings(size * after, length * after);
        self.shape[axis] = length;
        self
    }

    /// The first element, if it is a size.
    pub(crate) fn first_size(&self) -> Option<usize> {
        match &self.data {
            Data::I32(v) => v.first().and_then(|n| usize::try_from(*n).ok()),
            Data::I64(v) => v.first().and_then(|n| usize::try_from(*n).ok()),
            _ => None,
        }
    }

    /// Gives up the shape.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// The elements as `f64`, whatever they are: for comparing and printing.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::F16(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::F64(v) => v.clone(),
            Data::I32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::I64(v) => v.iter().map(|x| *x as f64).collect(),
            Data::U8(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::I8(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::U16(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::I16(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::U32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Data::Bool(v) => v.iter().map(|x| f64::from(u8::from(*x))).collect(),
        }
    }

    /// The bytes as the device stores them; borrowed where they are the same.
    pub(crate) fn to_device(&self, name: &str, storage: Storage) -> Result<Cow<'_, [u8]>, RuntimeError> {
        let mismatch = || RuntimeError::InputType {
            name: name.to_string(),
            found: self.dtype().name(),
            expected: storage.name(),
        };
        if !self.dtype().fits(storage) {
            return Err(mismatch());
        }
        let integers = |v: &mut dyn Iterator<Item = i64>| integer_bytes(name, storage, v).map(Cow::Owned);
        match &self.data {
            Data::F32(v) => Ok(Cow::Borrowed(bytemuck::cast_slice(v))),
            Data::F16(v) if storage == Storage::F16 => Ok(Cow::Borrowed(bytemuck::cast_slice(v))),
            Data::F16(v) => Ok(Cow::Owned(v.iter().flat_map(|x| f32::from(*x).to_ne_bytes()).collect())),
            Data::F64(v) => Ok(Cow::Borrowed(bytemuck::cast_slice(v))),
            Data::I32(v) if storage == Storage::I32 => Ok(Cow::Borrowed(bytemuck::cast_slice(v))),
            Data::I32(v) => integers(&mut v.iter().map(|x| i64::from(*x))),
            Data::I64(v) if storage == Storage::I64 => Ok(Cow::Borrowed(bytemuck::cast_slice(v))),
            Data::I64(v) => integers(&mut v.iter().copied()),
            Data::U8(v) => integers(&mut v.iter().map(|x| i64::from(*x))),
            Data::I8(v) => integers(&mut v.iter().map(|x| i64::from(*x))),
            Data::U16(v) => integers(&mut v.iter().map(|x| i64::from(*x))),
            Data::I16(v) => integers(&mut v.iter().map(|x| i64::from(*x))),
            Data::U32(v) if storage == Storage::U32 => Ok(Cow::Borrowed(bytemuck::cast_slice(v))),
            Data::U32(v) => integers(&mut v.iter().map(|x| i64::from(*x))),
            Data::Bool(v) => Ok(Cow::Owned(v.iter().flat_map(|x| u32::from(*x).to_ne_bytes()).collect())),
        }
    }

    /// The tensor of which the device has stored the bytes.
    pub(crate) fn from_device(dtype: DType, storage: Storage, shape: Vec<usize>, bytes: &[u8]) -> Self {
        let data = match (dtype, storage) {
            (DType::F32, _) => Data::F32(bytemuck::pod_collect_to_vec(bytes)),
            (DType::F16, Storage::F16) => Data::F16(bytemuck::pod_collect_to_vec(bytes)),
            (DType::F16, _) => Data::F16(words(bytes).map(|w| f16::from_f32(f32::from_bits(w))).collect()),
            (DType::F64, _) => Data::F64(bytemuck::pod_collect_to_vec(bytes)),
            (DType::I32, _) => Data::I32(bytemuck::pod_collect_to_vec(bytes)),
            (DType::I64, Storage::I64) => Data::I64(bytemuck::pod_collect_to_vec(bytes)),
            (DType::I64, Storage::U32) => Data::I64(words(bytes).map(i64::from).collect()),
            (DType::I64, Storage::I32 | Storage::F32 | Storage::F64 | Storage::F16) => {
                Data::I64(words(bytes).map(|w| i64::from(w.cast_signed())).collect())
            }
            (DType::U8, _) => Data::U8(words(bytes).map(|w| low(w)[0]).collect()),
            (DType::I8, _) => Data::I8(words(bytes).map(|w| low(w)[0].cast_signed()).collect()),
            (DType::U16, _) => {
                Data::U16(words(bytes).map(|w| u16::from_le_bytes([low(w)[0], low(w)[1]])).collect())
            }
            (DType::I16, _) => {
                Data::I16(words(bytes).map(|w| i16::from_le_bytes([low(w)[0], low(w)[1]])).collect())
            }
            (DType::U32, _) => Data::U32(bytemuck::pod_collect_to_vec(bytes)),
            (DType::Bool, _) => Data::Bool(words(bytes).map(|w| w != 0).collect()),
        };
        Self { shape, data }
    }
}

/// The bytes of a word, the lowest first.
fn low(word: u32) -> [u8; 4] {
    word.to_le_bytes()
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word))
}

fn integer_bytes(
    name: &str,
    storage: Storage,
    values: &mut dyn Iterator<Item = i64>,
) -> Result<Vec<u8>, RuntimeError> {
    let mut bytes = Vec::new();
    for (index, value) in values.enumerate() {
        let word = match storage {
            Storage::I32 => i32::try_from(value).map(i32::to_ne_bytes),
            Storage::U32 | Storage::F32 | Storage::I64 | Storage::F64 | Storage::F16 => {
                u32::try_from(value).map(u32::to_ne_bytes)
            }
        };
        let storage = storage.name();
        let word = word.map_err(|_| RuntimeError::Range { name: name.to_string(), index, value, storage })?;
        bytes.extend(word);
    }
    Ok(bytes)
}

/// `[1, 3, 224, 224]`.
pub(crate) fn shape_text(shape: &[usize]) -> String {
    format!("{shape:?}")
}
