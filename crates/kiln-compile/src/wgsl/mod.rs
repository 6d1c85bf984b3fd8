//! WGSL: templates, and the elementwise part of kernels, which is the same whatever the anchor is.

pub(crate) mod drivers;
pub(crate) mod elementwise;
pub(crate) mod epilogue;
pub(crate) mod expression;
pub(crate) mod functions;
pub(crate) mod load;
pub(crate) mod operand;
pub(crate) mod params;
pub(crate) mod space;
pub(crate) mod store;
pub(crate) mod template;
