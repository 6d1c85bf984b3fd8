//! Tiles of matrix products and convolutions: each that the target admits, on shapes that none of them divides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kiln::graph::{DType, Graph, Precision, Tensor, evaluate, text};
use kiln::torch::ImportOptions;
use kiln::{Compiled, Options, Target};
use kiln_graph::compare::apart;

use crate::machine::{Machine, answers};
use crate::numbers::noise;

/// Windows with strides, dilations, groups, zeros between elements, in one to three dimensions; few channels, whose taps are
/// one loop; weights that are known and such that are not; images that are mostly edges; sums
/// that are split.
const CONVOLUTIONS: &str = "graph convolutions
input %x : f32[2, 24, 9, 11]
input %image : f32[2, 3, 17, 15]
input %line : f32[2, 20, 31]
input %volume : f32[1, 8, 4, 5, 6]
input %thin : f32[1, 2, 5, 6, 7]
input %small : f32[40, 8, 2, 2]
input %rich : f32[2, 70, 5, 6]
input %given : f32[12, 24, 3, 3]
state @plain : f32[40, 24, 3, 3] = fill(0)
state @bias : f32[40, 1, 1] = fill(0)
state @grouped : f32[32, 12, 3, 3] = fill(0)
state @point : f32[7, 24, 1, 1] = fill(0)
state @dilated : f32[20, 24, 3, 2] = fill(0)
state @transposed : f32[12, 24, 4, 4] = fill(0)
state @stem : f32[20, 3, 5, 5] = fill(0)
state @edges : f32[12, 8, 3, 3] = fill(0)
state @from_rich : f32[24, 70, 3, 3] = fill(0)
state @rich_bias : f32[24, 1, 1] = fill(0)
state @along : f32[36, 20, 5] = fill(0)
state @deep : f32[12, 8, 2, 3, 3] = fill(0)
state @deep_stem : f32[9, 2, 3, 2, 3] = fill(0)
%a = conv(%x, @plain) pads=[[1, 1], [1, 1]] strides=[2, 1]
%a_biased = add(%a, @bias)
%a_relu = relu(%a_biased)
%b = conv(%x, @grouped) pads=[[0, 2], [1, 1]] groups=2
%c = conv(%x, @point)
%d = conv(%x, @dilated) dilations=[2, 3]
%e = conv(%x, @transposed) pads=[[2, 2], [2, 2]] input_dilations=[2, 2]
%f = conv(%image, @stem) pads=[[2, 2], [2, 2]] strides=[2, 2] dilations=[1, 2]
%g = conv(%line, @along) pads=[[2, 2]]
%h = conv(%volume, @deep) pads=[[1, 0], [1, 1], [1, 1]]
%i = conv(%thin, @deep_stem) pads=[[1, 1], [1, 1], [0, 0]] strides=[1, 2, 1]
%j = conv(%x, %given) pads=[[1, 1], [1, 1]]
%k = conv(%small, @edges) pads=[[1, 1], [1, 1]]
%l = conv(%rich, @from_rich) pads=[[1, 1], [0, 1]]
%l_biased = add(%l, @rich_bias)
%l_relu = relu(%l_biased)
output a = %a_relu
output b = %b
output c = %c
output d = %d
output e = %e
output f = %f
output g = %g
output h = %h
output i = %i
output j = %j
output k = %k
output l = %l_relu
";

/// A right matrix that is known, one that is not, and sums that are split.
const PRODUCTS: &str = "graph products
input %x : f32[3, 33, 50]
input %y : f32[3, 50, 24]
input %long : f32[2, 5000]
input %row : f32[1, 300]
state @w : f32[50, 70] = fill(0)
state @wide : f32[300, 44] = fill(0)
state @column : f32[5000, 6] = fill(0)
%a = matmul(%x, @w)
%b = matmul(%x, %y)
%c = matmul(%long, @column)
%d = matmul(%row, @wide)
%d_relu = relu(%d)
output a = %a
output b = %b
output c = %c
output d = %d_relu
";

