//! The few names that a pickle may use. Data cannot contain any other name; elsewhere in a file others may
//! occur.

use crate::element::Element;
use crate::error::{Problem, shown};

/// Which names a pickle may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// What PyTorch writes into a state dict.
    Tensors,
    /// What NumPy writes for an array.
    Arrays,
}

/// A class or function that Kiln knows, and does itself what Python's would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `collections.Counter`, in which learning rate schedules keep their milestones.
    Counter,
    /// `torch.Size`.
    Size,
    /// `torch._utils._rebuild_tensor`, before PyTorch 0.4.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v2`.
    RebuildTensorV2,
    /// `torch._utils._rebuild_parameter`, with or without state; before PyTorch 0.4 the class itself.
    Parameter,
    /// `torch.FloatStorage` and its like.
    Storage(Element),
    /// `numpy.core.multiarray._reconstruct`, an array that is given its contents later.
    Reconstruct,
    /// `numpy.ndarray`.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
    /// `_codecs.encode`, by which Python 3 writes bytes in the protocols of Python 2.
    Encode,
}

/// The meaning of a name.
pub(super) fn known(vocabulary: Vocabulary, module: &str, name: &str) -> Result<Known, Problem> {
    match vocabulary {
        Vocabulary::Tensors => of_tensors(module, name),
        Vocabulary::Arrays => of_arrays(module, name),
    }
}

fn of_arrays(module: &str, name: &str) -> Result<Known, Problem> {
    Ok(match (module, name) {
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Known::Reconstruct,
        ("numpy", "ndarray") => Known::NdArray,
        ("numpy", "dtype") => Known::Dtype,
        ("_codecs", "encode") => Known::Encode,
        ("collections", "OrderedDict") => Known::OrderedDict,
        _ => return Err(Problem::Refused { name: shown(&format!("{module}.{name}")) }),
    })
}

fn of_tensors(module: &str, name: &str) -> Result<Known, Problem> {
    let full = || shown(&format!("{module}.{name}"));
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Known::OrderedDict,
        ("collections", "Counter") => Known::Counter,
        ("torch", "Size") => Known::Size,
        ("torch._utils", "_rebuild_tensor") => Known::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v2") => Known::RebuildTensorV2,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
        | ("torch.nn.parameter", "Parameter") => Known::Parameter,
        ("torch._utils", "_rebuild_sparse_tensor") => {
            return Err(Problem::Unsupported { what: "sparse tensors", name: full() });
        }
        ("torch._utils", "_rebuild_qtensor") => {
            return Err(Problem::Unsupported { what: "quantized tensors", name: full() });
        }
        // The third form is for element types younger than the storages: float8, unsigned integers.
        ("torch._utils", "_rebuild_tensor_v3") | ("torch.storage", "UntypedStorage") => {
            return Err(Problem::Unsupported { what: "tensors of a rare element type", name: full() });
        }
        // How `pickle.dump` stores a tensor: as bytes that are a file of their own.
        ("torch.storage", "_load_from_bytes") => return Err(Problem::PlainPickle),
        ("torch" | "torch.cuda", storage) if storage.ends_with("Storage") => {
            let what = "tensors of a rare element type";
            Known::Storage(storage_element(storage).ok_or(Problem::Unsupported { what, name: full() })?)
        }
        _ => return Err(Problem::Refused { name: full() }),
    })
}

fn storage_element(class: &str) -> Option<Element> {
    Some(match class {
        "FloatStorage" => Element::F32,
        "HalfStorage" => Element::F16,
        "BFloat16Storage" => Element::BF16,
        "DoubleStorage" => Element::F64,
        "LongStorage" => Element::I64,
        "IntStorage" => Element::I32,
        "ShortStorage" => Element::I16,
        "CharStorage" => Element::I8,
        "ByteStorage" => Element::U8,
        "BoolStorage" => Element::Bool,
        _ => return None,
    })
}
