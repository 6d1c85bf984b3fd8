//! What small graphs are lowered to: kernels, layouts, launches, arenas, for each family and each decision.

use std::fmt::Write;

use kiln_compile::{Compiled, Options, Target, compile, compile_programs};
use kiln_graph::{Graph, text};
use kiln_plan::Plan;

fn graph(source: &str) -> Graph {
    text::parse(source).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

fn options(target: Target) -> Options {
    Options { target, max: [("N".to_owned(), 8)].into(), ..Options::default() }
}

/// A graph compiled for a target, as text to review.
fn lowered(source: &str, target: Target) -> String {
    let graph = graph(source);
    // Only symbols that occur have a maximum.
    let mut options = options(target);
    options.max.retain(|name, _| graph.symbols().iter().any(|symbol| **symbol == **name));
    listing(&compile(&graph, &options).unwrap_or_else(|error| panic!("{error}")))
}

fn listing(compiled: &Compiled) -> String {
    let plan = &compiled.plan;
    let mut out = String::new();
    for program in &compiled.programs {
        for selection in &program.selections {
            let _ = writeln!(out, "{}: {} ({})", selection.group, selection.choice(), selection.reason);
        }
    }
    for program in &plan.programs {
        let _ = writeln!(out, "program {}", program.name);
        for dispatch in &program.dispatches {
            let groups: Vec<String> =
                dispatch.workgroups.iter().map(|n| n.text(&plan.symbols)).filter(|n| n != "1").collect();
            let groups = if groups.is_empty() { "1".into() } else { groups.join(" x ") };
            let shader = &plan.shaders[dispatch.shader];
            let bindings: Vec<String> = dispatch.bindings.iter().map(|range| place(plan, range)).collect();
            let _ = writeln!(out, "  {} [{groups}] {}", shader.name, bindings.join(", "));
        }
    }
    for tensor in &plan.tensors {
        let shape: Vec<String> = tensor.shape.iter().map(|size| size.text(&plan.symbols)).collect();
        let (order, lanes) = (&tensor.layout.order, tensor.layout.lanes);
        let at = place(plan, &tensor.place);
        let _ = writeln!(out, "{} [{}] order {order:?} lanes {lanes} at {at}", tensor.name, shape.join(", "));
    }
    for buffer in &plan.buffers {
        let _ = writeln!(out, "{}: {} bytes", buffer.name, buffer.size);
    }
    out
}

fn place(plan: &Plan, range: &kiln_plan::Range) -> String {
    format!("{}+{}", plan.buffers[range.buffer].name, range.offset)
}

const CONV: &str = "graph conv
input %x : f32[N, 16, 14, 14]
const @w : f32[32, 16, 3, 3] = fill(0.5)
const @b : f32[1, 32, 1, 1] = fill(0.25)
%conv = conv(%x, @w) pads=[[1, 1], [1, 1]]
%biased = add(%conv, @b)
%relu = relu(%biased)
output y = %relu
";

/// A tile by subgroups on lavapipe, with the bias as the start of sums and packed weights.
#[test]
fn convolution_on_lavapipe() {
    insta::assert_snapshot!(lowered(CONV, Target::lavapipe()));
}

#[test]
fn convolution_on_a_gpu() {
    insta::assert_snapshot!(lowered(CONV, Target::portable()));
}

#[test]
fn convolution_without_subgroups() {
    insta::assert_snapshot!(lowered(CONV, Target::cpu()));
}

/// A depthwise kernel, and one that has no vectors of channels.
#[test]
fn grouped_convolutions() {
    insta::assert_snapshot!(lowered(
        "graph grouped
input %x : f32[N, 12, 9, 9]
const @depthwise : f32[12, 1, 3, 3] = fill(0.5)
const @grouped : f32[6, 4, 3, 3] = fill(0.5)
%a = conv(%x, @depthwise) pads=[[1, 1], [1, 1]] groups=12
%b = conv(%a, @grouped) groups=3
output y = %b
",
        Target::lavapipe()
    ));
}

/// Taps along the width are channels, and residue classes skip the zeros of a transposed convolution.
#[test]
fn one_channel_and_transposed_convolution() {
    insta::assert_snapshot!(lowered(
        "graph stem
input %x : f32[N, 1, 12, 12]
const @stem : f32[8, 1, 5, 5] = fill(0.5)
const @up : f32[8, 8, 4, 4] = fill(0.5)
%a = conv(%x, @stem) pads=[[2, 2], [2, 2]]
%b = conv(%a, @up) pads=[[2, 2], [2, 2]] input_dilations=[2, 2]
output y = %b
",
        Target::lavapipe()
    ));
}

/// A packed right matrix, a computed one whose rows are not in fours, and a long sum that is split.
#[test]
fn matrix_products() {
    insta::assert_snapshot!(lowered(
        "graph products
input %x : f32[N, 6]
input %m : f32[6, 40]
const @w : f32[40, 9000] = fill(0.5)
const @v : f32[9000, 3] = fill(0.5)
%a = matmul(%x, %m)
%b = matmul(%a, @w)
%c = matmul(%b, @v)
output y = %c
",
        Target::lavapipe()
    ));
}

/// Parts of a concatenation are written straight into it; a slice of channels is read where it is.
#[test]
fn concatenation_and_views() {
    insta::assert_snapshot!(lowered(
        "graph parts
input %x : f32[N, 8, 6, 6]
const @w : f32[8, 8, 1, 1] = fill(0.5)
%a = conv(%x, @w)
%b = conv(%a, @w)
%joined = concat(%a, %b) axis=1
%part = slice(%joined) axes=[[1, 8, 8, 1]]
%c = conv(%part, @w)
output y = %c
",
        Target::lavapipe()
    ));
}

/// Reductions along and across rows, one that is split, arg-max, softmax, and a sum over all but the channels.
#[test]
fn reductions() {
    insta::assert_snapshot!(lowered(
        "graph reductions
input %x : f32[N, 5000]
input %i : f32[N, 8, 10, 10]
%sum = reduce_sum(%x) axes=[1] keep_dims
%max = reduce_max(%x) axes=[0]
%best = arg_max(%x) axis=1
%soft = softmax(%x) axis=1
%pooled = reduce_mean(%i) axes=[2, 3] keep_dims
%channels = reduce_sum(%i) axes=[0, 2, 3]
output sum = %sum
output max = %max
output best = %best
output soft = %soft
output pooled = %pooled
output channels = %channels
",
        Target::lavapipe()
    ));
}

/// Pooling in runs and of any kind; padding, gathering, sorting, scattering, interpolation.
#[test]
fn pooling_and_movements() {
    insta::assert_snapshot!(lowered(
        "graph movements
input %x : f32[N, 4, 8, 8]
%run = max_pool(%x) kernel=[2, 2] strides=[2, 2]
%large = avg_pool(%x) kernel=[7, 7]
%pad = pad(%x) pads=[[0, 0], [0, 0], [1, 1], [1, 1]] mode=reflect
%up = resize(%run) shape=[N, 4, 16, 16] mode=linear coordinates=half_pixel
output run = %run
output large = %large
output pad = %pad
output up = %up
",
        Target::lavapipe()
    ));
}

/// The gradient of a convolution and of a linear layer, in parts, with updates over the states.
#[test]
fn a_training_step() {
    let step = graph(
        "graph step
input %x : f32[N, 4, 6, 6]
input %dy : f32[N, 8, 6, 6]
input %a : f32[N, 10]
input %da : f32[N, 3]
state @w : f32[8, 4, 3, 3] = fill(0.5)
state @l : f32[3, 10] = fill(0.5)
const @rate : f32[] = fill(0.1)
%dw = conv_grad_weight(%x, %dy) kernel=[3, 3] pads=[[1, 1], [1, 1]]
%dl = matmul(%da, %a) transpose_a
%sw = mul(%dw, @rate)
%sl = mul(%dl, @rate)
%nw = sub(@w, %sw)
%nl = sub(@l, %sl)
update @w = %nw
update @l = %nl
",
    );
    for (name, target) in [("lavapipe", Target::lavapipe()), ("gpu", Target::portable())] {
        let compiled = compile_programs(&[("step", &step)], &options(target)).expect("a step compiles");
        insta::assert_snapshot!(format!("a_training_step_{name}"), listing(&compiled));
    }
}

/// Sizes whose products exceed 64 bits are refused, whatever computes with them on the way to a choice.
#[test]
fn maxima_beyond_64_bits_are_errors() {
    let nodes = [
        "%y = conv(%x, @w) pads=[[1, 1], [1, 1]]",
        "%y = conv(%x, @d) pads=[[1, 1], [1, 1]] groups=8",
        "%y = conv(%x, @g) groups=2",
        "%y = max_pool(%x) kernel=[2, 2]",
        "%y = softmax(%x) axis=3",
        "%y = arg_max(%x) axis=2",
        "%y = reduce_sum(%x) axes=[2, 3]",
        "%y = reduce_mean(%x) axes=[0, 2, 3]",
        "%y = matmul(%x, %z)",
        "%f = reshape(%x) shape=[A, 8, B*C]\n%t = reshape(%x) shape=[A, B*C, 8]\n%y = matmul(%f, %t)",
        "%y = relu(%x)",
        "%y = concat(%x, %x) axis=2",
    ];
    for (node, target) in nodes.iter().flat_map(|node| {
        [Target::lavapipe(), Target::portable(), Target::cpu()].map(|target| (*node, target))
    }) {
        let graph = graph(&format!(
            "graph huge\ninput %x : f32[A, 8, B, C]\ninput %z : f32[A, 8, C, B]\nconst @w : f32[8, 8, 3, 3] = fill(1)\n\
             const @d : f32[8, 1, 3, 3] = fill(1)\nconst @g : f32[6, 4, 3, 3] = fill(1)\n{node}\noutput y = %y\n"
        ));
        let max = ["A", "B", "C"].map(|name| (name.to_owned(), u32::MAX)).into();
        let options = Options { target, max, ..Options::default() };
        assert!(compile(&graph, &options).is_err(), "{node}");
    }
}

/// WGSL has no such constant expression, and other engines stop or answer anything.
#[test]
fn integers_are_not_divided_by_a_constant_zero() {
    for op in ["div", "mod", "rem"] {
        let source = |dtype: &str, elements: &str| {
            format!(
                "graph g\ninput %x : {dtype}[2]\nconst @c : {dtype}[2] = {elements}\n%y = {op}(%x, @c)\noutput y = %y\n"
            )
        };
        let compiled = |text: &str| compile(&graph(text), &Options::default()).map(drop);
        let error = compiled(&source("i32", "[3, 0]")).expect_err("a zero").to_string();
        assert!(error.contains("`y`") && error.contains("divides an integer by zero"), "{error}");
        compiled(&source("i32", "[3, 1]")).unwrap_or_else(|error| panic!("{op}: {error}"));
        compiled(&source("f32", "[3, 0]")).unwrap_or_else(|error| panic!("{op}: {error}"));
    }
}
