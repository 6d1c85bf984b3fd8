//! Graphs that were once wrong, as small as they became.

use std::collections::BTreeMap;

use kiln::graph::{Precision, Tensor, evaluate, text};

use crate::device::Devices;
use crate::recipe::{Answer, Case, others};
use crate::sketch::{Sketch, largest};

/// What was wrong, and the graph.
const FOUND: &[(&str, &str)] = &[
    (
        "a column was taken for a bias, since there was only one output column",
        "input %x : f32[N, 24, 16]\nconst @w : f32[16, 1] = fill(0.25)\nconst @b : f32[3, 1] = [1, 2, 3]\n\
         %s = slice(%x) axes=[[1, 0, 3, 1]]\n%m = matmul(%s, @w)\n%y = add(%m, @b)\noutput y = %y",
    ),
    (
        "heights were taken for a bias, since there was only one channel",
        "input %x : f32[1, 2, 3, 4]\nconst @w : f32[1, 2, 1, 1] = fill(0.5)\nconst @b : f32[3, 1] = [1, 2, 3]\n\
         %c = conv(%x, @w)\n%y = add(%c, @b)\noutput y = %y",
    ),
    (
        "64-bit integers that were held in 32 bits were stored with 64",
        "input %x : i64[2, 3, 1]\nconst @i : i64[5, 7] = fill(0)\nconst @j : i64[2, 2, 1] = fill(-1)\n\
         %g = gather(%x, @i) axis=2\n%e = gather_elements(%x, @j) axis=1\n%p = pad(%x) pads=[[0, 0], [1, 0], [0, 2]]\n\
         %c = concat(%x, %x) axis=1\n%z = pad(%e) pads=[[1, 1], [1, 0], [0, 2]] value=3\n\
         output g = %g\noutput e = %e\noutput p = %p\noutput c = %c\noutput z = %z",
    ),
    (
        "what was cropped came back where a convolution padded",
        "input %x : f32[N, 2, 5, 6]\nconst @w : f32[4, 1, 1, 3] = fill(0.5)\n\
         %p = pad(%x) pads=[[0, 0], [0, 0], [1, 2], [2, -1]]\n\
         %y = conv(%p, @w) strides=[1, 3] pads=[[0, 0], [-1, 2]] groups=2\noutput y = %y",
    ),
    (
        "a concatenation in a concatenation was copied within one buffer",
        "input %x : f32[1, 8, 2, 3]\n%r = relu(%x)\n%a = concat(%r, %r) axis=1\n%b = concat(%r, %a) axis=1\n\
         %s = sin(%x)\n%c = concat(%s, %r) axis=2\n%d = concat(%s, %c) axis=2\n%e = concat(%d, %c) axis=2\n\
         output b = %b\noutput e = %e",
    ),
    (
        "small numbers of 16 bits became zeros",
        "input %x : f32[2, 5]\nconst @s : f32[] = [0.00003]\n%m = mul(%x, @s)\n%h = cast(%m) to=f16\n\
         %f = cast(%h) to=f32\n%y = div(%f, @s)\noutput y = %y",
    ),
    (
        "what lies behind a short row was taken for zeros that pad it",
        "input %a : i32[2, 8, 6, 2, 8]\ninput %x : f32[1, 1]\ninput %b : i32[2, 24, 3, 1, 7]\n\
         const @w : f32[70, 1] = fill(0.5)\n%m = matmul(%x, @w) transpose_b\n%c = concat(%a, %a) axis=2\n\
         output b = %b\noutput m = %m\noutput c = %c",
    ),
    (
        "the first power of a number was nearly that number",
        "input %u : f32[40, 30]\nconst @s : f32[] = [37.7]\n%x = mul(%u, @s)\ninput %z : i32[40, 30]\n\
         const @m : i32[] = [100000]\n%t = less(%z, @m)\n%e = cast(%t) to=f32\n%p = pow(%x, %e)\n\
         %l = less_or_equal(%p, %x)\noutput l = %l",
    ),
    (
        "the gradient of a weight with one tap read what padding had moved where it was not",
        "input %x : f32[2, 1, 2]\ninput %d : f32[2, 64, 2]\n%w = conv_grad_weight(%x, %d) kernel=[1] pads=[[1, -1]]\n\
         output w = %w",
    ),
    (
        "naga does not convert constants of 64 bits, by how many places to shift",
        "input %x : i64[1, 2, 2, 2]\nconst @c : i64[] = [7]\n%s = shift_left(%x, @c)\nconst @i : i64[1, 3] = [0, -1, -1]\n\
         %y = gather(%s, @i) axis=0\noutput y = %y",
    ),
];

/// The graph in `text` with inputs that look random.
fn case(text: &str) -> Case {
    let graph = text::parse(text).expect("a graph");
    graph.verify().expect("a valid graph");
    let mut sketch = Sketch::new(false);
    for id in graph.inputs() {
        let ty = graph.ty(*id);
        sketch.input(ty.dtype, ty.shape.clone());
    }
    let names = graph.inputs().iter().map(|id| graph.value(*id).name.clone());
    let inputs: BTreeMap<String, Tensor> =
        names.zip(sketch.values.iter().map(|known| known.single.clone())).collect();
    let answers =
        |precision| evaluate(&graph, &inputs, precision).expect("it can be evaluated").outputs().to_vec();
    let answers = answers(Precision::F32).into_iter().zip(answers(Precision::F64));
    let answers = answers.map(|((name, single), (_, double))| Answer::of(&name, single, double));
    let answers = answers.collect();
    let max = largest(&graph);
    let others = others(&graph);
    Case { graph, inputs, max, answers, others }
}

#[test]
fn what_was_wrong_is_right() {
    let devices = Devices::new();
    let mut wrong = vec![];
    for (what, text) in FOUND {
        let case = case(text);
        let checks = [devices.check(&case), crate::passes::check(&case)];
        wrong.extend(checks.into_iter().filter_map(|check| Some(format!("{what}: {}", check.err()?))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
