//! What is written in core operators gives what PyTorch 2 gives, whether it is run or folded.

use std::collections::BTreeMap;

use kiln_graph::functions::convolution::{ConvTranspose, conv_transpose};
use kiln_graph::functions::{activation, linear, movement, normalization, ranges, reduce, running, slicing};
use kiln_graph::{
    DType, EvaluateOptions, Formula, Graph, Made, Precision, Tensor, TensorType, ValueId, evaluate_with,
};

use crate::common::{close, t};

type Function = Box<dyn Fn(&mut Formula<'_>, ValueId) -> Made>;

fn function(of: impl Fn(&mut Formula<'_>, ValueId) -> Made + 'static) -> Function {
    Box::new(of)
}

/// What `of` makes of `x`: as an input whose first dimension is a symbol if `symbolic`, else folded.
fn made(of: &Function, x: &Tensor, symbolic: bool) -> Result<Tensor, String> {
    let mut graph = Graph::new("function");
    if !symbolic {
        let x = graph.constant("x", x.clone());
        let y = of(&mut Formula::folding(&mut graph, "f"), x).map_err(|error| error.to_string())?;
        return Ok(graph.as_constant(y).expect("it is folded").clone());
    }
    let mut ty: TensorType = x.ty();
    if let Some(first) = ty.shape.first_mut() {
        *first = "N".into();
    }
    let input = graph.input("x", ty).expect("an input");
    let y = of(&mut Formula::new(&mut graph, "f"), input).map_err(|error| error.to_string())?;
    let options = EvaluateOptions { keep_all: true, ..EvaluateOptions::new(Precision::F32) };
    let done = evaluate_with(&graph, &BTreeMap::from([("x".into(), x.clone())]), &options).expect("a result");
    Ok(done.get(y).expect("it is kept").clone())
}

fn check(what: &str, x: &Tensor, of: Function, shape: &[usize], expected: &[f64]) {
    for symbolic in [true, false] {
        let y = made(&of, x, symbolic).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(y.shape(), shape, "{what}");
        close(&y.to_f64(), expected, what);
    }
}

#[test]
fn activations() {
    use activation::*;
    let x = t(&[5], &[-2.0, -0.5, 0.0, 0.5, 2.0]);
    let rows: [(&str, Function, [f64; 5]); 15] = [
        ("clamp", function(|f, x| clamp(f, x, None, Some(0.25))), [-2.0, -0.5, 0.0, 0.25, 0.25]),
        ("leaky_relu", function(|f, x| leaky_relu(f, x, 0.1)), [-0.2, -0.05, 0.0, 0.5, 2.0]),
        ("elu", function(|f, x| elu(f, x, 0.5)), [-0.432_332_36, -0.196_734_67, 0.0, 0.5, 2.0]),
        ("celu", function(|f, x| celu(f, x, 2.0)), [-1.264_241_12, -0.442_398_43, 0.0, 0.5, 2.0]),
        (
            "selu",
            function(|f, x| selu(f, x, SELU_ALPHA, SELU_GAMMA)),
            [-1.520_166_47, -0.691_758_19, 0.0, 0.525_350_49, 2.101_401_97],
        ),
        ("threshold", function(|f, x| threshold(f, x, 0.5, 7.0)), [7.0, 7.0, 7.0, 7.0, 2.0]),
        ("softshrink", function(|f, x| shrink(f, x, 0.5, 0.5)), [-1.5, 0.0, 0.0, 0.0, 1.5]),
        ("hardshrink", function(|f, x| shrink(f, x, 0.5, 0.0)), [-2.0, 0.0, 0.0, 0.0, 2.0]),
        (
            "hardsigmoid",
            function(|f, x| hard_sigmoid(f, x, 1.0 / 6.0, 0.5)),
            [1.0 / 6.0, 5.0 / 12.0, 0.5, 7.0 / 12.0, 5.0 / 6.0],
        ),
        ("hardswish", function(hard_swish), [-1.0 / 3.0, -5.0 / 24.0, 0.0, 7.0 / 24.0, 5.0 / 3.0]),
        (
            "silu",
            function(|f, x| swish(f, x, 1.0)),
            [-0.238_405_84, -0.188_770_33, 0.0, 0.311_229_67, 1.761_594_16],
        ),
        ("mish", function(mish), [-0.252_501_48, -0.220_743_77, 0.0, 0.375_245_21, 1.943_958_96]),
        ("softsign", function(softsign), [-2.0 / 3.0, -1.0 / 3.0, 0.0, 1.0 / 3.0, 2.0 / 3.0]),
        (
            "gelu",
            function(|f, x| gelu(f, x, false)),
            [-0.045_500_26, -0.154_268_77, 0.0, 0.345_731_23, 1.954_499_74],
        ),
        (
            "gelu, tanh",
            function(|f, x| gelu(f, x, true)),
            [-0.045_402_31, -0.154_285_99, 0.0, 0.345_714_01, 1.954_597_69],
        ),
    ];
    for (what, of, expected) in rows {
        check(what, &x, of, &[5], &expected);
    }
}

#[test]
fn normalizations() {
    use normalization::*;
    let x = t(&[1, 4, 1], &[1.0, 2.0, 3.0, 6.0]);
    let of = function(|f, x| group_norm(f, x, 2, 0.0));
    check("group_norm", &x, of, &[1, 4, 1], &[-1.0, 1.0, -1.0, 1.0]);
    let x = t(&[1, 4, 1], &[1.0, 2.0, 3.0, 4.0]);
    // PyTorch's way to place an even window: the channel before, none after.
    let of = function(|f, x| local_response_norm(f, x, [1, 0], 1.0, 1.0, 1.0));
    check("lrn of 2", &x, of, &[1, 4, 1], &[2.0 / 3.0, 4.0 / 7.0, 0.4, 8.0 / 27.0]);
    let of = function(|f, x| local_response_norm(f, x, [1, 1], 1.0, 1.0, 1.0));
    check("lrn of 3", &x, of, &[1, 4, 1], &[0.375, 6.0 / 17.0, 0.281_25, 3.0 / 7.0]);
}

#[test]
fn transposed_convolutions() {
    let of = function(|f, x| {
        let weight = f.constant(t(&[1, 1, 3], &[1.0, 10.0, 100.0]));
        let how = ConvTranspose {
            strides: vec![2],
            pads: vec![[1, 1]],
            dilations: vec![1],
            output_padding: vec![1],
            groups: 1,
        };
        conv_transpose(f, x, weight, &how)
    });
    check("strided", &t(&[1, 1, 2], &[1.0, 2.0]), of, &[1, 1, 4], &[10.0, 102.0, 20.0, 200.0]);
    let of = function(|f, x| {
        let weight = f.constant(t(&[2, 1, 2], &[1.0, 10.0, 100.0, 1000.0]));
        let how = ConvTranspose {
            strides: vec![1],
            pads: vec![[0, 0]],
            dilations: vec![1],
            output_padding: vec![0],
            groups: 2,
        };
        conv_transpose(f, x, weight, &how)
    });
    let expected = [1.0, 12.0, 20.0, 300.0, 3400.0, 4000.0];
    check("grouped", &t(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]), of, &[1, 2, 3], &expected);
}

#[test]
fn movements() {
    use movement::*;
    let image = t(&[1, 1, 4, 4], &std::array::from_fn::<f32, 16, _>(|i| i as f32));
    let blocks = [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15].map(f64::from);
    check("pixel_unshuffle", &image, function(|f, x| pixel_unshuffle(f, x, 2)), &[1, 4, 2, 2], &blocks);
    let there_and_back = function(|f, x| {
        let y = pixel_unshuffle(f, x, 2)?;
        pixel_shuffle(f, y, 2)
    });
    check("pixel_shuffle", &image, there_and_back, &[1, 1, 4, 4], &image.to_f64());
    // Two channels tell the orders apart; what comes first need not be one batch.
    let image = t(&[2, 2, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    let of = |order| function(move |f: &mut Formula<'_>, x| space_to_depth(f, x, 2, order));
    let expected = [0, 1, 2, 3, 4, 5, 6, 7].map(f64::from);
    let fixed = |of: &Function| made(of, &image, false).map(|y| y.to_f64());
    assert_eq!(fixed(&of(BlockOrder::ChannelFirst)), Ok(expected.to_vec()));
    assert_eq!(
        fixed(&of(BlockOrder::PlaceFirst)),
        Ok([0, 4, 1, 5, 2, 6, 3, 7].map(f64::from).to_vec()),
        "all channels of a place"
    );
    let of = function(|f, x| tile(f, x, &[2.into(), 1.into(), 2.into()]));
    let x = t(&[2, 1], &[1.0, 2.0]);
    check("tile", &x, of, &[2, 2, 2], &[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
}

/// `x[n, indices[n, :], :]` of an open number of rows.
#[test]
fn gathering_in_each_image() {
    use kiln_graph::functions::indexing;
    let x = t(&[2, 6], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0]);
    let picked = |f: &mut Formula<'_>, x: ValueId| {
        let rows = f.shape(x)[0].clone();
        let images = f.reshape(x, vec![3.into(), rows, 2.into()])?;
        let at = f.constant(Tensor::ints([1, 0, -1]).reshaped([3, 1, 1]).expect("three"));
        indexing::gather_nd(f, images, at, 1)
    };
    check("gather_nd", &x, function(picked), &[3, 1, 2], &[2.0, 3.0, 4.0, 5.0, 14.0, 15.0]);
}

#[test]
fn reductions() {
    use reduce::*;
    let x = t(&[2, 3], &[1.0, 2.0, 4.0, 3.0, 3.0, 9.0]);
    let of = function(|f, x| variance(f, x, &[1], false, 1.0));
    check("of rows", &x, of, &[2], &[7.0 / 3.0, 12.0]);
    let of = function(|f, x| variance(f, x, &[0], true, 1.0));
    check("over a symbol", &x, of, &[1, 3], &[2.0, 0.5, 12.5]);
    let of = function(|f, x| variance(f, x, &[1], false, 0.0));
    check("as it is", &x, of, &[2], &[14.0 / 9.0, 8.0]);
    let of = function(|f, x| log_sum_exp(f, x, &[1], false));
    check("log_sum_exp", &x, of, &[2], &[4.169_846_02, 9.004_945_26]);
    let of = function(|f, x| l2_norm(f, x, &[1], true));
    check("l2_norm", &x, of, &[2, 1], &[21f64.sqrt(), 99f64.sqrt()]);
}

#[test]
fn running_sums_and_products() {
    use running::*;
    let x = t(&[2, 3], &[1.0, 2.0, 4.0, 3.0, 3.0, 9.0]);
    let of = function(|f, x| cumulative_sum(f, x, 1, Running::default()));
    check("cumulative_sum", &x, of, &[2, 3], &[1.0, 3.0, 7.0, 3.0, 6.0, 15.0]);
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let of = function(|f, x| cumulative_sum(f, x, 0, Running::default()));
    let sums = made(&of, &t(&[5], &[1.0, 2.0, f32::INFINITY, 3.0, f32::NEG_INFINITY]), false);
    assert_eq!(format!("{:?}", sums.map(|y| y.to_f64())), format!("Ok({:?})", [1.0, 3.0, inf, inf, nan]));
    let backwards = Running { exclusive: true, reverse: true };
    let of = function(move |f, x| cumulative_sum(f, x, 1, backwards));
    check("from the end", &x, of, &[2, 3], &[6.0, 4.0, 0.0, 12.0, 9.0, 0.0]);
    let of = function(|f, x| {
        let x = f.cast(x, DType::I32)?;
        cumulative_sum(f, x, 1, Running { exclusive: true, reverse: false })
    });
    check("of integers", &x, of, &[2, 3], &[0.0, 1.0, 3.0, 0.0, 3.0, 6.0]);
    let of = function(|f, x| cumulative_product(f, x, 1, Running::default()));
    check("cumulative_product", &x, of, &[2, 3], &[1.0, 2.0, 8.0, 3.0, 9.0, 81.0]);
    let of = function(move |f, x| cumulative_product(f, x, 1, backwards));
    check("from the end", &x, of, &[2, 3], &[8.0, 4.0, 1.0, 27.0, 9.0, 1.0]);
}

#[test]
fn slices() {
    use slicing::{Cut, slice, split};
    let x = t(&[1, 5], &[0.0, 1.0, 2.0, 3.0, 4.0]);
    let rows: [(i64, i64, i64, &[f64]); 6] = [
        (1, 3, 1, &[1.0, 2.0]),
        (-2, i64::MAX, 1, &[3.0, 4.0]),
        (0, 100, 2, &[0.0, 2.0, 4.0]),
        (i64::MAX, i64::MIN, -2, &[4.0, 2.0, 0.0]),
        (3, 0, -1, &[3.0, 2.0, 1.0]),
        (0, 5, 1, &[0.0, 1.0, 2.0, 3.0, 4.0]),
    ];
    for (start, end, step, expected) in rows {
        let cut = Cut { axis: 1, start: start.into(), end: end.into(), step };
        let of = function(move |f, x| slice(f, x, std::slice::from_ref(&cut)));
        check(&format!("{start}:{end}:{step}"), &x, of, &[1, expected.len()], expected);
    }
    let of = function(|f, x| Ok(split(f, x, 1, &[2.into(), 3.into()])?[1]));
    check("split", &x, of, &[1, 3], &[2.0, 3.0, 4.0]);
    let error = made(&function(|f, x| Ok(split(f, x, 1, &[2.into()])?[0])), &x, false).expect_err("a rest");
    assert!(error.contains("2 elements together, but the input has 5"), "{error}");
    let cut = Cut { axis: 1, start: 0.into(), end: 5.into(), step: 0 };
    let error = made(&function(move |f, x| slice(f, x, std::slice::from_ref(&cut))), &x, false);
    assert!(error.expect_err("not a valid step").contains("a step is zero"));
    let counted = function(|f, _| ranges::arange(f, DType::F32, 3.into(), 1.0, 0.5));
    check("arange", &x, counted, &[3], &[1.0, 1.5, 2.0]);
}

#[test]
fn products_with_vectors() {
    let x = t(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let column = function(|f, x| {
        let v = f.constant(t(&[2], &[1.0, 10.0]));
        linear::matmul(f, x, v)
    });
    check("a column", &x, column, &[2], &[21.0, 43.0]);
    let row = function(|f, x| {
        let v = f.constant(t(&[1, 2, 1], &[1.0, 10.0]));
        linear::matmul(f, x, v)
    });
    let y = made(&row, &t(&[2], &[3.0, 4.0]), false).expect("a product");
    assert_eq!((y.shape(), y.to_f64()), (&[1, 1][..], vec![43.0]));
}

#[test]
fn what_does_not_fit_is_said() {
    let image = t(&[1, 6, 4, 4], &[0.0; 96]);
    let rows: [(Function, &str); 8] = [
        (
            function(|f, x| normalization::group_norm(f, x, 4, 1e-5)),
            "6 channels cannot be split into 4 groups",
        ),
        (
            function(|f, x| normalization::group_norm(f, x, 0, 1e-5)),
            "6 channels cannot be split into 0 groups",
        ),
        (function(|f, x| movement::pixel_shuffle(f, x, 2)), "6 is not a multiple of 4"),
        (function(|f, x| movement::pixel_unshuffle(f, x, 0)), "4 is not a multiple of 0"),
        (function(|f, x| movement::tile(f, x, &[2.into()])), "1 repeats are too few"),
        (function(|f, x| reduce::variance(f, x, &[0], false, 1.0)), "a correction of 1"),
        (function(|f, x| normalization::per_channel(f, x, 2)), "one number per channel"),
        (
            function(|f, x| {
                let one = || vec![1, 1];
                let how = ConvTranspose {
                    strides: one(),
                    pads: vec![[0, 0]],
                    dilations: one(),
                    output_padding: vec![0, 0],
                    groups: 1,
                };
                conv_transpose(f, x, x, &how)
            }),
            "need 2 entries",
        ),
    ];
    for (of, expected) in rows {
        let error = made(&of, &image, false).expect_err(expected);
        assert!(error.contains(expected), "{error}");
    }
}
