//! Tensors of the format: inside a model, beside it (external data), and as files of their own
//! (`input_0.pb` of the test-data layout).
//!
//! Sizes come from the file and are not trusted: every number is converted with a check, and nothing is allocated
//! before the bytes for it are known to be there.

use half::f16;
use kiln_graph::{DType, Data, DataLengthError, MAX_ELEMENTS, Tensor};
use prost::Message;

use crate::external::{External, ExternalError};
use crate::narrow::{self, Narrow};
use crate::proto::{DataLocation, DataType, TensorProto};

/// Errors of a tensor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The element type is not one that is computed with here.
    #[error(
        "tensor `{name}` has elements of type {found}; floats of 16 to 64 bits, integers (but uint64) and bool are supported"
    )]
    Type {
        /// The tensor.
        name: String,
        /// Its element type in the format's words.
        found: String,
    },
    /// A dimension is negative, or there are too many elements.
    #[error("tensor `{name}` has shape {dims:?}, which is not a valid tensor shape")]
    Dims {
        /// The tensor.
        name: String,
        /// The shape in the file.
        dims: Vec<i64>,
    },
    /// The data does not fill the shape.
    #[error("tensor `{name}` of shape {dims:?} needs {expected} {unit}, but the file holds {found}")]
    Length {
        /// The tensor.
        name: String,
        /// Its shape.
        dims: Vec<i64>,
        /// What is needed.
        expected: usize,
        /// What there is.
        found: usize,
        /// Of what: bytes or elements.
        unit: &'static str,
    },
    /// An element is outside of what its type holds.
    #[error("tensor `{name}`: element {index} is {found}, which is not a valid {dtype}")]
    Element {
        /// The tensor.
        name: String,
        /// Position of the element.
        index: usize,
        /// What stands there.
        found: String,
        /// The element type.
        dtype: DType,
    },
    /// The data is stored in another file, which is invalid.
    #[error("tensor `{name}`: {source}")]
    External {
        /// The tensor.
        name: String,
        /// What is wrong.
        source: ExternalError,
    },
    /// The bytes are no tensor message.
    #[error("this is not an ONNX tensor: {0}")]
    NotATensor(String),
}

/// The element type for a number of the format; the error is the format's name for it.
pub(crate) fn dtype_of(data_type: i32) -> Result<DType, String> {
    let known = DataType::try_from(data_type).map_err(|_| format!("number {data_type}"))?;
    match known {
        DataType::Float => Ok(DType::F32),
        DataType::Float16 => Ok(DType::F16),
        DataType::Double => Ok(DType::F64),
        DataType::Int32 => Ok(DType::I32),
        DataType::Int64 => Ok(DType::I64),
        DataType::Uint8 => Ok(DType::U8),
        DataType::Int8 => Ok(DType::I8),
        DataType::Uint16 => Ok(DType::U16),
        DataType::Int16 => Ok(DType::I16),
        DataType::Uint32 => Ok(DType::U32),
        DataType::Bool => Ok(DType::Bool),
        DataType::Undefined
        | DataType::String
        | DataType::Uint64
        | DataType::Complex64
        | DataType::Complex128
        | DataType::Bfloat16
        | DataType::Float8e4m3fn
        | DataType::Float8e4m3fnuz
        | DataType::Float8e5m2
        | DataType::Float8e5m2fnuz
        | DataType::Uint4
        | DataType::Int4
        | DataType::Float4e2m1
        | DataType::Float8e8m0
        | DataType::Uint2
        | DataType::Int2
        | DataType::Float6e2m3
        | DataType::Float6e3m2 => Err(format!("{known:?}").to_lowercase()),
    }
}

/// The number of the format for an element type.
pub(crate) fn data_type_of(dtype: DType) -> i32 {
    let data_type = match dtype {
        DType::F32 => DataType::Float,
        DType::F16 => DataType::Float16,
        DType::F64 => DataType::Double,
        DType::I32 => DataType::Int32,
        DType::I64 => DataType::Int64,
        DType::U8 => DataType::Uint8,
        DType::I8 => DataType::Int8,
        DType::U16 => DataType::Uint16,
        DType::I16 => DataType::Int16,
        DType::U32 => DataType::Uint32,
        DType::Bool => DataType::Bool,
    };
    data_type.into()
}

/// Reads a tensor file of the test-data layout (`input_0.pb`, `output_0.pb`).
pub fn read_tensor_pb(bytes: &[u8]) -> Result<Tensor, TensorError> {
    let proto = TensorProto::decode(bytes).map_err(|e| TensorError::NotATensor(e.to_string()))?;
    decode(proto, &mut External::nowhere())
}

/// Writes a tensor file of the test-data layout.
pub fn write_tensor_pb(name: &str, tensor: &Tensor) -> Vec<u8> {
    encode(name, tensor).encode_to_vec()
}

/// The message for a tensor.
pub(crate) fn encode(name: &str, tensor: &Tensor) -> TensorProto {
    let raw = match tensor.data() {
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
    };
    TensorProto {
        name: name.into(),
        // Shapes are below MAX_ELEMENTS, so this never saturates.
        dims: tensor.shape().iter().map(|d| i64::try_from(*d).unwrap_or(i64::MAX)).collect(),
        data_type: data_type_of(tensor.dtype()),
        raw_data: Some(raw),
        ..TensorProto::default()
    }
}

