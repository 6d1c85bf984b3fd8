//! Steps of a training, and what the network says after them: programs that share states, some of which lie where the new
//! ones go.

use std::collections::BTreeMap;

use kiln::graph::ops::BinaryOp;
use kiln::graph::{EvaluateOptions, Evaluation, GraphError, Op, Precision, Tensor, evaluate_with};
use kiln::{Graph, HostTensor, Session, Target};

use crate::device::Devices;
use crate::gradients;
use crate::halves;
use crate::machine::{host, text};
use crate::recipe::{Answer, Case};

/// How many steps are made.
const STEPS: usize = 2;
/// How far a step moves a state at most.
const REACH: f64 = 1e-3;

/// A step that changes all states of a case against their gradients. `None` if it has none, or no gradients.
fn step(case: &Case) -> Result<Option<Graph>, String> {
    let Some((differentiated, sources)) = gradients::differentiated(case)? else { return Ok(None) };
    let mut graph = differentiated.graph;
    let outputs: Vec<_> = graph.outputs().iter().map(|output| output.value).collect();
    let states = graph.states().to_vec();
    let mut change = || -> Result<(), GraphError> {
        graph.clear_outputs();
        graph.output("loss", outputs[0])?;
        for ((source, gradient), answer) in
            sources.iter().zip(&outputs[1..]).zip(&differentiated.answers[1..])
        {
            let Some(state) = states.iter().find(|id| graph.value(**id).name == *source) else { continue };
            let steepest = answer.double.to_f64().iter().fold(1.0f64, |m, x| m.max(x.abs()));
            let rate = graph.constant("rate", Tensor::scalar((REACH / steepest) as f32));
            let step = graph.apply1("step", Op::Binary(BinaryOp::Mul), &[*gradient, rate])?;
            let new = graph.apply1("new", Op::Binary(BinaryOp::Sub), &[*state, step])?;
            graph.update(*state, new)?;
        }
        Ok(())
    };
    change().map_err(text)?;
    Ok((!graph.updates().is_empty()).then_some(graph))
}

/// Runs a graph in both precisions from states that each has by itself.
fn run(
    graph: &Graph,
    case: &Case,
    states: &[BTreeMap<String, Tensor>; 2],
) -> Result<[Evaluation; 2], String> {
    let run = |precision, states: &BTreeMap<String, Tensor>| {
        let options = EvaluateOptions { states: states.clone(), ..EvaluateOptions::new(precision) };
        evaluate_with(graph, &case.inputs, &options).map_err(text)
    };
    Ok([run(Precision::F32, &states[0])?, run(Precision::F64, &states[1])?])
}

/// What a result should be, of its name and both precisions.
type Judge = fn(&str, Tensor, Tensor) -> Answer;

/// Pairs of results as answers.
fn answers(judge: Judge, single: &[(String, Tensor)], double: &[(String, Tensor)]) -> Vec<Answer> {
    let pairs = single.iter().zip(double);
    pairs.map(|((name, single), (_, double))| judge(name, single.clone(), double.clone())).collect()
}

/// Trains a case for a few steps on the device and by evaluation.
pub(crate) fn check(devices: &Devices, case: &Case) -> Result<(), String> {
    let Some(step) = step(case)? else { return Ok(()) };
    check_all(devices, case, &step, Answer::of)
}

/// The same with 16-bit floats.
pub(crate) fn check_halves(devices: &Devices, case: &Case) -> Result<(), String> {
    let Some(step) = step(case)? else { return Ok(()) };
    let (Some(step), Some(mut graph)) = (halves::graph(&step), halves::graph(&case.graph)) else {
        return Ok(());
    };
    // Which of several is the largest is soon a matter of rounding.
    let outputs = graph.outputs().to_vec();
    graph.clear_outputs();
    for output in outputs {
        if graph.ty(output.value).dtype.is_float() {
            graph.output(output.name, output.value).map_err(text)?;
        }
    }
    let inputs = halves::tensors(&case.inputs);
    let case = Case { graph, inputs, max: case.max.clone(), answers: vec![], others: vec![] };
    let [single, double] = run(&step, &case, &Default::default())?;
    let mut all = answers(halves::answer, single.outputs(), double.outputs());
    all.extend(answers(halves::answer, single.new_states(), double.new_states()));
    if all.iter().all(halves::is_sure) { check_all(devices, &case, &step, halves::answer) } else { Ok(()) }
}

fn check_all(devices: &Devices, case: &Case, step: &Graph, judge: Judge) -> Result<(), String> {
    for (name, target) in devices.targets() {
        let checked = check_for(devices, target, case, step, judge);
        checked.map_err(|message| format!("as for {name}: {message}"))?;
    }
    Ok(())
}

fn check_for(
    devices: &Devices,
    target: &Target,
    case: &Case,
    step: &Graph,
    judge: Judge,
) -> Result<(), String> {
    // What only the network reads or only the step does must not be missed.
    let programs = [("train", step), ("inference", &case.graph)];
    let Some(mut session) = devices.load(&programs, target, &case.max)? else { return Ok(()) };
    let given = host(&case.inputs)?;
    let given: Vec<(&str, &HostTensor)> = given.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let inputs = |graph: &Graph| -> Vec<(&str, &HostTensor)> {
        let has = |name: &str| graph.inputs().iter().any(|id| graph.value(*id).name == name);
        given.iter().copied().filter(|(name, _)| has(name)).collect()
    };
    let mut states: [BTreeMap<String, Tensor>; 2] = Default::default();
    for n in 0..STEPS {
        let [single, double] = run(step, case, &states)?;
        let outputs = session.run_program("train", &inputs(step)).map_err(text)?;
        for answer in answers(judge, single.outputs(), double.outputs()) {
            let found = outputs.get(&answer.name).map_err(text)?;
            answer.check(&kiln::from_host(found).map_err(text)?).map_err(|m| format!("step {n}: {m}"))?;
        }
        drop(outputs);
        for answer in answers(judge, single.new_states(), double.new_states()) {
            answer.check(&state(&mut session, &answer.name)?).map_err(|m| format!("after step {n}: {m}"))?;
        }
        states[0].extend(single.new_states().iter().cloned());
        states[1].extend(double.new_states().iter().cloned());
    }
    let [single, double] = run(&case.graph, case, &states)?;
    let outputs = session.run_program("inference", &inputs(&case.graph)).map_err(text)?;
    for answer in answers(judge, single.outputs(), double.outputs()) {
        let found = outputs.get(&answer.name).map_err(text)?;
        answer.check(&kiln::from_host(found).map_err(text)?).map_err(|m| format!("afterwards: {m}"))?;
    }
    Ok(())
}

/// What a state is on the device.
fn state(session: &mut Session, name: &str) -> Result<Tensor, String> {
    let found = session.plan().states().find(|(_, tensor)| tensor.name == name).map(|(index, _)| index);
    let index = found.ok_or_else(|| format!("there is no state `{name}`"))?;
    kiln::from_host(&session.read_tensor(index).map_err(text)?).map_err(text)
}
