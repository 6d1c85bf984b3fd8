//! Averages of parameters over steps, which are evaluated and kept instead of the parameters themselves: an exponential moving
//! average, as PyTorch's `swa_utils.AveragedModel` with `get_ema_multi_avg_fn` makes it (Polyak and Juditsky 1992 average evenly).

use kiln_graph::ops::BinaryOp;
use kiln_graph::{Def, Formula, Graph, GraphError, ValueId};

use super::settings::Training;
use super::update::{Updates, mixed};

/// The name of the state that is the average of a parameter.
pub fn averaged(parameter: &str) -> String {
    format!("{parameter}.ema")
}

/// Adds the average of a parameter, which becomes `new`, to a step: `new` itself after the first step, then
/// `decay * average + (1 - decay) * new`.
pub(super) fn average(
    graph: &mut Graph,
    decay: f32,
    steps: ValueId,
    (parameter, new): (ValueId, ValueId),
    updates: &mut Updates,
) -> Result<(), GraphError> {
    let value = graph.value(parameter);
    let Def::State(first) = &value.def else {
        return Err(GraphError::Invalid(format!("the parameter `{}` is no state", value.name)));
    };
    let (name, first) = (averaged(&value.name), first.clone());
    let state = graph.state(name.clone(), first)?;
    let mut f = Formula::new(graph, name);
    let zero = f.number(0.0);
    let is_first = f.binary(BinaryOp::Equal, steps, zero)?;
    let mix = mixed(&mut f, state, new, decay)?;
    let next = f.select(is_first, new, mix)?;
    updates.push(&mut f, state, next)?;
    Ok(())
}

/// The model with averages in the place of the parameters that have one.
pub(super) fn with_averages(model: &Graph, training: &Training) -> Result<Graph, GraphError> {
    let mut model = model.clone();
    if training.ema.is_none() {
        return Ok(model);
    }
    let unused = training.without_gradient(&model)?;
    let parameters = training.parameters(&model);
    for id in model.states().to_vec() {
        let name = &model.value(id).name;
        if parameters.contains(name) && !unused.contains(name) {
            let name = averaged(name);
            model.rename_state(id, name)?;
        }
    }
    Ok(model)
}
