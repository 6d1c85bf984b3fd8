//! Between tensors of graphs and tensors of the runtime.

use kiln_graph::{DType, Data, DataLengthError, Tensor};
use kiln_runtime::{HostTensor, RuntimeError};

/// A graph's element type for the runtime.
pub fn host_dtype(dtype: DType) -> kiln_plan::DType {
    match dtype {
        DType::F32 => kiln_plan::DType::F32,
        DType::F16 => kiln_plan::DType::F16,
        DType::F64 => kiln_plan::DType::F64,
        DType::I32 => kiln_plan::DType::I32,
        DType::I64 => kiln_plan::DType::I64,
        DType::U8 => kiln_plan::DType::U8,
        DType::Bool => kiln_plan::DType::Bool,
    }
}

/// A graph's tensor for the runtime.
pub fn to_host(tensor: &Tensor) -> Result<HostTensor, RuntimeError> {
    let data: kiln_runtime::Data = match tensor.data() {
        Data::F32(v) => v.clone().into(),
        Data::F16(v) => v.clone().into(),
        Data::F64(v) => v.clone().into(),
        Data::I32(v) => v.clone().into(),
        Data::I64(v) => v.clone().into(),
        Data::U8(v) => v.clone().into(),
        Data::Bool(v) => v.clone().into(),
    };
    HostTensor::new(tensor.shape(), data)
}

/// The runtime's tensor for a graph.
pub fn from_host(tensor: &HostTensor) -> Result<Tensor, DataLengthError> {
    use kiln_runtime::Data as Host;
    let data = match tensor.data() {
        Host::F32(v) => Data::F32(v.clone()),
        Host::F16(v) => Data::F16(v.clone()),
        Host::F64(v) => Data::F64(v.clone()),
        Host::I32(v) => Data::I32(v.clone()),
        Host::I64(v) => Data::I64(v.clone()),
        Host::U8(v) => Data::U8(v.clone()),
        Host::Bool(v) => Data::Bool(v.clone()),
    };
    Tensor::new(tensor.shape(), data)
}
