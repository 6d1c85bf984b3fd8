//! Windows that are computed in runs of neighbours: each candidate that a target admits, on lines that no run divides.

use kiln::graph::{DType, Tensor};

use crate::tiles::{check_given, given, graph};

/// Depthwise convolutions with strides, dilations, zeros between elements, padding on one side only or more than the window
/// needs, over planes and lines, of lines that are shorter than a run, with and without a bias and an epilogue that reads what it
/// may overwrite.
const DEPTHWISE: &str = "graph depthwise
input %x : f32[2, 22, 11, 13]
input %residual : f32[2, 22, 11, 13]
input %whole : f32[1, 8, 6, 28]
input %line : f32[3, 10, 37]
input %narrow : f32[2, 7, 9, 3]
input %given : f32[22, 1, 3, 3]
state @plain : f32[22, 1, 3, 3] = fill(0)
state @bias : f32[22, 1, 1] = fill(0)
state @large : f32[22, 1, 5, 5] = fill(0)
state @flat : f32[22, 1, 1, 3] = fill(0)
state @tall : f32[22, 1, 4, 2] = fill(0)
state @eight : f32[8, 1, 3, 3] = fill(0)
state @along : f32[10, 1, 5] = fill(0)
state @seven : f32[7, 1, 3, 3] = fill(0)
%a = conv(%x, @plain) pads=[[1, 1], [1, 1]] groups=22
%a_biased = add(%a, @bias)
%a_added = add(%a_biased, %residual)
%a_relu = relu(%a_added)
%b = conv(%x, @plain) pads=[[1, 1], [1, 1]] strides=[2, 2] groups=22
%b_biased = add(%b, @bias)
%c = conv(%x, @large) pads=[[2, 2], [2, 2]] groups=22
%d = conv(%x, @large) pads=[[0, 3], [4, 0]] strides=[2, 1] groups=22
%e = conv(%x, @plain) pads=[[2, 2], [2, 2]] dilations=[2, 2] groups=22
%f = conv(%x, @plain) pads=[[1, 1], [3, 3]] strides=[1, 2] dilations=[1, 3] groups=22
%g = conv(%x, @plain) pads=[[1, 2], [1, 2]] input_dilations=[2, 2] groups=22
%h = conv(%x, @large) pads=[[3, 2], [0, 1]] dilations=[1, 2] input_dilations=[1, 2] groups=22
%i = conv(%x, @flat) pads=[[0, 0], [1, 1]] groups=22
%j = conv(%x, @tall) pads=[[1, 0], [0, -1]] strides=[3, 2] groups=22
%k = conv(%whole, @eight) pads=[[1, 1], [1, 1]] groups=8
%l = conv(%line, @along) pads=[[2, 2]] groups=10
%m = conv(%line, @along) strides=[2] groups=10
%n = conv(%narrow, @seven) pads=[[1, 1], [1, 1]] groups=7
%o = conv(%x, %given) pads=[[1, 1], [1, 1]] groups=22
%p = conv(%x, @plain) pads=[[1, 1], [1, 1]] strides=[1, 3] groups=22
output a = %a_relu
output b = %b_biased
output c = %c
output d = %d
output e = %e
output f = %f
output g = %g
output h = %h
output i = %i
output j = %j
output k = %k
output l = %l
output m = %m
output n = %n
output o = %o
output p = %p
";

#[test]
fn depthwise_convolutions() {
    let graph = graph(DEPTHWISE, false);
    check_given(&graph, &given(&graph), "conv_depthwise", false, 12);
}

/// Windows of pooling that overlap, leave gaps, or meet padding on one side, with equal elements and with NaN.
const POOLING: &str = "graph pooling
input %x : f32[2, 22, 11, 13]
input %nan : f32[2, 5, 9, 7]
input %line : f32[3, 10, 37]
%a = max_pool(%x) kernel=[3, 3] strides=[2, 2] pads=[[1, 1], [1, 1]]
%b = max_pool(%x) kernel=[2, 2] strides=[2, 2]
%c = max_pool(%nan) kernel=[3, 2] strides=[1, 1] pads=[[1, 0], [0, 1]]
%d = avg_pool(%x) kernel=[3, 3] strides=[2, 2] pads=[[1, 1], [1, 1]]
%e = max_pool(%line) kernel=[5] strides=[3] pads=[[2, 2]]
%f = max_pool(%x) kernel=[2, 7] strides=[1, 2]
output a = %a
output b = %b
output c = %c
output d = %d
output e = %e
output f = %f
";

#[test]
fn pooling() {
    let graph = graph(POOLING, false);
    let mut given = given(&graph);
    let mut numbers: Vec<f64> = given["nan"].to_f64().iter().map(|x| (x * 3.0).round()).collect();
    for at in [0, 100, 222, 500] {
        numbers[at] = f64::NAN;
    }
    given.insert("nan".into(), Tensor::of_numbers(vec![2, 5, 9, 7], &numbers, DType::F32).expect("as many"));
    check_given(&graph, &given, "pool", false, 3);
}

/// Gradients of max pooling: windows that overlap, leave gaps, or do neither; equal elements, NaN and infinities.
const POOLING_GRADIENTS: &str = "graph gradients
input %x : f32[2, 22, 11, 13]
input %line : f32[3, 10, 37]
input %volume : f32[1, 3, 5, 6, 7]
input %dy_a : f32[2, 22, 6, 7]
input %dy_b : f32[2, 22, 5, 6]
input %dy_c : f32[2, 22, 10, 5]
input %dy_d : f32[3, 10, 13]
input %dy_e : f32[1, 3, 5, 5, 8]
%a = max_pool_grad(%dy_a, %x) kernel=[3, 3] strides=[2, 2] pads=[[1, 1], [1, 1]] shape=[2, 22, 11, 13]
%b = max_pool_grad(%dy_b, %x) kernel=[2, 2] strides=[2, 2] shape=[2, 22, 11, 13]
%c = max_pool_grad(%dy_c, %x) kernel=[2, 3] strides=[1, 2] dilations=[1, 2] shape=[2, 22, 11, 13]
%d = max_pool_grad(%dy_d, %line) kernel=[5] strides=[3] pads=[[2, 2]] shape=[3, 10, 37]
%e = max_pool_grad(%dy_e, %volume) kernel=[2, 2, 2] pads=[[1, 0], [0, 0], [1, 1]] shape=[1, 3, 5, 6, 7]
%a_more = relu(%a)
output a = %a_more
output b = %b
output c = %c
output d = %d
output e = %e
";

#[test]
fn gradients_of_max_pooling() {
    let graph = graph(POOLING_GRADIENTS, false);
    let mut given = given(&graph);
    // Few values, so that many are equal.
    for (name, shape) in [("x", vec![2, 22, 11, 13]), ("line", vec![3, 10, 37])] {
        let mut numbers: Vec<f64> = given[name].to_f64().iter().map(|x| (x * 2.0).round()).collect();
        for (n, special) in [f64::NAN, f64::NEG_INFINITY, f64::INFINITY].into_iter().enumerate() {
            numbers.iter_mut().skip(17 * n + 3).step_by(101).for_each(|x| *x = special);
        }
        numbers[200..240].fill(f64::NEG_INFINITY);
        given.insert(name.into(), Tensor::of_numbers(shape, &numbers, DType::F32).expect("as many"));
    }
    check_given(&graph, &given, "pool_grad", false, 3);
}
