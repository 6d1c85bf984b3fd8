//! The whole road: an ONNX file, a plan, its file, a device, and the answers of other engines.

mod bad_input;
mod damage;
mod fixtures;
mod forms;
mod gradient;
mod noise;
mod traces;
mod training;
