//! At each level, a step computes exactly what it computes without, and its backward pass reads less of the forward pass.

use std::collections::BTreeMap;

use kiln_graph::text::parse;
use kiln_graph::{Bindings, Data, EvaluateOptions, Graph, Precision, Tensor, evaluate_with};

use super::{LEVELS, Level, checkpointed};
use crate::passes::{self, TRAINING};
use crate::train::{Loss, Optimizer, Training, step};

fn residual() -> Graph {
    let weight = |name: &str, channels: usize| {
        let numbers = (0..channels * 36).map(|i| format!("{}", (i * 7 % 11) as f32 * 0.0625 - 0.3125));
        format!("state @{name} : f32[4, {channels}, 3, 3] = [{}]\n", numbers.collect::<Vec<_>>().join(", "))
    };
    let vector =
        |name: &str, value: f32| format!("state @{name} : f32[4] = [{value}, {value}, {value}, {value}]\n");
    let mut text = format!("graph residual\ninput %x : f32[N, 3, 8, 8]\n{}", weight("stem", 3));
    text += "%v0 = conv(%x, @stem) pads=[[1, 1], [1, 1]]\n";
    for n in 0..6 {
        text += &weight(&format!("w{n}"), 4);
        for (name, value) in [("scale", 1.5), ("shift", 0.25), ("mean", 0.0), ("var", 1.0)] {
            text += &vector(&format!("{name}{n}"), value);
        }
        text += &format!("%c{n} = conv(%v{n}, @w{n}) pads=[[1, 1], [1, 1]]\n");
        text += &format!("%b{n} = batch_norm(%c{n}, @scale{n}, @shift{n}, @mean{n}, @var{n}) epsilon=1e-5\n");
        text += &format!("%r{n} = relu(%b{n})\n%d{n} = dropout(%r{n}) ratio=0.25\n");
        text += &format!("%v{} = add(%d{n}, %v{n})\n", n + 1);
    }
    text += "output y = %v6\n";
    parse(&text).expect("a graph")
}

/// How many values of the forward pass are read by nodes that are not of it.
fn kept(graph: &Graph) -> usize {
    let forward = super::Forward::of(graph, &Bindings::from([("N".into(), 4)])).expect("a step");
    let others = graph.node_ids().filter(|id| !forward.is_forward[id.index()]);
    let mut read: Vec<_> = others.flat_map(|id| graph.node(id).inputs.clone()).collect();
    read.sort_unstable();
    read.dedup();
    let is_large = |id: &kiln_graph::ValueId| graph.ty(*id).shape.last() == Some(&8.into());
    let is_forward =
        |id: &kiln_graph::ValueId| graph.producer(*id).is_some_and(|maker| forward.is_forward[maker.index()]);
    read.iter().filter(|id| is_large(id) && is_forward(id)).count()
}

#[test]
fn results_are_the_same() {
    let training = Training { seed: 3, ..Training::new(Loss::Mse, Optimizer::adam()) };
    let graph = passes::run(TRAINING, &step(&residual(), &training).expect("a step")).expect("passes");
    let numbers = |count: usize| (0..count).map(|i| (i * 13 % 29) as f32 / 14.0 - 1.0).collect::<Vec<_>>();
    let inputs: BTreeMap<String, Tensor> = [
        ("x", Tensor::new(vec![4, 3, 8, 8], Data::F32(numbers(768))).expect("as many")),
        ("target", Tensor::new(vec![4, 4, 8, 8], Data::F32(numbers(1024))).expect("as many")),
        ("lr", Tensor::scalar(0.1f32)),
        ("momentum", Tensor::scalar(0.9f32)),
    ]
    .map(|(name, tensor)| (name.to_owned(), tensor))
    .into();
    let options = EvaluateOptions::new(Precision::F64);
    let evaluated = |graph: &Graph| evaluate_with(graph, &inputs, &options).expect("numbers");
    let (expected, all) = (evaluated(&graph), kept(&graph));
    let max = Bindings::from([("N".into(), 4)]);
    let mut counts = Vec::new();
    for level in LEVELS {
        let Some(found) = checkpointed(&graph, *level, &max).expect("a graph") else { continue };
        let results = evaluated(&found.graph);
        for (name, tensor) in expected.outputs().iter().chain(expected.new_states()) {
            let all = results.outputs().iter().chain(results.new_states());
            let (_, other) = all.into_iter().find(|(other, _)| other == name).expect("the same results");
            assert!(tensor.to_f64() == other.to_f64(), "{level:?}: {name}");
        }
        assert!(found.nodes > 0 && found.share_of_forward <= 1.0, "{level:?}");
        counts.push((*level, kept(&found.graph)));
    }
    assert!(counts.iter().all(|(_, kept)| *kept < all), "{counts:?}, {all} without");
    let of = |level| counts.iter().find(|(other, _)| *other == level).map(|(_, kept)| *kept);
    assert!(of(Level::Segments(3)) < of(Level::Elementwise), "{counts:?}");
}

/// A graph without a loss has nothing to keep.
#[test]
fn only_steps_are_changed() {
    let max = Bindings::from([("N".into(), 4)]);
    assert!(checkpointed(&residual(), Level::Segments(2), &max).expect("a graph").is_none());
}
