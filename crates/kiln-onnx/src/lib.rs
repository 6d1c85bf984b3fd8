//! ONNX in and out.
//!
//! Import writes the two hundred operators of ONNX in terms of the few core operators of `kiln-graph` ([`import`]);
//! unsupported operators are listed completely, with node, operator and reason. [`export`] goes the other way, so that
//! any other ONNX tool can show, check or run a graph of ours. Tensors of the test-data layout (`input_0.pb`) are read
//! and written by [`read_tensor_pb`] and [`write_tensor_pb`].
//!
//! What is deliberately absent: optimisation. A model is imported as it stands; passes tidy up later.

#![deny(clippy::as_conversions)]

mod check;
mod error;
mod export;
mod external;
mod import;
mod names;
mod narrow;
pub mod proto;
mod tensor;

pub use check::{Report, check};
pub use error::{Assumed, ExportError, ImportError, Unsupported};
pub use export::{FunctionOf, export, export_model, export_with_functions, export_with_metadata};
pub use external::ExternalError;
pub use import::{
    ImportOptions, Imported, InputValue, Interface, OPSETS, OperatorInfo, import, import_bytes, input_types,
    interface, metadata, operators,
};
pub use tensor::{TensorError, read_tensor_pb, write_tensor_pb};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
