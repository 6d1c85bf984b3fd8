//! What ONNX files say of themselves.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::error::{Kind, Raise, detached};

/// The inputs that an ONNX file declares, with their sizes as text.
#[pyfunction]
pub(crate) fn onnx_inputs(py: Python<'_>, file: File) -> PyResult<Vec<(String, Vec<String>)>> {
    let types =
        detached(py, || kiln::onnx::input_types(&file.bytes()?).map_err(kiln::Error::from).or_raise())??;
    let sizes = |(name, ty): (String, kiln::graph::TensorType)| {
        (name, ty.shape.iter().map(ToString::to_string).collect())
    };
    Ok(types.into_iter().map(sizes).collect())
}

/// The names of an ONNX file's inputs, and of those that sizes depend on.
#[pyfunction]
pub(crate) fn onnx_interface(py: Python<'_>, file: File) -> PyResult<(Vec<String>, Vec<String>)> {
    let found =
        detached(py, || kiln::onnx::interface(&file.bytes()?).map_err(kiln::Error::from).or_raise())??;
    Ok((found.inputs, found.to_know))
}

/// A file, or what it has.
#[derive(FromPyObject)]
pub(crate) enum File {
    Bytes(Vec<u8>),
    Path(PathBuf),
}

impl File {
    fn bytes(self) -> PyResult<Vec<u8>> {
        match self {
            File::Bytes(bytes) => Ok(bytes),
            File::Path(path) => kiln_files::read(&path)
                .map_err(|error| Kind::Model.with(format!("cannot read `{}`: {error}", path.display()))),
        }
    }
}
