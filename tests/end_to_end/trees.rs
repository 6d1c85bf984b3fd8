//! Lines that a workgroup combines: each candidate that a target admits, on lengths that no workgroup divides.

use kiln::graph::{DType, Tensor};

use crate::tiles::{check_given, given, graph};

/// Lines along the last axis and along another one, with channels that are no multiples of four; long ones and such that are just
/// long enough.
const SOFTMAX: &str = "graph softmax
input %rows : f32[3, 1103]
input %planes : f32[2, 70, 37]
input %edges : f32[5, 64]
%a = softmax(%rows) axis=1
%b = log_softmax(%rows) axis=1
%c = softmax(%planes) axis=1
%d = log_softmax(%planes) axis=1
%e = softmax(%edges) axis=1
output a = %a
output b = %b
output c = %c
output d = %d
output e = %e
";

const REDUCTIONS: &str = "graph reductions
input %image : f32[2, 22, 19, 23]
input %rows : f32[3, 1103]
input %even : f32[5, 320]
input %nan : f32[3, 1103]
input %whole : i32[3, 1103]
%flat = relu(%image)
%a = reduce_mean(%flat) axes=[2, 3] keep_dims
%b = reduce_mean(%rows) axes=[1]
%c = reduce_sum(%even) axes=[1]
%d = reduce_max(%nan) axes=[1]
%e = reduce_min(%image) axes=[2, 3]
%f = reduce_max(%whole) axes=[1]
%g = reduce_sum(%whole) axes=[1]
%h = reduce_max(%image) axes=[0, 3]
%i = reduce_max(%flat) axes=[2, 3]
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

/// Sums over all but the channels, of few and of many, with what is computed on the way.
const COLUMNS: &str = "graph columns
input %image : f32[3, 6, 29, 31]
input %wide : f32[2, 70, 17, 19]
input %rows : f32[1501, 10]
%squares = mul(%image, %image)
%a = reduce_sum(%squares) axes=[0, 2, 3]
%b = reduce_mean(%image) axes=[0, 2, 3] keep_dims
%c = reduce_mean(%wide) axes=[0, 2, 3]
%d = reduce_sum(%rows) axes=[0]
%e = reduce_mean(%squares) axes=[0, 1, 2, 3]
output a = %a
output b = %b
output c = %c
output d = %d
output e = %e
";

#[test]
fn softmax() {
    let graph = graph(SOFTMAX, false);
    check_given(&graph, &given(&graph), "softmax", false, 4);
}

/// A line with a NaN has a NaN, one with infinities the largest of them.
#[test]
fn reductions() {
    let graph = graph(REDUCTIONS, false);
    let mut given = given(&graph);
    let mut numbers = given["nan"].to_f64();
    numbers[500] = f64::NAN;
    numbers[1103 + 7] = f64::INFINITY;
    numbers[2 * 1103 + 1102] = f64::NEG_INFINITY;
    given.insert("nan".into(), Tensor::of_numbers(vec![3, 1103], &numbers, DType::F32).expect("as many"));
    let whole: Vec<f64> = (0..3 * 1103).map(|n| f64::from(n * 7919 % 1013 - 500)).collect();
    given.insert("whole".into(), Tensor::of_numbers(vec![3, 1103], &whole, DType::I32).expect("as many"));
    check_given(&graph, &given, "reduce", false, 4);
}

/// Variances over all but the channels, of what is far from zero: a difference of squares would have no digit of them.
const VARIANCES: &str = "graph variances
input %image : f32[3, 6, 29, 31]
input %wide : f32[2, 70, 17, 19]
input %rows : f32[1501, 10]
input %grey : f32[4, 1, 33, 35]
%doubled = add(%image, %image)
%a = reduce_variance(%doubled) axes=[0, 2, 3]
%b = reduce_variance(%image) axes=[0, 2, 3] keep_dims
%root = sqrt(%b)
%c = reduce_variance(%wide) axes=[0, 2, 3]
%d = reduce_variance(%rows) axes=[0]
%e = reduce_variance(%grey) axes=[0, 2, 3] keep_dims
output a = %a
output b = %root
output c = %c
output d = %d
output e = %e
";

#[test]
fn variances() {
    let graph = graph(VARIANCES, false);
    let far = |(name, tensor): (String, Tensor)| {
        let numbers: Vec<f64> = tensor.to_f64().into_iter().map(|x| 3e3 + x / 16.0).collect();
        (name, Tensor::of_numbers(tensor.shape().to_vec(), &numbers, DType::F32).expect("as many"))
    };
    let given = given(&graph).into_iter().map(far).collect();
    check_given(&graph, &given, "variance_columns", false, 4);
}

#[test]
fn columns() {
    let graph = graph(COLUMNS, false);
    check_given(&graph, &given(&graph), "sum_columns", false, 4);
}
