//! Errors in an operator's inputs and attributes, in terms of the model.

use std::sync::Arc;

use crate::dim::Dim;
use crate::tensor::{DType, DataLengthError, ShapeDisplay};

/// Why an operator cannot be applied to its inputs. [`GraphError::Node`] adds which node it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Too few or too many inputs.
    #[error("takes {expected} inputs, but {found} were given")]
    InputCount {
        /// The expected number, as text.
        expected: String,
        /// How many there are.
        found: usize,
    },
    /// An operand has the wrong number of dimensions.
    #[error("{operand} should have {expected} dimensions, but its shape is {}", ShapeDisplay(.found))]
    Rank {
        /// The operand's name in the operator.
        operand: &'static str,
        /// The expected number of dimensions, as text.
        expected: String,
        /// The shape it has.
        found: Vec<Dim>,
    },
    /// An operand has an element type the operator does not take.
    #[error("{operand} should be {expected}, but is {found}")]
    DType {
        /// The operand's name in the operator.
        operand: &'static str,
        /// The expected types, as text.
        expected: String,
        /// The type it has.
        found: DType,
    },
    /// Two facts contradict each other.
    #[error("{0}")]
    Mismatch(String),
    /// An attribute has a value that makes no sense.
    #[error("attribute `{name}`: {message}")]
    Attribute {
        /// The attribute.
        name: &'static str,
        /// The problem and a fix.
        message: String,
    },
    /// The result would be empty or negative in a dimension.
    #[error("the output would have size {found} in dimension {axis}: {reason}")]
    EmptyOutput {
        /// The output dimension.
        axis: usize,
        /// Its size.
        found: Dim,
        /// Why.
        reason: String,
    },
    /// The result would have more elements than a tensor may have.
    #[error("the output would have shape {}, more elements than any device can hold", ShapeDisplay(.0))]
    TooLarge(Vec<Dim>),
}

/// Why an operator cannot be evaluated. [`GraphError::Eval`] adds which node it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The inputs do not fit the operator.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A symbol in an attribute has no value.
    #[error("the size `{0}` is not known")]
    UnboundSymbol(Arc<str>),
    /// An index points outside.
    #[error("index {index} is out of range for the {size} elements of axis {axis}")]
    Index {
        /// The index.
        index: i64,
        /// The axis.
        axis: usize,
        /// How many elements there are.
        size: usize,
    },
    /// A step of a loop cannot be evaluated.
    #[error("in step {step}, {message}")]
    Body {
        /// Which step, from 0.
        step: usize,
        /// What is wrong there.
        message: String,
    },
    /// An integer is divided by zero.
    #[error("an integer is divided by zero")]
    DivisionByZero,
    /// The output does not fit into memory.
    #[error("there is not enough memory for the output {dtype}{}", ShapeDisplay(.shape))]
    OutOfMemory {
        /// The element type.
        dtype: DType,
        /// The shape.
        shape: Vec<usize>,
    },
}

/// Errors of a graph.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An operation does not apply to this graph.
    #[error("{0}")]
    Unsuitable(String),
    /// An operator does not fit its inputs.
    #[error("`{node}` ({op}): {source}")]
    Node {
        /// The node's name as the user gave it.
        node: String,
        /// The operator.
        op: &'static str,
        /// What is wrong.
        source: ShapeError,
    },
    /// Two inputs, states or outputs have the same name.
    #[error("the name `{0}` is used twice; names of inputs, states and outputs have to be unique")]
    DuplicateName(String),
    /// An operator cannot be differentiated.
    #[error("`{node}` ({op}) cannot be differentiated: {reason}")]
    NoGradient {
        /// The node's name as the user gave it.
        node: String,
        /// The operator.
        op: &'static str,
        /// Why.
        reason: String,
    },
    /// The graph is not in order; see the verifier.
    #[error("the graph is broken: {0}")]
    Invalid(String),
    /// The text form cannot be read.
    #[error("line {line}, column {column}: {message}")]
    Parse {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// Evaluation failed.
    #[error("`{node}`: {message}")]
    Eval {
        /// The node or value concerned.
        node: String,
        /// What is wrong.
        message: String,
    },
}

impl From<DataLengthError> for GraphError {
    fn from(error: DataLengthError) -> Self {
        Self::Invalid(error.to_string())
    }
}
