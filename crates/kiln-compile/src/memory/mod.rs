//! Where values are found while a graph is lowered: buffers, tensors in a layout, views of either, and how long each is
//! needed. Nothing here launches a kernel.

pub mod alias;
pub mod buffer;
pub mod destination;
pub mod liveness;
pub mod packed;
pub mod states;
pub mod values;
