//! Whether a model is supported.

use std::collections::BTreeMap;
use std::path::Path;

use kiln_graph::Graph;

use crate::error::{ImportError, Unsupported};
use crate::import::{self, ImportOptions, import, operator_name, opset_of};

/// The operators of a model, and those that are not supported.
#[derive(Clone, Debug)]
pub struct Report {
    /// The version of the operator set.
    pub opset: i64,
    /// How often each operator is used.
    pub operators: BTreeMap<String, usize>,
    /// What is not supported.
    pub unsupported: Vec<Unsupported>,
    /// The graph, where everything is supported.
    pub graph: Option<Graph>,
}

/// Looks through the model in the file `path`. Errors are those of a file that is damaged or contradicts itself.
pub fn check(path: &Path, options: &ImportOptions) -> Result<Report, ImportError> {
    let model = import::read_model(&import::read(path)?)?;
    let mut operators = BTreeMap::new();
    for node in model.graph.iter().flat_map(|graph| &graph.node) {
        *operators.entry(operator_name(node)).or_insert(0) += 1;
    }
    let (graph, unsupported) = match import(path, options) {
        Ok(imported) => (Some(imported.graph), vec![]),
        Err(ImportError::Unsupported(list)) => (None, list),
        Err(error) => return Err(error),
    };
    Ok(Report { opset: opset_of(&model), operators, unsupported, graph })
}
