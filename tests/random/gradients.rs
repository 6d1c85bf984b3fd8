//! The gradient of a random sum: against finite differences in f64, and compiled against evaluated.

use std::collections::BTreeMap;

use kiln::Graph;
use kiln::graph::ops::{BinaryOp, Reduce, ReduceKind, UnaryOp};
use kiln::graph::{
    DType, Data, Def, EvaluateOptions, GraphError, Op, Precision, Tensor, ValueId, evaluate_with,
};

use crate::recipe::{Answer, Case};

const STEP: f64 = 1e-6;

/// A case with a loss, its gradients as outputs, and the names of what it is differentiated by. `None` if there is nothing
/// to differentiate.
pub(crate) fn differentiated(case: &Case) -> Result<Option<(Case, Vec<String>)>, String> {
    let mut graph = case.graph.clone();
    let outputs: Vec<ValueId> = graph.outputs().iter().map(|output| output.value).collect();
    let outputs: Vec<ValueId> = outputs.into_iter().filter(|id| graph.ty(*id).dtype == DType::F32).collect();
    let sources = graph.inputs().iter().chain(graph.states()).filter(|id| graph.ty(**id).dtype == DType::F32);
    let sources: Vec<String> = sources.map(|id| graph.value(*id).name.clone()).collect();
    if outputs.is_empty() || sources.is_empty() {
        return Ok(None);
    }
    let loss = loss(&mut graph, &outputs).map_err(|e| e.to_string())?;
    graph.clear_outputs();
    graph.output("loss", loss).map_err(|e| e.to_string())?;
    let names: Vec<&str> = sources.iter().map(String::as_str).collect();
    let symbolic = !graph.symbols().is_empty();
    let graph = match kiln::differentiate::differentiate(&graph, "loss", &names) {
        Ok(graph) => graph,
        // What hangs on a symbolic size sometimes has no gradient, which is said.
        Err(error) if symbolic && error.to_string().contains("cannot be differentiated") => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    graph.verify().map_err(|e| e.to_string())?;
    let evaluated = |precision| evaluate_with(&graph, &case.inputs, &EvaluateOptions::new(precision));
    let single = evaluated(Precision::F32).map_err(|e| e.to_string())?;
    let double = evaluated(Precision::F64).map_err(|e| e.to_string())?;
    let answers = single.outputs().iter().zip(double.outputs());
    let answers =
        answers.map(|((name, single), (_, double))| Answer::of(name, single.clone(), double.clone()));
    let mut answers: Vec<Answer> = answers.collect();
    // The loss comes first.
    let terms = case.answers.iter().filter(|answer| answer.single.dtype() == DType::F32);
    let magnitude: f64 = terms.flat_map(|answer| answer.double.to_f64()).map(f64::abs).sum();
    let loss = answers.remove(0).of_terms(magnitude);
    answers.insert(0, loss);
    let (inputs, max) = (case.inputs.clone(), case.max.clone());
    Ok(Some((Case { graph, inputs, max, answers, others: vec![] }, sources)))
}

/// The sum of the sines of all elements, each with a factor of its own.
fn loss(graph: &mut Graph, outputs: &[ValueId]) -> Result<ValueId, GraphError> {
    let mut total: Option<ValueId> = None;
    for (n, id) in outputs.iter().enumerate() {
        let rank = graph.ty(*id).rank();
        let factor = graph.constant("factor", Tensor::scalar(0.7 + 0.3 * n as f32));
        let scaled = graph.apply1("scaled", Op::Binary(BinaryOp::Mul), &[*id, factor])?;
        let wave = graph.apply1("wave", Op::Unary(UnaryOp::Sin), &[scaled])?;
        let wave = graph.apply1("wave", Op::Binary(BinaryOp::Mul), &[wave, *id])?;
        let axes = (0..rank).collect();
        let sum = Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keep_dims: false });
        let sum = graph.apply1("sum", sum, &[wave])?;
        total = Some(match total {
            Some(total) => graph.apply1("total", Op::Binary(BinaryOp::Add), &[total, sum])?,
            None => sum,
        });
    }
    total.ok_or_else(|| GraphError::Invalid("no outputs".into()))
}

/// Compares the gradients that a differentiated case expects with differences of its loss.
pub(crate) fn check(case: &Case, sources: &[String]) -> Result<(), String> {
    for (n, source) in sources.iter().enumerate() {
        let tensor = value(case, source).ok_or("a source is gone")?;
        let noise: Vec<f64> = (0..tensor.len()).map(|i| (1.0 + 7.0 * (i + n) as f64).sin()).collect();
        let loss = |step: f64| -> Result<f64, String> {
            let moved = tensor.to_f64().iter().zip(&noise).map(|(x, d)| x + step * d).collect();
            let moved = Tensor::new(tensor.shape().to_vec(), Data::F64(moved)).expect("the same shape");
            let mut inputs = case.inputs.clone();
            let mut states = BTreeMap::new();
            match inputs.get_mut(source) {
                Some(input) => *input = moved,
                None => drop(states.insert(source.clone(), moved)),
            }
            let options = EvaluateOptions { states, ..EvaluateOptions::new(Precision::F64) };
            let run = evaluate_with(&case.graph, &inputs, &options).map_err(|e| e.to_string())?;
            Ok(run.output("loss").ok_or("the loss is gone")?.to_f64()[0])
        };
        let numeric = (loss(STEP)? - loss(-STEP)?) / (2.0 * STEP);
        let gradient = &case.answers[n + 1];
        let parts: Vec<f64> = gradient.double.to_f64().iter().zip(&noise).map(|(g, d)| g * d).collect();
        let exact: f64 = parts.iter().sum();
        let scale = parts.iter().map(|x| x.abs()).sum::<f64>().max(1e-2);
        let apart = (numeric - exact).abs();
        let loss = case.answers[0].double.to_f64()[0].abs();
        if apart.is_nan() || apart > 1e-4 * scale + 1e-9 * loss / STEP * 1e-4 {
            return Err(format!("along `{source}`: {exact:e}, but differences give {numeric:e}"));
        }
    }
    Ok(())
}

/// An input, or what a state begins with.
fn value(case: &Case, name: &str) -> Option<Tensor> {
    if let Some(input) = case.inputs.get(name) {
        return Some(input.clone());
    }
    let state = case.graph.states().iter().find(|id| case.graph.value(**id).name == name)?;
    match &case.graph.value(*state).def {
        Def::State(first) => Some(first.clone()),
        Def::Input | Def::Constant(_) | Def::Node { .. } => None,
    }
}
