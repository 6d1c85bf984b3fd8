//! The same graphs with 16-bit floats where they have 32, and the other way round. Rounding is no bug there: what is found is
//! what is far off.

use std::collections::BTreeMap;

use kiln::graph::{DType, Precision, Tensor, compare, evaluate, text};
use kiln::{Graph, passes};

use crate::jumps;
use crate::recipe::{Answer, Case, Run};

/// The case with 16-bit floats. `None` if an operator wants those it had, or if rounding decides all answers.
pub(crate) fn of(case: &Case) -> Option<Case> {
    let graph = graph(&case.graph)?;
    let given = std::iter::once(&case.inputs).chain(case.others.iter().map(|run| &run.inputs));
    let given = given.map(tensors).collect();
    sure_of(graph.clone(), &graph, given, &case.max)
}

/// The case with 32-bit floats that are kept in 16 bits. `None` if rounding decides all answers.
pub(crate) fn kept(case: &Case) -> Option<Case> {
    let tidy = passes::run(passes::INFERENCE, &case.graph).ok()?;
    let rounded = passes::run(passes::HALVES, &tidy).ok()?;
    let is_rounded = rounded.value_ids().any(|id| rounded.ty(id).dtype == DType::F16);
    // Where the data decide sizes, there are others.
    if !is_rounded || rounded.outputs().len() != case.graph.outputs().len() {
        return None;
    }
    let given = std::iter::once(&case.inputs).chain(case.others.iter().map(|run| &run.inputs));
    sure_of(case.graph.clone(), &rounded, given.cloned().collect(), &case.max)
}

/// The outputs of `graph` of which rounding does not decide, and what `evaluated` makes of them.
fn sure_of(
    mut graph: Graph,
    evaluated: &Graph,
    given: Vec<BTreeMap<String, Tensor>>,
    max: &BTreeMap<String, u32>,
) -> Option<Case> {
    let mut runs = Vec::new();
    for inputs in given {
        let answers = answers(evaluated, &inputs)?;
        runs.push(Run { inputs, answers });
    }
    let sure = |n: usize| runs.iter().all(|run| is_sure(&run.answers[n]));
    let sure: Vec<bool> = (0..graph.outputs().len()).map(sure).collect();
    let outputs = graph.outputs().to_vec();
    graph.clear_outputs();
    for (output, _) in outputs.into_iter().zip(&sure).filter(|(_, sure)| **sure) {
        graph.output(output.name, output.value).ok()?;
    }
    for run in &mut runs {
        let mut sure = sure.iter();
        run.answers.retain(|_| sure.next() == Some(&true));
    }
    let Run { inputs, answers } = runs.remove(0);
    let max = max.clone();
    (!answers.is_empty()).then_some(Case { graph, inputs, max, answers, others: runs })
}

/// Whether no function of the graph jumps where 16 bits decide on which side something is.
pub(crate) fn is_steady(case: &Case) -> bool {
    !case.graph.nodes().iter().any(|node| jumps::has(&node.op))
}

/// The graph with 16-bit floats.
pub(crate) fn graph(graph: &Graph) -> Option<Graph> {
    let source = graph.with_data().to_string();
    let source = source.replace("f16", "half").replace("f32", "f16").replace("half", "f32");
    text::parse(&source).ok()
}

/// The tensors with 16-bit floats.
pub(crate) fn tensors(all: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let half = |tensor: &Tensor| match tensor.dtype() {
        DType::F32 => Tensor::of_numbers(tensor.shape().to_vec(), &tensor.to_f64(), DType::F16),
        _ => Ok(tensor.clone()),
    };
    all.iter().map(|(name, tensor)| (name.clone(), half(tensor).expect("as many"))).collect()
}

fn answers(graph: &Graph, inputs: &BTreeMap<String, Tensor>) -> Option<Vec<Answer>> {
    let single = evaluate(graph, inputs, Precision::F32).ok()?;
    let double = evaluate(graph, inputs, Precision::F64).ok()?;
    let pairs = single.outputs().iter().zip(double.outputs());
    Some(pairs.map(|((name, single), (_, double))| answer(name, single.clone(), double.clone())).collect())
}

/// As [`Answer::of`], with room for rounding to 16 bits.
pub(crate) fn answer(name: &str, single: Tensor, double: Tensor) -> Answer {
    let mut answer = Answer::of(name, single, double);
    answer.tolerance = 2e-2 * largest(&answer) + 10.0 * answer.doubt();
    answer
}

/// Whether rounding does not decide.
pub(crate) fn is_sure(answer: &Answer) -> bool {
    let exact = answer.double.to_f64();
    match answer.double.dtype().is_float() {
        true => exact.iter().all(|x| x.abs() < 6e4) && answer.doubt() <= 1e-2 * largest(answer),
        false => exact == answer.single.to_f64(),
    }
}

fn largest(answer: &Answer) -> f64 {
    compare::largest(&answer.double.to_f64(), 0.1)
}
