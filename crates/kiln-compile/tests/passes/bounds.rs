//! The pass `bounds`: a graph in which the data decide sizes, and the one with bounds in their place, have the same results.

use std::collections::BTreeMap;

use kiln_compile::passes::bounds;
use kiln_graph::text::parse;
use kiln_graph::{Graph, Precision, Tensor, evaluate};

/// Six numbers, none to all of them not zero; `z` has a line for each.
const INPUTS: [[f32; 6]; 5] = [
    [0.0, 2.0, -1.0, 0.0, 0.5, 2.0],
    [0.0; 6],
    [1.0, -3.0, 2.0, 2.0, -0.5, 4.0],
    [0.0, 0.0, 0.0, 0.0, 0.0, f32::NAN],
    [7.0, 0.0, 0.0, 0.0, 0.0, 0.0],
];

/// Every graph begins with these lines.
const BEGINNING: &str = "input %x : f32[6]\ninput %z : f32[6, 3]\n%at = nonzero(%x) size=count(at)\n\
                         %s = gather(%x, %at) axis=0\n%r = gather(%z, %at) axis=0\n";

/// What follows, and whether it is defined where nothing is found.
const GRAPHS: &[(&str, &str, bool)] = &[
    ("elementwise", "%a = add(%r, %r)\n%b = relu(%a)\noutput y = %b\noutput at = %at", true),
    ("sum", "%y = reduce_sum(%r) axes=[0]\noutput y = %y", true),
    ("mean", "%y = reduce_mean(%r) axes=[0, 1] keep_dims\noutput y = %y", false),
    ("product", "%y = reduce_prod(%s) axes=[0]\noutput y = %y", true),
    ("largest", "%y = reduce_max(%r) axes=[0]\noutput y = %y", true),
    ("smallest", "%y = reduce_min(%at) axes=[0]\noutput y = %y", true),
    ("sum of each", "%y = reduce_sum(%r) axes=[1]\noutput y = %y", true),
    ("arg max", "%y = arg_max(%s) axis=0\noutput y = %y", false),
    ("softmax", "%y = softmax(%s) axis=0\noutput y = %y", true),
    ("sort", "%y = arg_sort(%s) axis=0 descending\noutput y = %y", true),
    ("sort upwards", "%y = arg_sort(%s) axis=0\noutput y = %y", true),
    (
        "top two",
        "%o = arg_sort(%s) axis=0 descending\n%k = slice(%o) axes=[[0, 0, min(2,count(at)), 1]]\n\
         %y = gather(%r, %k) axis=0\noutput y = %y\noutput k = %k",
        true,
    ),
    ("backwards", "%y = slice(%r) axes=[[0, count(at)-1, count(at), -1], [1, 0, 2, 1]]\noutput y = %y", true),
    ("every second", "%y = slice(%s) axes=[[0, 0, floor((count(at)+1)/2), 2]]\noutput y = %y", true),
    ("the last", "%y = slice(%r) axes=[[0, count(at)-1, 1, 1]]\noutput y = %y", false),
    ("from the end", "const @i : i64[2] = [-1, 0]\n%y = gather(%r, @i) axis=0\noutput y = %y", false),
    ("joined", "%y = concat(%r, %z, %r) axis=0\noutput y = %y", true),
    ("joined behind", "%y = concat(%z, %r) axis=0\noutput y = %y", true),
    ("side by side", "%y = concat(%r, %r) axis=1\noutput y = %y", true),
    (
        "reshaped",
        "%y = reshape(%r) shape=[1, 3*count(at)]\n%t = reshape(%y) shape=[count(at), 3, 1]\noutput t = %t",
        true,
    ),
    ("product of matrices", "%y = matmul(%r, %z) transpose_b\noutput y = %y", true),
    ("product along", "%y = matmul(%r, %r) transpose_a\noutput y = %y", true),
    (
        "sizes",
        "%y = shape_of(%r) start=0 end=2\n%n = size() dim=2*count(at)+1\noutput y = %y\noutput n = %n",
        true,
    ),
    ("counted", "%y = iota() dtype=i32 shape=[count(at), 2] axis=0\noutput y = %y", true),
    ("stretched", "const @one : f32[1] = [3.0]\n%y = expand(@one) shape=[2, count(at)]\noutput y = %y", true),
    (
        "scattered",
        "const @zero : f32[6] = fill(0)\n%y = scatter(@zero, %at, %s) axis=0\n\
         %m = scatter(@zero, %at, %s) axis=0 reduction=max\noutput y = %y\noutput m = %m",
        true,
    ),
    (
        "scattered into",
        "const @i : i64[1] = [-1]\nconst @v : f32[1] = [9.0]\n%y = scatter(%s, @i, @v) axis=0\noutput y = %y",
        false,
    ),
    (
        "found again",
        "%big = greater(%s, %s)\n%p = exp(%s)\n%q = floor(%p)\n%again = nonzero(%q) size=count(again)\n\
         %y = gather(%r, %again) axis=0\n%both = concat(%y, %r) axis=0\noutput y = %y\noutput both = %both",
        true,
    ),
    (
        "suppressed",
        "%b = concat(%r, %s2) axis=1\n%o = reshape(%b) shape=[1, count(at), 4]\n%f = floor(%s)\n%c = equal(%f, %f)\n\
         %a = reshape(%c) shape=[1, count(at)]\n%kept = suppress(%o, %a) iou_threshold=0.1\n\
         %best = nonzero(%kept) size=count(best)\n%y = gather(%r, %best) axis=0\noutput y = %y",
        true,
    ),
    (
        "convolved",
        "const @w : f32[2, 3, 1] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]\n%l = reshape(%r) shape=[count(at), 3, 1]\n\
         %y = conv(%l, @w)\noutput y = %y",
        true,
    ),
];

