//! Tensors as C has them.

use std::ffi::{CString, c_char};

use kiln_runtime::{DType, Data, HostTensor, f16};

use crate::{Failure, KilnStatus, c_text, failure, null, text};

/// The type of elements. Truth values are bytes, 0 or 1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the types of the same name")]
pub enum KilnType {
    KILN_F32 = 0,
    KILN_F16 = 1,
    KILN_F64 = 2,
    KILN_I32 = 3,
    KILN_I64 = 4,
    KILN_U8 = 5,
    KILN_I8 = 6,
    KILN_U16 = 7,
    KILN_I16 = 8,
    KILN_U32 = 9,
    KILN_BOOL = 10,
}

/// What an input takes, or an output gives.
#[repr(C)]
#[derive(Debug)]
pub struct KilnValue {
    /// Its name.
    pub name: *const c_char,
    /// The type of its elements.
    pub dtype: KilnType,
    /// How many dimensions it has.
    pub rank: usize,
    /// Their sizes; -1 where a run decides.
    pub shape: *const i64,
    /// The largest sizes.
    pub largest: *const usize,
}

/// A dense tensor in row-major order.
#[repr(C)]
#[derive(Debug)]
pub struct KilnTensor {
    /// Its name.
    pub name: *const c_char,
    /// The type of its elements, one of `KilnType`.
    pub dtype: u32,
    /// How many dimensions it has.
    pub rank: usize,
    /// Their sizes.
    pub shape: *const usize,
    /// The elements.
    pub data: *const std::ffi::c_void,
    /// How many bytes they are.
    pub bytes: usize,
}

/// A tensor that C may look at.
pub(crate) struct Held {
    name: CString,
    shape: Vec<usize>,
    data: Data,
}

impl Held {
    pub(crate) fn new(name: &str, tensor: HostTensor) -> Self {
        Self { name: c_text(name), shape: tensor.shape().to_vec(), data: tensor.into_data() }
    }

    pub(crate) fn lent(&self) -> KilnTensor {
        let bytes: &[u8] = match &self.data {
            Data::F32(v) => bytemuck::cast_slice(v),
            Data::F16(v) => bytemuck::cast_slice(v),
            Data::F64(v) => bytemuck::cast_slice(v),
            Data::I32(v) => bytemuck::cast_slice(v),
            Data::I64(v) => bytemuck::cast_slice(v),
            Data::U8(v) => v,
            Data::I8(v) => bytemuck::cast_slice(v),
            Data::U16(v) => bytemuck::cast_slice(v),
            Data::I16(v) => bytemuck::cast_slice(v),
            Data::U32(v) => bytemuck::cast_slice(v),
            Data::Bool(v) => bytemuck::cast_slice(v),
        };
        KilnTensor {
            name: self.name.as_ptr(),
            dtype: KilnType::from(self.data.dtype()) as u32,
            rank: self.shape.len(),
            shape: self.shape.as_ptr(),
            data: bytes.as_ptr().cast(),
            bytes: bytes.len(),
        }
    }
}

impl KilnTensor {
    /// # Safety
    /// It has as many sizes and bytes as it says, and a name that ends in zero.
    pub(crate) unsafe fn read(&self) -> Result<(String, HostTensor), Failure> {
        // SAFETY: as this function's.
        let name = unsafe { text(self.name, "name") }?;
        // SAFETY: as this function's.
        let shape = unsafe { slice(self.shape, self.rank, "shape") }?.to_vec();
        // SAFETY: as this function's.
        let bytes = unsafe { slice(self.data.cast::<u8>(), self.bytes, "data") }?;
        let odd = |size: usize| {
            let text = format!("`{name}` has {} bytes, not whole elements of {size}", self.bytes);
            (KilnStatus::KILN_INPUT, text)
        };
        let data = elements(self.dtype, bytes)
            .ok_or_else(|| (KilnStatus::KILN_ARGUMENT, format!("{} is no type", self.dtype)))?
            .map_err(odd)?;
        Ok((name.to_string(), HostTensor::new(shape, data).map_err(failure)?))
    }
}

/// The elements of a type; their size if there is no whole number of them, nothing if there is no such type.
fn elements(dtype: u32, bytes: &[u8]) -> Option<Result<Data, usize>> {
    fn of<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(bytes: &[u8]) -> Result<Data, usize>
    where
        Data: From<Vec<T>>,
    {
        let size = size_of::<T>();
        if bytes.len().is_multiple_of(size) {
            Ok(bytemuck::pod_collect_to_vec::<u8, T>(bytes).into())
        } else {
            Err(size)
        }
    }
    Some(match dtype {
        0 => of::<f32>(bytes),
        1 => of::<f16>(bytes),
        2 => of::<f64>(bytes),
        3 => of::<i32>(bytes),
        4 => of::<i64>(bytes),
        5 => of::<u8>(bytes),
        6 => of::<i8>(bytes),
        7 => of::<u16>(bytes),
        8 => of::<i16>(bytes),
        9 => of::<u32>(bytes),
        10 => Ok(bytes.iter().map(|byte| *byte != 0).collect::<Vec<bool>>().into()),
        _ => return None,
    })
}

impl From<DType> for KilnType {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Self::KILN_F32,
            DType::F16 => Self::KILN_F16,
            DType::F64 => Self::KILN_F64,
            DType::I32 => Self::KILN_I32,
            DType::I64 => Self::KILN_I64,
            DType::U8 => Self::KILN_U8,
            DType::I8 => Self::KILN_I8,
            DType::U16 => Self::KILN_U16,
            DType::I16 => Self::KILN_I16,
            DType::U32 => Self::KILN_U32,
            DType::Bool => Self::KILN_BOOL,
        }
    }
}

/// # Safety
/// Null, or so many elements.
pub(crate) unsafe fn slice<'a, T>(data: *const T, count: usize, what: &str) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(what));
    }
    // SAFETY: as this function's.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}
