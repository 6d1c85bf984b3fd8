//! ONNX as a front end, and as a form to export to.

pub use kiln_onnx::{
    ExportError, ExternalError, FunctionOf, ImportError, ImportOptions, Imported, InputValue, Interface,
    OPSETS, OperatorInfo, Report, TensorError, Unsupported, check, export, export_model,
    export_with_functions, export_with_metadata, import, import_bytes, input_types, interface, metadata,
    operators, proto, read_tensor_pb, write_tensor_pb,
};
