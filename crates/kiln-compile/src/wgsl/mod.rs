//! WGSL: templates, and the elementwise part of kernels, which is the same whatever the anchor is.

pub mod drivers;
pub mod elementwise;
pub mod epilogue;
pub mod expression;
pub mod functions;
pub mod load;
pub mod operand;
pub mod params;
pub mod space;
pub mod store;
pub mod template;