/// The tensor in a message that is a constant of a model: floats that are not computed with are widened.
pub(crate) fn decode_constant(proto: TensorProto, external: &mut External) -> Result<Tensor, TensorError> {
    match Narrow::of(proto.data_type).filter(|narrow| narrow.is_float()) {
        Some(narrow) => narrow::decode(narrow, proto, external),
        None => decode(proto, external),
    }
}

/// The tensor in a message. The message is consumed, so that large data exists once.
pub(crate) fn decode(mut proto: TensorProto, external: &mut External) -> Result<Tensor, TensorError> {
    let name = proto.name.clone();
    let dtype = dtype_of(proto.data_type).map_err(|found| TensorError::Type { name: name.clone(), found })?;
    let shape = sizes(&proto.dims)
        .ok_or_else(|| TensorError::Dims { name: name.clone(), dims: proto.dims.clone() })?;
    let elements: usize = shape.iter().product();
    let dims = proto.dims.clone();
    let length = |expected, found, unit| TensorError::Length {
        name: name.clone(),
        dims: dims.clone(),
        expected,
        found,
        unit,
    };
    let bytes = elements.saturating_mul(dtype.size());
    let mut place = None;
    let raw = if proto.data_location == i32::from(DataLocation::External) {
        let failed = |source| TensorError::External { name: name.clone(), source };
        let at = External::place(&proto.external_data, bytes).map_err(failed)?;
        if let Some(tensor) = external.shared(&at, dtype, &shape) {
            return Ok(tensor);
        }
        let raw = external.read(&at, bytes).map_err(failed)?;
        place = Some(at);
        Some(raw)
    } else {
        proto.raw_data.take()
    };
    let data = match raw {
        Some(raw) => {
            if raw.len() != bytes {
                return Err(length(bytes, raw.len(), "bytes"));
            }
            from_bytes(dtype, raw)
        }
        None => from_fields(dtype, &mut proto, &name)?,
    };
    let tensor = Tensor::new(shape, data)
        .map_err(|DataLengthError { expected, found, .. }| length(expected, found, "elements"))?;
    if let Some(place) = place {
        external.share(place, &tensor);
    }
    Ok(tensor)
}

/// Dimensions as sizes, if they are sizes and their product is one that exists.
pub(crate) fn sizes(dims: &[i64]) -> Option<Vec<usize>> {
    let sizes: Vec<usize> = dims.iter().map(|d| usize::try_from(*d).ok()).collect::<Option<_>>()?;
    let largest = usize::try_from(MAX_ELEMENTS).unwrap_or(usize::MAX);
    // Zero times anything is small, so the factors are checked as well.
    let product = sizes.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    (product <= largest && sizes.iter().all(|d| *d <= largest)).then_some(sizes)
}

fn from_bytes(dtype: DType, raw: Vec<u8>) -> Data {
    fn each<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        raw.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }
    match dtype {
        DType::F32 => Data::F32(each(&raw, f32::from_le_bytes)),
        DType::F16 => Data::F16(each(&raw, f16::from_le_bytes)),
        DType::F64 => Data::F64(each(&raw, f64::from_le_bytes)),
        DType::I32 => Data::I32(each(&raw, i32::from_le_bytes)),
        DType::I64 => Data::I64(each(&raw, i64::from_le_bytes)),
        DType::U8 => Data::U8(raw),
        DType::I8 => Data::I8(raw.iter().map(|x| x.cast_signed()).collect()),
        DType::U16 => Data::U16(each(&raw, u16::from_le_bytes)),
        DType::I16 => Data::I16(each(&raw, i16::from_le_bytes)),
        DType::U32 => Data::U32(each(&raw, u32::from_le_bytes)),
        DType::Bool => Data::Bool(raw.iter().map(|b| *b != 0).collect()),
    }
}

/// Elements that a larger type holds in the file.
fn small<F: Copy + TryInto<T> + std::fmt::Display, T>(
    elements: &[F],
    name: &str,
    dtype: DType,
) -> Result<Vec<T>, TensorError> {
    let narrow = |(index, found): (usize, &F)| {
        (*found).try_into().map_err(|_| TensorError::Element {
            name: name.into(),
            index,
            found: found.to_string(),
            dtype,
        })
    };
    elements.iter().enumerate().map(narrow).collect()
}

/// The small types share the field of the 32-bit integers.
fn from_fields(dtype: DType, proto: &mut TensorProto, name: &str) -> Result<Data, TensorError> {
    Ok(match dtype {
        DType::F32 => Data::F32(std::mem::take(&mut proto.float_data)),
        DType::F64 => Data::F64(std::mem::take(&mut proto.double_data)),
        DType::I64 => Data::I64(std::mem::take(&mut proto.int64_data)),
        DType::I32 => Data::I32(std::mem::take(&mut proto.int32_data)),
        DType::Bool => Data::Bool(proto.int32_data.iter().map(|x| *x != 0).collect()),
        DType::F16 => {
            let bits = small(&proto.int32_data, name, dtype)?;
            Data::F16(bits.into_iter().map(f16::from_bits).collect())
        }
        DType::U8 => Data::U8(small(&proto.int32_data, name, dtype)?),
        DType::I8 => Data::I8(small(&proto.int32_data, name, dtype)?),
        DType::U16 => Data::U16(small(&proto.int32_data, name, dtype)?),
        DType::I16 => Data::I16(small(&proto.int32_data, name, dtype)?),
        DType::U32 => Data::U32(small(&proto.uint64_data, name, dtype)?),
    })
}
