//! What each convolution of a trained network makes of a sample.

use kiln::graph::{Graph, Op};
use kiln::training::data::Dataset;
use kiln::training::report::Map;
use kiln::{HostTensor, Session};
use miette::{IntoDiagnostic, Result};

use super::Setup;

/// The outputs of the convolutions for a sample of `data`, by a plan that has them as outputs: kernels of the training's own
/// plan go on with what follows.
pub(super) fn maps(setup: &mut Setup, data: &Dataset, index: usize) -> Result<Vec<Map>> {
    let graph = setup.trained()?;
    let (graph, names) = with_outputs(&graph)?;
    if names.is_empty() {
        return Ok(vec![]);
    }
    // Everything that convolutions make is in memory at once, so it is one sample if the plan may be for one.
    let interface = setup.trainer.interface();
    let first = graph.inputs().iter().find(|id| graph.value(**id).name == interface.input);
    let fixed = first.and_then(|id| graph.ty(*id).shape.first()?.as_const());
    let batch = fixed.and_then(|batch| usize::try_from(batch).ok()).unwrap_or(1).max(1);
    let options = setup.options_for(&graph, batch)?;
    let plan = kiln::compile(&graph, &options).into_diagnostic()?.plan;
    let device = setup.trainer.session().device().clone();
    let mut session = Session::load(&device, &plan).into_diagnostic()?;
    let interface = setup.trainer.interface();
    let mut sample = data.sample(index);
    setup.normalize.apply(&mut sample, &data.shape);
    // A plan may be for full batches only.
    let samples = sample.repeat(batch);
    let shape = [&[batch], &interface.input_shape[..]].concat();
    let samples = HostTensor::new(shape, samples).into_diagnostic()?;
    let outputs = session.run(&[(interface.input.as_str(), &samples)]).into_diagnostic()?;
    let mut maps = Vec::with_capacity(names.len());
    for (output, name) in names {
        let all = outputs.get(&output).into_diagnostic()?;
        let [_, channels, height, width] = *all.shape() else { continue };
        let one: Vec<f32> =
            all.to_f64().into_iter().take(channels * height * width).map(|x| x as f32).collect();
        maps.push(Map {
            name,
            output: HostTensor::new([1, channels, height, width], one).into_diagnostic()?,
        });
    }
    Ok(maps)
}

/// The network with what its convolutions leave as further outputs; each with the name of its layer.
fn with_outputs(model: &Graph) -> Result<(Graph, Vec<(String, String)>)> {
    let mut graph = model.clone();
    let mut names = Vec::new();
    for node in model.nodes() {
        let (Op::Conv(_), [output]) = (&node.op, &node.outputs[..]) else { continue };
        let is_one = |dim: &kiln::graph::Dim| dim.as_const() == Some(1);
        if matches!(&model.ty(*output).shape[..], [_, _, height, width] if !is_one(height) || !is_one(width))
        {
            let name = format!("map {}", names.len());
            graph.output(name.clone(), *output).into_diagnostic()?;
            names.push((name, node.name.clone()));
        }
    }
    Ok((graph, names))
}
