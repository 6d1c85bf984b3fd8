//! safetensors files, in and out. They have names, types and shapes only, so there is nothing to refuse but damage.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use kiln_graph::{DType, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::element::{Element, gather, to_bytes};
use super::error::{Problem, StateDictError, shown};
use super::view::View;
use super::{StateDict, named};

/// Whether a file begins as one: the length of its description, then the description in JSON.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    // The length is far below four gigabytes, so its upper half is zero; no other kind of file has that and the brace.
    matches!(bytes, [_, _, _, _, 0, 0, 0, 0, b'{', ..])
}

/// The metadata of the file `path` in free form, if it is a safetensors file. Weights are not read, so damage is not
/// detected.
pub(super) fn metadata(path: &Path) -> io::Result<BTreeMap<String, String>> {
    kiln_safetensors::read_metadata(kiln_files::open(path)?)
}

/// Reads a file; the order is that of the data in it.
pub(super) fn read(bytes: &[u8]) -> Result<StateDict, Problem> {
    if kiln_safetensors::has_huge_number(bytes) {
        return Err(Problem::Damaged("a number in its description is larger than any file".into()));
    }
    let damaged = |error: safetensors::SafeTensorError| Problem::Damaged(error.to_string());
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut tensors: Vec<(&str, TensorView<'_>)> = file.iter().collect();
    // The start of the data is its position in memory, too. Empty tensors have the same position as what follows.
    tensors.sort_by_key(|(name, view)| (view.data().as_ptr().addr(), view.data().len(), *name));
    let mut state_dict = named(tensors, tensor)?;
    let (_, description) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    state_dict.metadata.extend(description.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
    Ok(state_dict)
}

fn tensor(name: &str, view: TensorView<'_>) -> Result<Tensor, Problem> {
    let element = match view.dtype() {
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::BF16,
        Dtype::F64 => Element::F64,
        Dtype::I64 => Element::I64,
        Dtype::I32 => Element::I32,
        Dtype::I16 => Element::I16,
        Dtype::I8 => Element::I8,
        Dtype::U8 => Element::U8,
        Dtype::BOOL => Element::Bool,
        // The list of types is open.
        other => {
            let what = "tensors of a rare element type";
            return Err(Problem::Unsupported { what, name: format!("{}: {other}", shown(name)) });
        }
    };
    let data = gather(element, view.data(), &View::dense(view.shape()));
    Tensor::new(view.shape(), data)
        .map_err(|error| Problem::Tensor { name: shown(name), reason: error.to_string() })
}

/// The state dict as a file.
pub(super) fn write(state_dict: &StateDict) -> Result<Vec<u8>, StateDictError> {
    let failed = |error: safetensors::SafeTensorError| StateDictError::Unwritable(error.to_string());
    let stored: Vec<(&str, &[usize], Dtype, Vec<u8>)> = (state_dict.iter())
        .map(|(name, tensor)| (name, tensor.shape(), dtype(tensor.dtype()), to_bytes(tensor.data())))
        .collect();
    if stored.iter().any(|(name, ..)| *name == "__metadata__") {
        let message = "safetensors keeps the name `__metadata__` for itself";
        return Err(StateDictError::Unwritable(message.into()));
    }
    let views: Result<Vec<_>, _> = (stored.iter())
        .map(|(name, shape, dtype, bytes)| Ok((*name, TensorView::new(*dtype, shape.to_vec(), bytes)?)))
        .collect();
    // As Python's `safetensors.torch.save_file` does; some readers look for it.
    let mut metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    metadata.extend(state_dict.metadata.iter().map(|(key, value)| (key.clone(), value.clone())));
    kiln_safetensors::serialize(views.map_err(failed)?, &metadata).map_err(failed)
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::F64 => Dtype::F64,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
        DType::I8 => Dtype::I8,
        DType::U16 => Dtype::U16,
        DType::I16 => Dtype::I16,
        DType::U32 => Dtype::U32,
        DType::Bool => Dtype::BOOL,
    }
}
