//! Between tensors of graphs and tensors of the runtime.

use kiln_graph::{Data, DataLengthError, Tensor};
use kiln_runtime::{HostTensor, RuntimeError};

/// A graph's tensor for the runtime.
pub fn to_host(tensor: &Tensor) -> Result<HostTensor, RuntimeError> {
    let data: kiln_runtime::Data = match tensor.data() {
        Data::F32(v) => v.clone().into(),
        Data::F16(v) => v.clone().into(),
        Data::F64(v) => v.clone().into(),
        Data::I32(v) => v.clone().into(),
        Data::I64(v) => v.clone().into(),
        Data::U8(v) => v.clone().into(),
        Data::I8(v) => v.clone().into(),
        Data::U16(v) => v.clone().into(),
        Data::I16(v) => v.clone().into(),
        Data::U32(v) => v.clone().into(),
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
        Host::I8(v) => Data::I8(v.clone()),
        Host::U16(v) => Data::U16(v.clone()),
        Host::I16(v) => Data::I16(v.clone()),
        Host::U32(v) => Data::U32(v.clone()),
        Host::Bool(v) => Data::Bool(v.clone()),
    };
    Tensor::new(tensor.shape(), data)
}
