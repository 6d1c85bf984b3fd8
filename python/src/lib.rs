//! Kiln as a module of Python, `kiln._kiln`: models, plans and sessions with NumPy arrays in and out.
//!
//! What needs no Rust is written in Python beside it (`package/kiln`), which is where users look. The interpreter's lock is
//! released while a model is compiled and while a device computes; errors become the exceptions of `kiln._errors`.

#![allow(
    missing_docs,
    reason = "docstrings are in `_kiln.pyi` and here on classes and functions that Python sees"
)]

mod arrays;
mod data;
mod error;
mod interface;
mod model;
mod onnx;
mod plan;
mod session;
mod training;

use pyo3::prelude::*;

/// The compiled part of `kiln`.
#[pymodule]
mod _kiln {
    #[pymodule_export]
    use super::data::load_data;
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::onnx::{onnx_inputs, onnx_interface};
    #[pymodule_export]
    use super::plan::Plan;
    #[pymodule_export]
    use super::session::{Session, devices};
    #[pymodule_export]
    use super::training::{scheduled, usual_lr};

    use super::{PyModule, PyResult};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
