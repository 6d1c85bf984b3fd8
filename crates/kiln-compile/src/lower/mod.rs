//! From fused groups to launches of kernels.
//!
//! Groups are lowered in the order they run: a group becomes a problem ([`describe`]), a kernel is chosen for it
//! ([`select`](crate::select)), its operands are laid out as the kernel demands ([`layouts`]), and its launches are put
//! together ([`realize`]). Elementwise parts are compiled in the same way whatever the anchor is, so an epilogue works
//! the same everywhere.

mod describe;
mod im2col;
mod layouts;
mod loops;
pub(crate) mod merged;
pub(crate) mod program;
pub(crate) mod realize;
mod updates;
mod views;
