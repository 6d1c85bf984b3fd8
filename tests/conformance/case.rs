//! One case: from its model to its answers.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use kiln::graph::{Tensor, TensorType, ValueId, compare};
use kiln::onnx::{ImportOptions, InputValue};
use kiln::{Options, test_data};

use crate::machine::{Machine, answers, text};
use crate::suite::Case;

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// All outputs are as they should be.
    Passed,
    /// An error, or how an output differs.
    Failed(String),
}

/// What differentiating a case's model gives, whatever it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gradient {
    /// Nodes that carry it back to an input.
    Derived,
    /// Nothing continuous leads from an input to an output.
    Nothing,
    /// The rule of an operator says that there is none.
    Missing,
}

/// What is known of a case after its run.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub outcome: Outcome,
    /// Of a model that can be imported.
    pub gradient: Option<Gradient>,
}

/// Runs cases on one device.
pub(crate) struct Runner {
    machine: Machine,
}

impl Runner {
    pub(crate) fn new() -> Self {
        Self { machine: Machine::open() }
    }

    /// Runs a case; a panic is a failure like any other.
    pub(crate) fn run(&self, case: &Case) -> Verdict {
        let mut gradient = None;
        let outcome = match catch_unwind(AssertUnwindSafe(|| self.answers(case, &mut gradient))) {
            Ok(Ok(())) => Outcome::Passed,
            Ok(Err(message)) => Outcome::Failed(message),
            Err(panic) => {
                let message = panic.downcast_ref::<String>().map(String::as_str);
                let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
                Outcome::Failed(format!("panicked: {message}"))
            }
        };
        Verdict { outcome, gradient }
    }

    fn answers(&self, case: &Case, gradient: &mut Option<Gradient>) -> Result<(), String> {
        let folder = case.folder();
        let bytes = std::fs::read(folder.join("model.onnx")).map_err(text)?;
        let to_know = kiln::onnx::interface(&bytes).map_err(text)?.to_know;
        for number in 0.. {
            let set = folder.join(format!("test_data_set_{number}"));
            if !set.is_dir() {
                break;
            }
            // Inputs that cannot be read are of types that the import refuses, which says more.
            let inputs: Vec<(&str, Result<Tensor, String>)> = case
                .inputs
                .iter()
                .enumerate()
                .map(|(i, name)| (name.as_str(), tensor(&set.join(format!("input_{i}.pb")))))
                .collect();
            let values = inputs.iter().filter(|(name, _)| to_know.iter().any(|known| known == name));
            let values = values.filter_map(|(name, value)| {
                Some(((*name).to_owned(), InputValue::Tensor(value.clone().ok()?)))
            });
            let known =
                inputs.iter().filter_map(|(name, tensor)| Some((*name, tensor.as_ref().ok()?.shape())));
            let types = kiln::onnx::input_types(&bytes).map_err(text)?;
            let mut dims = test_data::agreed_sizes(&types, known);
            // Files say zero for a size that is not known, too, and an open size is at least one.
            dims.retain(|_, size| size.is(0));
            let options = ImportOptions { values: values.collect(), dims, ..ImportOptions::default() };
            let graph = kiln::onnx::import_bytes(&bytes, Some(&folder), &options).map_err(text)?.graph;
            *gradient = differentiated(&graph);
            let given: Vec<(String, Tensor)> = inputs
                .into_iter()
                .filter(|(name, _)| !to_know.iter().any(|known| known == name))
                .map(|(name, value)| Ok((name.to_owned(), value?)))
                .collect::<Result<_, String>>()?;
            let found = self.replay(&graph, &given)?;
            for (i, name) in case.outputs.iter().enumerate() {
                let expected = tensor(&set.join(format!("output_{i}.pb")))?;
                let found = found.get(name).ok_or_else(|| format!("there is no output `{name}`"))?;
                compare(&expected, found, case).map_err(|message| format!("{name}: {message}"))?;
            }
        }
        Ok(())
    }

    /// The outputs by name, from a plan that went through its file.
    fn replay(
        &self,
        graph: &kiln::Graph,
        given: &[(String, Tensor)],
    ) -> Result<BTreeMap<String, Tensor>, String> {
        let set = test_data::DataSet { name: String::new(), inputs: given.to_vec(), outputs: vec![] };
        let max = test_data::largest_symbols(graph, &[set]).map_err(text)?;
        let options = Options { target: self.machine.target.clone(), max, ..Options::default() };
        let mut session = self.machine.load(&kiln::compile(graph, &options).map_err(text)?)?;
        answers(&mut session, given.iter().map(|(name, tensor)| (name, tensor)))
    }
}

/// Whether the sum of the floating point outputs has a gradient with respect to the floating point inputs; nothing is
/// known where there are none of either.
fn differentiated(graph: &kiln::Graph) -> Option<Gradient> {
    let is_float = |id: &ValueId| graph.ty(*id).dtype.is_float();
    let sources = graph.inputs().iter().chain(graph.states()).copied().filter(is_float);
    let sources: Vec<ValueId> = sources.collect();
    let outputs: Vec<ValueId> = graph.outputs().iter().map(|output| output.value).collect();
    if sources.is_empty() || outputs.is_empty() {
        return None;
    }
    let mut found = Gradient::Nothing;
    for output in outputs.into_iter().filter(is_float) {
        let mut with = graph.clone();
        let Ok(gradients) = kiln::differentiate::gradients(&mut with, output, &sources) else {
            return Some(Gradient::Missing);
        };
        // The gradient with respect to something without influence is made of zeros.
        if gradients.iter().any(|id| !with.value(*id).name.starts_with("zero.grad")) {
            found = Gradient::Derived;
        }
    }
    Some(found)
}

fn tensor(path: &Path) -> Result<Tensor, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    kiln::onnx::read_tensor_pb(&bytes).map_err(text)
}

/// Operators that do nothing but keep, move, round or turn around a number: with them, the sign of a zero is part of the
/// answer. Elsewhere it hangs on the order of operations, which ONNX leaves open.
const KEEPS_SIGNS: &[&str] = &[
    "Abs",
    "Ceil",
    "Floor",
    "Identity",
    "Neg",
    "Reciprocal",
    "Round",
    "Sqrt",
    "Reshape",
    "Transpose",
    "Concat",
    "Slice",
    "Gather",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Expand",
    "Tile",
    "Split",
    "Where",
    "Pad",
    "Mul",
    "Div",
];

/// As the suite compares: same type and shape, and every element within `atol + rtol * |expected|`, where NaN is near NaN
/// alone and an infinity near itself.
fn compare(expected: &Tensor, found: &Tensor, case: &Case) -> Result<(), String> {
    let (wanted, is): (TensorType, TensorType) = (expected.ty(), found.ty());
    if wanted != is {
        return Err(format!("is {is}, but should be {wanted}"));
    }
    let (expected, found) = (expected.to_f64(), found.to_f64());
    let signed = KEEPS_SIGNS.contains(&case.operator.as_str());
    let near = |(a, b): (&f64, &f64)| {
        compare::is_near(*a, *b, case.atol, case.rtol) && !(signed && compare::signs_differ(*a, *b))
    };
    match expected.iter().zip(&found).position(|pair| !near(pair)) {
        None => Ok(()),
        Some(at) => {
            let wrong = expected.iter().zip(&found).filter(|pair| !near(*pair)).count();
            let count = expected.len();
            Err(format!(
                "element {at} is {}, but should be {} ({wrong} of {count} differ)",
                found[at], expected[at]
            ))
        }
    }
}
