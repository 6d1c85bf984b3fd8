//! Functions of neural networks that are not core operators, each written in core operators.
//!
//! Several front ends know them under different names and with different defaults; the arithmetic is one. It is
//! here, below all of them, as free functions that add nodes to a [`Formula`](crate::Formula). What a model calls a
//! function, which attributes it has and what they are when they are left out is the front end's business, and so is
//! whether constants are folded as they appear ([`Formula::folding`](crate::Formula::folding)).
//!
//! What contradicts the inputs is a [`ShapeError`](crate::ShapeError) at the formula's name; what could be meant but
//! cannot be done here is [`GraphError::Unsuitable`](crate::GraphError::Unsuitable).

pub mod activation;
pub mod attention;
pub mod convolution;
pub mod deformable;
pub mod determinant;
pub mod einsum;
pub mod elementary;
pub mod embedding;
pub mod fourier;
pub mod indexing;
pub mod linear;
pub mod loss;
pub mod masks;
pub mod movement;
pub mod normalization;
pub mod padding;
pub mod patches;
pub mod pooling;
pub mod quantization;
pub mod ranges;
pub mod recurrent;
pub mod reduce;
pub mod regions;
pub mod resampling;
pub mod running;
pub mod sampling;
pub mod selection;
pub mod slicing;