fn graph(text: &str) -> Graph {
    let two = "%s2 = reshape(%s) shape=[count(at), 1]\n";
    parse(&format!("graph net\n{BEGINNING}{two}{text}\n")).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn results_are_those_of_the_sizes_that_were_found() {
    for (name, text, of_none) in GRAPHS {
        let before = graph(text);
        let after = bounds::run(&before).unwrap_or_else(|error| panic!("{name}: {error}"));
        after.verify().expect(name);
        let counted = |graph: &Graph| {
            graph.values().iter().any(|value| value.ty.shape.iter().any(kiln_graph::Dim::is_counted))
        };
        assert!(counted(&before) && !counted(&after), "{name}");
        for x in INPUTS.iter().filter(|x| *of_none || x.iter().any(|x| *x != 0.0)) {
            let z: Vec<f32> = (0..18).map(|i| (i * 7 % 11) as f32 - 4.0).collect();
            let inputs = BTreeMap::from([
                ("x".to_owned(), Tensor::f32([6], x.to_vec()).expect("six")),
                ("z".to_owned(), Tensor::f32([6, 3], z).expect("eighteen")),
            ]);
            let run = |graph: &Graph| {
                evaluate(graph, &inputs, Precision::F32)
                    .unwrap_or_else(|error| panic!("{name} {x:?}: {error}\n{graph}"))
            };
            let (wanted, found) = (run(&before), run(&after));
            let text = |outputs: &[(String, Tensor)]| format!("{outputs:?}");
            // NaN differs from itself, so texts are compared.
            assert_eq!(text(wanted.outputs()), text(found.outputs()), "{name} {x:?}\n{after}");
        }
    }
}

#[test]
fn what_cannot_be_bounded_is_refused_by_name() {
    for (text, message) in [
        ("%y = pad(%s) pads=[[1, 0]]\noutput y = %y", "`y` (pad): cannot go along an axis"),
        (
            "%t = transpose(%r) perm=[1, 0]\n%y = reshape(%t) shape=[3*count(at)]\noutput y = %y",
            "`y` (reshape): elements of [3, count(at)]",
        ),
        (
            "%t = transpose(%r) perm=[1, 0]\n%y = nonzero(%t) size=count(y)\noutput y = %y",
            "`y` (nonzero): cannot tell positions",
        ),
    ] {
        let error = bounds::run(&graph(text)).expect_err(text).to_string();
        assert!(error.starts_with(message) && error.contains("--cut-at"), "{error}");
    }
}
