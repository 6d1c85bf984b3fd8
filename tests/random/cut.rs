//! What is wrong with a graph usually sits in a few of its nodes. Here everything else is cut away: outputs that are
//! right, and nodes whose results may as well be given.

use std::collections::{BTreeMap, HashMap};

use kiln::Graph;
use kiln::graph::{Def, EvaluateOptions, Evaluation, Precision, ValueId, evaluate_with};

use crate::recipe::{Answer, Case, others};

/// The smallest case found that still fails.
pub(crate) fn down(mut case: Case, fails: impl Fn(&Case) -> bool) -> Case {
    for n in (0..case.answers.len()).rev() {
        let fewer = without(&case, &[], |output| output != n);
        case = fewer.filter(|case| !case.answers.is_empty() && fails(case)).unwrap_or(case);
    }
    let mut at = 0;
    while at < case.graph.nodes().len() {
        let made = case.graph.nodes()[at].outputs.clone();
        match without(&case, &made, |_| true).filter(&fails) {
            Some(less) => case = less,
            None => at += 1,
        }
    }
    case
}

/// The case without some outputs, and with some values given as inputs. What is not needed any more is left out.
fn without(case: &Case, given: &[ValueId], wanted: impl Fn(usize) -> bool) -> Option<Case> {
    let graph = &case.graph;
    let run = |graph: &Graph, inputs, precision| -> Option<Evaluation> {
        evaluate_with(graph, inputs, &EvaluateOptions { keep_all: true, ..EvaluateOptions::new(precision) })
            .ok()
    };
    let values = run(graph, &case.inputs, Precision::F32)?;
    let outputs: Vec<usize> = (0..case.answers.len()).filter(|n| wanted(*n)).collect();
    let mut needed = vec![false; graph.values().len()];
    for n in &outputs {
        needed[graph.outputs()[*n].value.index()] = true;
    }
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().any(|id| needed[id.index()] && !given.contains(id)) {
            node.inputs.iter().for_each(|id| needed[id.index()] = true);
        }
    }
    let mut new = Graph::new(graph.name.clone());
    let mut ids: HashMap<ValueId, ValueId> = HashMap::new();
    let mut inputs = BTreeMap::new();
    for id in graph.value_ids().filter(|id| needed[id.index()]) {
        let value = graph.value(id);
        let made = match &value.def {
            Def::Constant(tensor) => new.constant(value.name.clone(), tensor.clone()),
            Def::State(first) => new.state(value.name.clone(), first.clone()).ok()?,
            Def::Node { node, .. } if !given.contains(&id) => {
                let node = graph.node(*node);
                let from: Option<Vec<ValueId>> = node.inputs.iter().map(|id| ids.get(id).copied()).collect();
                new.apply1(node.name.clone(), node.op.clone(), &from?).ok()?
            }
            Def::Input | Def::Node { .. } => {
                inputs.insert(value.name.clone(), values.get(id)?.clone());
                new.input(value.name.clone(), value.ty.clone()).ok()?
            }
        };
        ids.insert(id, made);
    }
    for n in &outputs {
        let output = &graph.outputs()[*n];
        new.output(output.name.clone(), *ids.get(&output.value)?).ok()?;
    }
    let (single, double) = (run(&new, &inputs, Precision::F32)?, run(&new, &inputs, Precision::F64)?);
    let answers = outputs.iter().zip(single.outputs().iter().zip(double.outputs()));
    let answers = answers.map(|(n, ((name, single), (_, double)))| Answer {
        name: name.clone(),
        single: single.clone(),
        double: double.clone(),
        tolerance: case.answers[*n].tolerance,
    });
    let answers = answers.collect();
    let symbols = new.symbols();
    let max = case.max.iter().filter(|(name, _)| symbols.iter().any(|symbol| **symbol == ***name));
    let max = max.map(|(name, most)| (name.clone(), *most)).collect();
    let others = if case.others.is_empty() { vec![] } else { others(&new) };
    Some(Case { graph: new, inputs, max, answers, others })
}