/// Gradients of weights: with strides, dilations, groups, zeros between elements, in one to three dimensions, of windows of one
/// element and of one channel, and of matrix products.
const GRADIENTS: &str = "graph gradients
input %x : f32[2, 24, 9, 11]
input %stem : f32[3, 1, 12, 12]
input %line : f32[2, 20, 31]
input %volume : f32[1, 8, 4, 5, 6]
input %dy_plain : f32[2, 40, 5, 11]
input %dy_grouped : f32[2, 32, 9, 11]
input %dy_point : f32[2, 7, 9, 11]
input %dy_dilated : f32[2, 20, 5, 8]
input %dy_transposed : f32[2, 12, 18, 22]
input %dy_stem : f32[3, 10, 12, 12]
input %dy_line : f32[2, 36, 31]
input %dy_volume : f32[1, 12, 4, 5, 6]
input %rows : f32[70, 50]
input %dy_rows : f32[70, 37]
%a = conv_grad_weight(%x, %dy_plain) kernel=[3, 3] pads=[[1, 1], [1, 1]] strides=[2, 1]
%b = conv_grad_weight(%x, %dy_grouped) kernel=[3, 3] pads=[[1, 1], [1, 1]] groups=2
%c = conv_grad_weight(%x, %dy_point) kernel=[1, 1]
%d = conv_grad_weight(%x, %dy_dilated) kernel=[3, 2] dilations=[2, 3]
%e = conv_grad_weight(%x, %dy_transposed) kernel=[4, 4] pads=[[2, 2], [2, 2]] input_dilations=[2, 2]
%f = conv_grad_weight(%stem, %dy_stem) kernel=[5, 5] pads=[[2, 2], [2, 2]]
%g = conv_grad_weight(%line, %dy_line) kernel=[5] pads=[[2, 2]]
%h = conv_grad_weight(%volume, %dy_volume) kernel=[2, 3, 3] pads=[[1, 0], [1, 1], [1, 1]]
%i = matmul(%dy_rows, %rows) transpose_a
output a = %a
output b = %b
output c = %c
output d = %d
output e = %e
output f = %f
output g = %g
output h = %h
output i = %i
";

/// Numbers of 8 bits without a sign, from which something is subtracted, times such with one.
const WHOLE: &str = "graph whole
input %x : u8[2, 20, 9, 7]
input %rows : i8[3, 33, 50]
const @zero : i32[] = [117]
const @scale : f32[] = [0.5]
state @w : f32[13, 20, 3, 3] = fill(0)
state @stem : f32[6, 4, 3, 3] = fill(0)
state @bias : f32[13, 1, 1] = fill(0)
state @matrix : f32[50, 21] = fill(0)
%wide = cast(%x) to=i32
%moved = sub(%wide, @zero)
%float = cast(%moved) to=f32
%a = conv(%float, @w) pads=[[1, 1], [2, 0]]
%a_scaled = mul(%a, @scale)
%b = conv(%float, @w) pads=[[1, 1], [1, 1]] strides=[2, 2]
%b_biased = add(%b, @bias)
%first = slice(%float) axes=[[1, 3, 4, 1]]
%c = conv(%first, @stem)
%float_rows = cast(%rows) to=f32
%d = matmul(%float_rows, @matrix)
output a = %a_scaled
output b = %b_biased
output c = %c
output d = %d
";

/// Convolutions of 3x3 windows that move by one: sizes that tiles of two and four results do not divide, any padding, channels
/// that are not multiples of four, several images; epilogues that add a bias and another value; an input that is a part of
/// a tensor, and a result that becomes one; weights that are known and such that are not, and those of a gradient.
const WINDOWS: &str = "graph windows
input %x : f32[2, 33, 13, 10]
input %wide : f32[1, 64, 9, 9]
input %other : f32[2, 50, 13, 10]
input %given : f32[36, 33, 3, 3]
input %dy : f32[2, 36, 13, 10]
state @w : f32[50, 33, 3, 3] = fill(0)
state @bias : f32[50, 1, 1] = fill(0)
state @other_w : f32[44, 33, 3, 3] = fill(0)
state @half : f32[40, 32, 3, 3] = fill(0)
%a = conv(%x, @w) pads=[[1, 1], [1, 1]]
%a_biased = add(%a, @bias)
%a_added = add(%a_biased, %other)
%a_relu = relu(%a_added)
%b = conv(%x, @other_w)
%b_gate = sigmoid(%b)
%b_silu = mul(%b, %b_gate)
%c = conv(%x, @other_w) pads=[[2, 2], [0, 3]]
%part = slice(%wide) axes=[[1, 32, 32, 1]]
%d = conv(%part, @half) pads=[[1, 1], [1, 1]]
%d_relu = relu(%d)
%e = concat(%d_relu, %wide) axis=1
%f = conv(%x, %given) pads=[[1, 1], [1, 1]]
%swapped = transpose(%given) perm=[1, 0, 2, 3]
%mirrored = slice(%swapped) axes=[[2, 2, 3, -1], [3, 2, 3, -1]]
%g = conv(%dy, %mirrored) pads=[[1, 1], [1, 1]]
%h = conv(%x, @other_w) pads=[[-1, 0], [1, -2]]
output a = %a_relu
output b = %b_silu
output c = %c
output e = %e
output f = %f
output g = %g
output h = %h
";

