//! Between NumPy's arrays and tensors of the runtime.
//!
//! An input is copied once on its way to the runtime, whatever its strides, and the runtime copies it into memory of the device.
//! Outputs are not copied: an array takes over the memory that the runtime has read them into.

use kiln::graph::Tensor;
use kiln::{Data, HostTensor, f16, from_host, to_host};
use numpy::{
    Element, PyArray1, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::error::{Kind, Raise};

/// A tensor of an array, or of anything that NumPy can take over (`kiln/_arrays.py` says what else there is to refuse).
pub(crate) fn tensor_of(name: &str, value: &Bound<'_, PyAny>) -> PyResult<HostTensor> {
    if let Ok(array) = value.cast::<PyUntypedArray>() {
        return of_array(name, array);
    }
    let module = value.py().import("kiln._arrays")?;
    let array = module.getattr("as_array")?.call1((value, name))?;
    of_array(name, array.cast::<PyUntypedArray>()?)
}

/// The same for a graph.
pub(crate) fn graph_tensor_of(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    from_host(&tensor_of(name, value)?).map_err(|error| Kind::Input.with(error.to_string()))
}

fn of_array(name: &str, array: &Bound<'_, PyUntypedArray>) -> PyResult<HostTensor> {
    let dtype = array.dtype();
    let native = !matches!(dtype.byteorder(), b'>') || cfg!(target_endian = "big");
    let shape = array.shape().to_vec();
    let data = match (dtype.kind(), dtype.itemsize(), native) {
        (b'f', 4, true) => elements::<f32>(array)?,
        (b'f', 2, true) => elements::<f16>(array)?,
        (b'f', 8, true) => elements::<f64>(array)?,
        (b'i', 4, true) => elements::<i32>(array)?,
        (b'i', 8, true) => elements::<i64>(array)?,
        (b'i', 2, true) => elements::<i16>(array)?,
        (b'i', 1, _) => elements::<i8>(array)?,
        (b'u', 1, _) => elements::<u8>(array)?,
        (b'u', 2, true) => elements::<u16>(array)?,
        (b'u', 4, true) => elements::<u32>(array)?,
        (b'b', 1, _) => elements::<bool>(array)?,
        _ => return Err(refused(name, &dtype.to_string(), native)),
    };
    HostTensor::new(shape, data).or_raise()
}

fn refused(name: &str, dtype: &str, native: bool) -> PyErr {
    let fix = if native {
        "convert it, for example with `.astype(numpy.float32)`"
    } else {
        "its bytes are in the order of another processor: `.astype(x.dtype.newbyteorder('='))` turns them round"
    };
    Kind::Input.with(format!("input `{name}` is {dtype}, which is no element type of a plan: {fix}"))
}

/// The elements in row-major order.
fn elements<T: Element + Copy>(array: &Bound<'_, PyUntypedArray>) -> PyResult<Data>
where
    Data: From<Vec<T>>,
{
    let array = array.cast::<PyArrayDyn<T>>()?;
    // Rust has no references to numbers that are not aligned.
    let aligned = match array.getattr("flags")?.getattr("aligned")?.extract()? {
        true => array.clone(),
        false => array.call_method0("copy")?.cast_into::<PyArrayDyn<T>>()?,
    };
    let borrowed = aligned.try_readonly().map_err(|error| Kind::Input.with(error.to_string()))?;
    let elements = match borrowed.as_slice() {
        Ok(slice) if borrowed.is_c_contiguous() => slice.to_vec(),
        _ => borrowed.as_array().iter().copied().collect(),
    };
    Ok(elements.into())
}

/// The array of a tensor, which takes its memory.
pub(crate) fn array_of(py: Python<'_>, tensor: HostTensor) -> PyResult<Bound<'_, PyAny>> {
    let shape = tensor.shape().to_vec();
    match tensor.into_data() {
        Data::F32(v) => shaped(py, v, shape),
        Data::F16(v) => shaped(py, v, shape),
        Data::F64(v) => shaped(py, v, shape),
        Data::I32(v) => shaped(py, v, shape),
        Data::I64(v) => shaped(py, v, shape),
        Data::U8(v) => shaped(py, v, shape),
        Data::I8(v) => shaped(py, v, shape),
        Data::U16(v) => shaped(py, v, shape),
        Data::I16(v) => shaped(py, v, shape),
        Data::U32(v) => shaped(py, v, shape),
        Data::Bool(v) => shaped(py, v, shape),
    }
}

/// The array of a graph's tensor.
pub(crate) fn array_of_graph<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    array_of(py, to_host(tensor).or_raise()?)
}

fn shaped<T: Element>(py: Python<'_>, elements: Vec<T>, shape: Vec<usize>) -> PyResult<Bound<'_, PyAny>> {
    Ok(PyArray1::from_vec(py, elements).reshape(shape)?.into_any())
}
