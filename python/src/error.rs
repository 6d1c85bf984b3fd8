//! Errors of Kiln as exceptions of Python. The classes are Python's own (`kiln/_errors.py`), the texts those of the command.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kiln::{Error, RuntimeError};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Which exception an error becomes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Model,
    Weights,
    Compile,
    Plan,
    Device,
    Input,
    Training,
    Defect,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Kind::Model => "ModelError",
            Kind::Weights => "WeightsError",
            Kind::Compile => "CompileError",
            Kind::Plan => "PlanError",
            Kind::Device => "DeviceError",
            Kind::Input => "InputError",
            Kind::Training => "TrainingError",
            Kind::Defect => "DefectError",
        }
    }

    /// An exception with this text.
    pub(crate) fn with(self, text: impl Into<String>) -> PyErr {
        let text = text.into();
        Python::attach(|py| {
            let class = py.import("kiln._errors").and_then(|module| module.getattr(self.class()));
            match class.and_then(|class| class.call1((&text,))) {
                Ok(error) => PyErr::from_value(error),
                // Without the rest of the package, as when the module is imported by itself.
                Err(_) => PyRuntimeError::new_err(text),
            }
        })
    }
}

/// The exception for an error.
pub(crate) trait Raise<T> {
    /// The value, or the exception.
    fn or_raise(self) -> PyResult<T>;
}

impl<T> Raise<T> for Result<T, Error> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| match error {
            // With the line of the source, as the command shows it.
            Error::Source(error) => Kind::Model.with(without_label(&error.report())),
            Error::Runtime(error) => raised(&error),
            Error::Import(_) | Error::Metadata(_) | Error::Graph(_) => Kind::Model.with(error.to_string()),
            Error::StateDict(_) | Error::Weights(_) => Kind::Weights.with(error.to_string()),
            Error::Train(_) => Kind::Training.with(error.to_string()),
            _ => Kind::Compile.with(error.to_string()),
        })
    }
}

impl<T> Raise<T> for Result<T, RuntimeError> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| raised(&error))
    }
}

impl<T> Raise<T> for Result<T, kiln::PlanError> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| Kind::Plan.with(error.to_string()))
    }
}

impl<T> Raise<T> for Result<T, kiln::graph::GraphError> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| Kind::Model.with(error.to_string()))
    }
}

/// What a run can be given wrongly is an `InputError`; what is left is the device's.
fn raised(error: &RuntimeError) -> PyErr {
    use RuntimeError as E;
    let kind = match error {
        E::Plan(_) => Kind::Plan,
        E::NoSuchProgram { .. }
        | E::NoSuchTensor { .. }
        | E::NoSuchInput { .. }
        | E::NoSuchOutput { .. }
        | E::MissingInput { .. }
        | E::InputTwice { .. }
        | E::InputType { .. }
        | E::InputShape { .. }
        | E::Contradiction { .. }
        | E::TooLarge { .. }
        | E::TooSmall { .. }
        | E::Guard { .. }
        | E::NothingFits { .. }
        | E::Unbound { .. }
        | E::Range { .. }
        | E::Elements { .. } => Kind::Input,
        _ => Kind::Device,
    };
    kind.with(error.to_string())
}

/// The report of a source file without the word that an exception's class says.
fn without_label(report: &str) -> &str {
    report.strip_prefix("error: ").unwrap_or(report).trim_end()
}

/// Does work without the interpreter's lock. A defect is an exception like others, and not one that `except Exception` misses.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work))).map_err(|panic| {
        let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Kind::Defect.with(format!("a defect in Kiln itself, which should be reported: {said}"))
    })
}