/// The graph with weights: noise, or whole numbers of 8 bits with a sign.
pub(crate) fn graph(source: &str, whole: bool) -> Graph {
    let mut graph = text::parse(source).unwrap_or_else(|e| panic!("{e}\n{source}"));
    for (seed, id) in graph.states().to_vec().into_iter().enumerate() {
        let shape = graph.ty(id).static_shape().expect("a state has numbers as sizes");
        let numbers = noise(seed as u64, shape.iter().product());
        let own: Vec<f64> =
            numbers.into_iter().map(|x| if whole { (x * 127.0).round() } else { x }).collect();
        let tensor = Tensor::of_numbers(shape, &own, graph.ty(id).dtype).expect("as many as the shape says");
        graph.set_state(id, tensor).expect("of the state's type");
    }
    graph
}

pub(crate) fn given(graph: &Graph) -> BTreeMap<String, Tensor> {
    let one = |(seed, id): (usize, &kiln::graph::ValueId)| {
        let ty = graph.ty(*id);
        let shape = ty.static_shape().expect("numbers");
        let numbers = noise(100 + seed as u64, shape.iter().product());
        let own: Vec<f64> = match ty.dtype {
            DType::U8 => numbers.into_iter().map(|x| (x.abs() * 255.0).round()).collect(),
            DType::I8 => numbers.into_iter().map(|x| (x * 128.0).round().min(127.0)).collect(),
            _ => numbers,
        };
        let tensor = Tensor::of_numbers(shape, &own, ty.dtype).expect("as many as the shape says");
        (graph.value(*id).name.clone(), tensor)
    };
    graph.inputs().iter().enumerate().map(one).collect()
}

fn compiled(graph: &Graph, target: &Target, pin: Option<&str>) -> Compiled {
    let mut options = Options { target: target.clone(), ..Options::default() };
    options.preferences.pinned.extend(pin.map(|choice| ("*".to_owned(), choice.to_owned())));
    kiln::compile(graph, &options).unwrap_or_else(|e| panic!("{e}"))
}

/// The admitted candidates of a family for any layer: those that multiply words of numbers of 8 bits, or the others.
fn candidates(compiled: &Compiled, family: &str, of_words: bool) -> BTreeSet<String> {
    let all = compiled.programs[0].selections.iter().flat_map(|selection| &selection.candidates);
    let admitted = all.filter(|c| c.refusal.is_none() && c.choice.family == family);
    admitted.filter(|c| (c.choice.knobs.get("dot4") == 1) == of_words).map(|c| c.choice.to_string()).collect()
}

/// Computes all outputs with each candidate where it is one, and holds them against the evaluator.
fn check(source: &str, family: &str, whole: bool, at_least: usize) {
    let graph = graph(source, whole);
    check_given(&graph, &given(&graph), family, whole, at_least);
}

/// As [`check`], with what is given.
pub(crate) fn check_given(
    graph: &Graph,
    given: &BTreeMap<String, Tensor>,
    family: &str,
    whole: bool,
    at_least: usize,
) {
    let most = if whole { 0.0 } else { 1e-5 };
    let farthest = check_up_to(most, graph, given, family, whole, at_least);
    println!("{family}: up to {farthest:e} of the largest value");
}

