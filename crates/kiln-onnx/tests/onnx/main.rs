//! The reader and writer of ONNX against files that others made.

mod check;
mod control;
mod export;
mod fixtures;
mod functions;
mod hostile;
mod models;
