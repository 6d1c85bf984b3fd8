//! Parameters and statistics become constants, so that the passes behind can compute with them.
//!
//! ```text
//! before: state w: f32[8, 3, 3, 3]     y = conv(x, w)
//! after:  const w: f32[8, 3, 3, 3]     y = conv(x, w)
//! ```

use kiln_graph::{Def, Graph, GraphError, ValueId};

/// Turns every state into a constant of its first value. A graph that updates its states cannot be frozen.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    if let Some(update) = graph.updates().first() {
        return Err(GraphError::Invalid(format!(
            "`{}` is updated by each run, so it cannot be frozen; only a graph for inference can be",
            graph.value(update.state).name
        )));
    }
    if graph.states().is_empty() {
        return Ok(graph.clone());
    }
    let mut new = Graph::new(graph.name.clone());
    let mut mapped: Vec<Option<ValueId>> = vec![None; graph.values().len()];
    for (id, value) in graph.value_ids().zip(graph.values()) {
        mapped[id.index()] = match &value.def {
            Def::Input => Some(new.input(value.name.clone(), value.ty.clone())?),
            Def::Constant(tensor) | Def::State(tensor) => {
                Some(new.constant(value.name.clone(), tensor.clone()))
            }
            Def::Node { .. } => None,
        };
    }
    let find = |mapped: &[Option<ValueId>], id: ValueId| {
        mapped[id.index()].ok_or_else(|| {
            GraphError::Invalid(format!("`{}` is used before it is made", graph.value(id).name))
        })
    };
    for node in graph.nodes() {
        let inputs = node.inputs.iter().map(|id| find(&mapped, *id)).collect::<Result<Vec<_>, _>>()?;
        let outputs = new.apply(node.name.clone(), node.op.clone(), &inputs)?;
        for (old, output) in node.outputs.iter().zip(outputs) {
            mapped[old.index()] = Some(output);
        }
    }
    for output in graph.outputs() {
        new.output(output.name.clone(), find(&mapped, output.value)?)?;
    }
    Ok(new)
}