/// The same with the largest difference that is allowed, relative to the largest value; gives the one that was found.
fn check_up_to(
    most: f64,
    graph: &Graph,
    given: &BTreeMap<String, Tensor>,
    family: &str,
    whole: bool,
    at_least: usize,
) -> f64 {
    let mut farthest = 0f64;
    let machine = Machine::open();
    let wanted = evaluate(graph, given, Precision::F64).expect("values");
    let targets = [machine.target.clone(), Target::gpu_subgroups()];
    let mut done = BTreeSet::new();
    for target in targets.map(|t| Target { max_loop_iterations: machine.target.max_loop_iterations, ..t }) {
        let more = candidates(&compiled(graph, &target, None), family, whole);
        for choice in more.difference(&done) {
            let compiled = compiled(graph, &target, Some(choice));
            let chosen = compiled.programs[0].selections.iter().map(|s| s.choice().to_string());
            assert!(chosen.into_iter().any(|c| c == *choice), "{choice} is not chosen");
            let found = answers(&mut machine.load(&compiled).expect("a session"), given).expect("a run");
            for (name, wanted) in wanted.outputs() {
                let difference = apart(&wanted.to_f64(), &found[name].to_f64(), 1e-3);
                assert!(difference <= most, "{name} by {choice} is off by {difference:e}");
                farthest = farthest.max(difference);
            }
        }
        done.extend(more);
    }
    assert!(done.len() >= at_least, "only {} candidates", done.len());
    farthest
}

#[test]
fn tiles_of_convolutions() {
    check(CONVOLUTIONS, "implicit_gemm", false, 17);
}

#[test]
fn tiles_of_windows() {
    // 1.3e-6 with lavapipe; `--help` of `--precise` and `docs/special-values.md` promise 1.5e-5 for any size.
    let graph = graph(WINDOWS, false);
    let farthest = check_up_to(5e-6, &graph, &given(&graph), "winograd", false, 17);
    println!("winograd: up to {farthest:e} of the largest value");
}

#[test]
fn tiles_of_matrix_products() {
    check(PRODUCTS, "matmul", false, 17);
}

#[test]
fn tiles_of_weight_gradients() {
    check(GRADIENTS, "weight_gradient_tile", false, 20);
}

/// On a card of 46 cores, half of which have nothing to do where a convolution of resnet18 for one image has fewer than 23
/// workgroups: 49, 26, 16 and 8 in its four stages with tiles of 64x64. `benches/README.md` has the table that this prints.
#[test]
fn convolutions_fill_a_card() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/resnet.py");
    let options = ImportOptions { model: Some("resnet18".into()), ..ImportOptions::default() };
    let model = kiln::torch::import(&source, &options).unwrap_or_else(|e| panic!("{}", e.report()));
    let target = Target { cores: 46, ..Target::gpu() };
    let options = Options { target, max: [("N".to_owned(), 1)].into(), ..Options::default() };
    let compiled = kiln::compile(&model.graph, &options).unwrap_or_else(|e| panic!("{e}"));
    let plan = &compiled.plan;
    let mut convolutions = 0;
    for dispatch in &plan.programs[0].dispatches {
        let kernel = &plan.shaders[dispatch.shader].name;
        if !["conv_", "winograd_products_"].iter().any(|start| kernel.starts_with(start)) {
            continue;
        }
        convolutions += 1;
        let workgroups: i64 = dispatch.workgroups.iter().map(|n| n.eval(&[1])).product();
        println!("| {} | {kernel} | {workgroups} | {:.1} |", dispatch.name, workgroups as f64 / 46.0);
        // Those of one element are so short that another launch for parts of sums would take as long.
        let short = dispatch.name.contains("downsample");
        assert!(short || workgroups > 23, "{}: {workgroups} workgroups", dispatch.name);
    }
    assert_eq!(convolutions, 20);
}

/// Words of four whole numbers are multiplied on GPUs, and all sums are exact.
#[test]
fn tiles_of_whole_numbers() {
    let compiled = compiled(&graph(WHOLE, true), &Target::gpu(), None);
    let chosen = compiled.programs[0].selections.iter().filter(|s| s.problem.admits_dot4(1));
    assert_eq!(chosen.filter(|s| s.choice().knobs.get("dot4") == 1).count(), 4);
    check(WHOLE, "implicit_gemm", true, 18);
    check(WHOLE, "matmul", true, 18);
}
