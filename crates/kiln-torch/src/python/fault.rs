//! Errors while a program is evaluated.

use std::rc::Rc;

use kiln_graph::GraphError;

use super::value::Value;
use crate::source::Span;

/// What kind of thing went wrong, as far as `except` asks.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// The exception that Python would raise, by name.
    Python(&'static str),
    /// An exception raised by the program.
    Raised(Value),
    /// Python that is not understood here, or something of PyTorch that there is not.
    Unsupported,
    /// The program asks for too much.
    Limit,
}

/// An error with its place.
#[derive(Clone, Debug)]
pub(crate) struct Fault(pub Rc<FaultData>);

/// See [`Fault`].
#[derive(Clone, Debug)]
pub(crate) struct FaultData {
    pub kind: Kind,
    pub message: String,
    pub help: Option<String>,
    pub span: Option<Span>,
    /// Where what failed was called from, innermost first.
    pub calls: Vec<(Span, String)>,
    /// Where the layer that failed was made.
    pub made: Option<Span>,
}

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Rc::new(FaultData { kind, message, help: None, span: None, calls: vec![], made: None }))
    }

    /// What Python calls `exception`.
    pub(crate) fn python(exception: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Python(exception), message)
    }

    /// An argument of the wrong type.
    pub(crate) fn type_error(message: impl Into<String>) -> Self {
        Self::python("TypeError", message)
    }

    /// An argument with a value that makes no sense.
    pub(crate) fn value(message: impl Into<String>) -> Self {
        Self::python("ValueError", message)
    }

    /// Not Python.
    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        Self::python("SyntaxError", message)
    }

    /// Not supported.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// Too much.
    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(Kind::Limit, message)
    }

    /// A `raise` of the program.
    pub(crate) fn raised(exception: Value, message: impl Into<String>) -> Self {
        Self::new(Kind::Raised(exception), message)
    }

    fn data(&mut self) -> &mut FaultData {
        Rc::make_mut(&mut self.0)
    }

    /// Adds what would be right.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.data().help.get_or_insert(help.into());
        self
    }

    /// Adds the place, unless a closer one is known.
    pub(crate) fn at(mut self, span: Span) -> Self {
        if self.0.span.is_none() {
            self.data().span = Some(span);
        }
        self
    }

    /// Adds where the layer that failed was made.
    pub(crate) fn made(mut self, span: Option<Span>) -> Self {
        if self.0.made.is_none() {
            self.data().made = span;
        }
        self
    }

    /// Adds a call on the way to the place.
    pub(crate) fn called(mut self, span: Span, what: &str) -> Self {
        let is_new = self.0.calls.iter().all(|(other, _)| *other != span);
        if self.0.span != Some(span) && is_new && self.0.calls.len() < 8 {
            self.data().calls.push((span, what.to_owned()));
        }
        self
    }
}

impl From<GraphError> for Fault {
    fn from(error: GraphError) -> Self {
        // The place says which layer it is in the file's own terms.
        let message = match error {
            GraphError::Node { node, source, .. } => format!("`{node}`: {source}"),
            other => other.to_string(),
        };
        Self::python("RuntimeError", message)
    }
}
