//! Errors of a model file, with the names in the file.

use std::fmt;
use std::path::PathBuf;

use kiln_graph::{GraphError, Guard, ShapeError, TensorType};

use crate::tensor::TensorError;

/// Why a model cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file ends in the middle of a field.
    #[error(
        "the file is truncated: after {have} bytes it ends, where its own structure asks for at least {need}"
    )]
    Truncated {
        /// Bytes there are.
        have: u64,
        /// Bytes there should be.
        need: u64,
    },
    /// The bytes are no ONNX model.
    #[error("this is not an ONNX model: {0}")]
    NotOnnx(String),
    /// The operator set is outside of what is read.
    #[error("the model uses version {found} of the ONNX operators; versions {} to {} are read", .range.0, .range.1)]
    Opset {
        /// The version the model asks for.
        found: i64,
        /// First and last version that are read.
        range: (i64, i64),
    },
    /// A tensor in the file is damaged or of a type that is not used here.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A value is read that nothing makes.
    #[error(
        "{reader} reads `{value}`, but no input, initializer or node of the model has that name (a missing weight file, or a damaged model)"
    )]
    Undefined {
        /// Who reads it: a node with its operator, or an output.
        reader: String,
        /// The name.
        value: String,
    },
    /// Two things make the same value.
    #[error("the value `{value}` is defined twice: by {first} and by {second}")]
    MadeTwice {
        /// The name.
        value: String,
        /// Who makes it.
        first: String,
        /// Who else makes it.
        second: String,
    },
    /// Nodes need each other's results.
    #[error("the graph has a cycle: {}", Listed(.0, " -> "))]
    Cycle(Vec<String>),
    /// A dimension of an input is no size.
    #[error("input `{input}` has {found} as dimension {axis}; sizes are positive numbers below 2^40")]
    Dimension {
        /// The input.
        input: String,
        /// Which dimension.
        axis: usize,
        /// What stands there.
        found: i64,
    },
    /// The caller binds a symbol that does not occur.
    #[error("no input has a dimension called `{name}`; there {known}")]
    UnknownSymbol {
        /// What was asked for.
        name: String,
        /// The known names, as text.
        known: String,
    },
    /// The caller ends the model at something that does not occur.
    #[error("the model has no node and no value called `{name}` to be cut at; `kiln check` names nodes")]
    UnknownCut {
        /// What was asked for.
        name: String,
    },
    /// The caller gives a value to an input that does not occur.
    #[error("the model has no input called `{name}`; its inputs are `{}`", Listed(.known, "`, `"))]
    UnknownInput {
        /// What was asked for.
        name: String,
        /// The inputs there are.
        known: Vec<String>,
    },
    /// The caller gives an input a value of another type.
    #[error("input `{input}` is {expected}, but the value given for it is {given}")]
    Value {
        /// The input.
        input: String,
        /// Its type.
        expected: TensorType,
        /// The type of the value.
        given: TensorType,
    },
    /// An operator does not fit its inputs.
    #[error("`{node}` ({operator}): {source}")]
    Node {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What is wrong.
        source: ShapeError,
    },
    /// A node is not as the format asks.
    #[error("`{node}` ({operator}): {message}")]
    Invalid {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What is wrong.
        message: String,
    },
    /// The file says one type, the operators give another.
    #[error(
        "`{node}` ({operator}) gives {inferred} as `{value}`, but the file declares {declared} (--lenient trusts the operators){assumed}"
    )]
    Declared {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// The value.
        value: String,
        /// The type in the file.
        declared: String,
        /// The type that follows from the operators.
        inferred: TensorType,
        /// What was assumed of sizes on the way.
        assumed: Assumed,
    },
    /// Functions or branches are nested too deep, or expand to too much.
    #[error("`{node}`: functions and branches nest more than {limit} deep, or expand to too many nodes")]
    Nesting {
        /// Where the limit was reached.
        node: String,
        /// The limit.
        limit: usize,
    },
    /// The operators of the model, once expanded, are too large.
    #[error("`{node}` ({operator}): written out so far, the graph is larger than {limit}")]
    TooLarge {
        /// Where the limit was reached.
        node: String,
        /// Its operator.
        operator: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// Some of the model is beyond what this program does. All of it is listed.
    #[error("{}", UnsupportedList(.0))]
    Unsupported(Vec<Unsupported>),
    /// The graph refuses something else.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Something in a model that is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The node, input or initializer.
    pub node: String,
    /// The operator, with its domain if that is not ONNX's own; what it is for anything but a node.
    pub operator: String,
    /// The version of the operator set that applies.
    pub opset: i64,
    /// What exactly is not supported.
    pub reason: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}, opset {}): {}", self.node, self.operator, self.opset, self.reason)
    }
}

/// How many of a kind a message lists; a file can have as many as it has bytes.
const MOST_LISTED: usize = 50;

/// Names between a separator, the first of them.
struct Listed<'a>(&'a [String], &'static str);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[..self.0.len().min(MOST_LISTED)].join(self.1))?;
        match self.0.len().checked_sub(MOST_LISTED) {
            Some(more @ 1..) => write!(f, "{}and {more} more", self.1),
            Some(0) | None => Ok(()),
        }
    }
}

struct UnsupportedList<'a>(&'a [Unsupported]);

impl fmt::Display for UnsupportedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.0.len() == 1 { "thing is" } else { "things are" };
        write!(f, "{} {what} not supported:", self.0.len())?;
        for item in self.0.iter().take(MOST_LISTED) {
            write!(f, "\n  {item}")?;
        }
        match self.0.len().checked_sub(MOST_LISTED) {
            Some(more @ 1..) => write!(f, "\n  and {more} more"),
            Some(0) | None => Ok(()),
        }
    }
}

/// Why a graph cannot be written as ONNX.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// ONNX cannot express this.
    #[error("`{node}` ({op}) cannot be expressed in ONNX: {reason}")]
    NotExpressible {
        /// The node.
        node: String,
        /// The core operator.
        op: &'static str,
        /// Why.
        reason: String,
    },
    /// A number does not fit the format.
    #[error("`{node}`: {value} does not fit a 64-bit integer of the format")]
    Range {
        /// The node.
        node: String,
        /// The number.
        value: String,
    },
}

/// That sizes were assumed to differ, which decides branches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumed(pub(crate) Vec<Guard>);

impl fmt::Display for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(guard) = self.0.first() else { return Ok(()) };
        let mut symbols = guard.left.symbols();
        symbols.extend(guard.right.symbols());
        let flags: Vec<String> = symbols.iter().map(|symbol| format!("--dim {symbol}=..")).collect();
        write!(f, "; `{}` was imported for {guard}, and `{}` decides that", guard.node, flags.join(" "))
    }
}
