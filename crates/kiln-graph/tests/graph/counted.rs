//! Values of which the data decide the size.

use std::collections::BTreeMap;

use kiln_graph::text::parse;
use kiln_graph::{DType, Precision, Tensor, evaluate};

fn graph(text: &str) -> kiln_graph::Graph {
    parse(&format!("graph net\n{text}\n")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_count_is_known_once_its_node_has_run() {
    let graph = graph(
        "input %x : f32[N, 3]\n%at = nonzero(%x) size=count(at)\n\
         %two = slice(%at) axes=[[0, 0, min(2,count(at)), 1]]\n%n = size() dim=2*count(at)\n\
         output at = %at\noutput two = %two\noutput n = %n",
    );
    assert_eq!(graph.ty(graph.outputs()[0].value).to_string(), "i64[count(at)]");
    for (x, at) in [
        ([0.0, f32::NAN, -0.0, 1.0, 0.0, -2.0], vec![1, 3, 5]),
        ([0.0; 6], vec![]),
        ([0.0, 0.0, 0.0, 0.0, 0.0, f32::INFINITY], vec![5]),
    ] {
        let x = Tensor::f32([2, 3], x.to_vec()).expect("six numbers");
        let run = evaluate(&graph, &BTreeMap::from([("x".to_owned(), x)]), Precision::F32).expect("it runs");
        let ints = |name: &str| run.output(name).and_then(Tensor::to_ints).expect("integers");
        assert_eq!(ints("at"), at);
        assert_eq!(ints("two"), at[..at.len().min(2)]);
        assert_eq!(run.output("n").expect("a size").to_f64(), [2.0 * at.len() as f64]);
    }
}

#[test]
fn positions_up_to_a_bound_are_filled_with_zeros() {
    let graph = graph("input %x : bool[4]\n%at = nonzero(%x) size=4\noutput at = %at");
    let x = Tensor::of_numbers([4], &[0.0, 1.0, 0.0, 1.0], DType::Bool).expect("four values");
    let run = evaluate(&graph, &BTreeMap::from([("x".to_owned(), x)]), Precision::F32).expect("it runs");
    assert_eq!(run.output("at").and_then(Tensor::to_ints), Some(vec![1, 3, 0, 0]));
}

/// Corners in any order, boxes without an area, a threshold that is met exactly, NaN.
#[test]
fn suppression_walks_from_the_best_box() {
    let nan = f32::NAN;
    // y1, x1, y2, x2; the third overlaps the first by a half, as does the fourth, whose corners are swapped.
    let boxes = [
        [0.0, 0.0, 2.0, 2.0],
        [5.0, 5.0, 5.0, 7.0],
        [0.0, 0.0, 1.0, 2.0],
        [2.0, 2.0, 1.0, 0.0],
        [0.0, 0.0, 2.0, 2.0],
        [nan, 0.0, 2.0, 2.0],
        [5.0, 5.0, 5.0, 7.0],
    ];
    for (threshold, alive, most, kept) in [
        (0.5, [1, 1, 1, 1, 1, 1, 1], "", [1, 1, 1, 1, 0, 1, 1]),
        (0.49, [1, 1, 1, 1, 1, 1, 1], "", [1, 1, 0, 0, 0, 1, 1]),
        (0.49, [0, 1, 1, 1, 1, 1, 1], "", [0, 1, 1, 1, 0, 1, 1]),
        (0.49, [0, 1, 1, 1, 1, 1, 1], " most=2", [0, 1, 1, 0, 0, 0, 0]),
        (0.49, [1, 1, 1, 1, 1, 1, 1], " most=0", [0; 7]),
        (1.0, [1, 1, 1, 1, 1, 1, 1], "", [1; 7]),
    ] {
        let graph = graph(&format!(
            "input %boxes : f32[1, 7, 4]\ninput %alive : bool[1, 7]\n\
             %kept = suppress(%boxes, %alive) iou_threshold={threshold}{most}\noutput kept = %kept"
        ));
        let alive: Vec<f64> = alive.into_iter().map(f64::from).collect();
        let inputs = BTreeMap::from([
            ("boxes".to_owned(), Tensor::f32([1, 7, 4], boxes.concat()).expect("as many numbers")),
            ("alive".to_owned(), Tensor::of_numbers([1, 7], &alive, DType::Bool).expect("as many")),
        ]);
        let run = evaluate(&graph, &inputs, Precision::F32).expect("it runs");
        let found = run.output("kept").and_then(Tensor::to_ints);
        assert_eq!(found, Some(kept.to_vec()), "{threshold} {alive:?}{most}");
    }
}
