//! Where values are found while a graph is lowered: buffers, tensors in a layout, views of either, and how long each is
//! needed. Nothing here launches a kernel.

pub(crate) mod alias;
pub(crate) mod buffer;
pub(crate) mod destination;
pub(crate) mod liveness;
pub(crate) mod packed;
mod precision;
pub(crate) mod states;
pub(crate) mod values;
pub(crate) mod winograd;
