//! Attributes of operators as named values, for printing and parsing.

use std::fmt;

use super::lex::{quoted, word};
use crate::dim::{Atom, Dim};
use crate::ops::{
    ArgKind, ArgReduce, BatchNorm, BinaryOp, Cast, Concat, Conv, CoordinateMode, Expand, Gather, GatherElements,
    Iota, MatMul, NearestMode, Op, Pad, PadMode, Pool, PoolKind, Reduce, ReduceKind, Reshape, Resize, ResizeMode,
    ShapeOf, Slice, SliceAxis, Softmax, Transpose, UnaryOp,
};
use crate::tensor::{DType, TensorType};

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// True because it is there.
    Flag,
    /// A size, or a number; a single word parses as this.
    Dim(Dim),
    /// A floating point number.
    Float(f32),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Attribute>),
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Flag => Ok(()),
            Attribute::Dim(dim) => write!(f, "{dim}"),
            Attribute::Float(value) => write!(f, "{}", value),
            Attribute::Text(text) => f.write_str(&quoted(text)),
            Attribute::List(items) => write!(f, "{}", crate::tensor::ShapeDisplay(items)),
        }
    }
}
