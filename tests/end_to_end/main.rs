//! The whole road: an ONNX file or PyTorch source, a plan, its file, a device, and the answers of other engines.

mod averages;
mod bad_input;
mod batches;
mod checkpointing;
mod damage;
mod detection;
mod dispatches;
mod fit;
mod fixtures;
mod forms;
mod gradient;
mod halves;
mod long;
mod loops;
#[path = "../machine.rs"]
mod machine;
mod mixed;
mod not_a_number;
mod numbers;
mod open_sizes;
mod precision;
mod quantized;
mod resize;
mod runs;
#[path = "../skip.rs"]
mod skip;
mod sorts;
mod source;
mod special_values;
mod stops;
mod subgradients;
mod tiles;
mod trace;
mod traces;
mod training;
mod trees;
mod tune;
mod wide;
