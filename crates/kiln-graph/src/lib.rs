//! Kiln's graph: what a model is between the file it came from and the plan it becomes.
//!
//! A [`Graph`] is a list of [`Node`]s in static single assignment. A node applies one core operator ([`Op`]) to
//! [`Value`]s and makes new ones. A value has a type, an element type and a shape whose dimensions are numbers or
//! expressions over symbols ([`Dim`]), so that one graph serves every batch size. A value comes from the caller
//! (input), is known beforehand (constant), lives on between runs (state) or is made by a node.
//!
//! Meaning is defined by [`evaluate`]: plain loops over plain arrays, in `f32` or `f64`. It is the yardstick of
//! every test and the engine of constant folding; it is not meant to be fast.
//!
//! What is deliberately absent: layouts, buffers, devices, kernels. The graph does not know how it will be run.

mod array;
mod builder;
pub mod compare;
mod contents;
mod dim;
mod dot;
mod error;
mod eval;
mod fold;
mod formula;
pub mod functions;
mod graph;
mod guards;
mod number;
pub mod ops;
mod rewrite;
mod tensor;
pub mod text;
mod unroll;

pub use builder::{Builder, Var};
pub use contents::{Element, Truth, binary_fraction};
pub use dim::{Atom, Bindings, Bounds, Dim, Interval, product};
pub use dot::Cluster;
pub use error::{EvalError, GraphError, ShapeError};
pub use eval::{EvaluateOptions, Evaluation, evaluate, evaluate_with};
pub use fold::work;
pub use formula::{Formula, Made};
pub use graph::{Def, Graph, Node, NodeId, Output, OutputSize, Update, Value, ValueId};
pub use guards::{Guard, Guards, Relation, Unified};
pub use ops::{Op, Precision};
pub use rewrite::Rewriter;
pub use tensor::{DType, Data, DataLengthError, MAX_ELEMENTS, ShapeDisplay, Tensor, TensorType};
pub use unroll::{MOST_UNROLLED, unrolled};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
