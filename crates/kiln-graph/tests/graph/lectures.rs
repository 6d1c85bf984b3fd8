//! The worked examples of Fleuret's deep learning lectures and of "A guide to convolution arithmetic".

use kiln_graph::ops::{Conv, Pool, PoolKind};
use kiln_graph::{Op, Tensor, TensorType};

use crate::common::{apply, t};

fn conv(x: &Tensor, weight: &Tensor, attributes: Conv) -> Tensor {
    apply(Op::Conv(attributes), &[x.clone(), weight.clone()])
}

#[test]
fn convolution_in_one_dimension() {
    type Row = (&'static str, &'static [f32], &'static [f32], &'static [f32]);
    let rows: [Row; 2] = [
        // As the lectures print it, the kernel is not flipped: 1*3 + 2*2 = 7.
        ("(1,2,3,4) * (3,2)", &[1., 2., 3., 4.], &[3., 2.], &[7., 12., 17.]),
        (
            "the differential operator finds the edges",
            &[0., 0., 0., 0., 1., 2., 3., 4., 4., 4., 4.],
            &[-1., 1.],
            &[0., 0., 0., 1., 1., 1., 1., 0., 0., 0.],
        ),
    ];
    for (what, x, kernel, expected) in rows {
        let x = t(&[1, 1, x.len()], x);
        let kernel = t(&[1, 1, kernel.len()], kernel);
        let y = conv(&x, &kernel, Conv::new(1));
        assert_eq!(y.as_f32(), Some(expected), "{what}");
    }
}

#[test]
fn pooling_in_one_dimension() {
    let x = t(&[1, 1, 10], &[1., 3., 2., 3., 0., -1., -2., -1., 6., 5.]);
    let cases: [(PoolKind, &[f32]); 2] = [
        (PoolKind::Max, &[3., 3., 0., -1., 6.]),
        (PoolKind::Average { count_include_pad: false }, &[2., 2.5, -0.5, -1.5, 5.5]),
    ];
    for (kind, expected) in cases {
        let y = apply(Op::Pool(Pool::new(kind, [2])), std::slice::from_ref(&x));
        assert_eq!(y.as_f32(), Some(expected), "{kind:?}");
    }
}

/// One size rule for convolutions and pooling, by the shape an operator infers.
#[test]
fn sizes_of_windows() {
    struct Row {
        what: &'static str,
        x: &'static [usize],
        weight: &'static [usize],
        stride: usize,
        pad: i64,
        dilation: usize,
        out: &'static str,
    }
    let row =
        |what, x, weight, (stride, pad, dilation), out| Row { what, x, weight, stride, pad, dilation, out };
    let rows = [
        row("dilation 4 on 20x30", &[1, 1, 20, 30], &[1, 1, 3, 3], (1, 0, 4), "f32[1, 1, 12, 22]"),
        row("a kernel of 2x3", &[117, 4, 10, 3], &[5, 4, 2, 3], (1, 0, 1), "f32[117, 5, 9, 1]"),
        row(
            "a 5x3 input, stride 2, padding 2, 1",
            &[1, 1, 5, 3],
            &[1, 1, 3, 3],
            (2, 1, 1),
            "f32[1, 1, 3, 2]",
        ),
        row("no zero padding, unit stride", &[1, 1, 4, 4], &[1, 1, 3, 3], (1, 0, 1), "f32[1, 1, 2, 2]"),
        row("half (same) padding", &[1, 1, 5, 5], &[1, 1, 3, 3], (1, 1, 1), "f32[1, 1, 5, 5]"),
        row("full padding", &[1, 1, 5, 5], &[1, 1, 3, 3], (1, 2, 1), "f32[1, 1, 7, 7]"),
        row("no padding, stride 2", &[1, 1, 5, 5], &[1, 1, 3, 3], (2, 0, 1), "f32[1, 1, 2, 2]"),
        row("padding 1, stride 2, odd", &[1, 1, 6, 6], &[1, 1, 3, 3], (2, 1, 1), "f32[1, 1, 3, 3]"),
        row("dilation 2", &[1, 1, 7, 7], &[1, 1, 3, 3], (1, 0, 2), "f32[1, 1, 3, 3]"),
        row("the stem of ResNet", &[1, 3, 224, 224], &[64, 3, 7, 7], (2, 3, 1), "f32[1, 64, 112, 112]"),
    ];
    for Row { what, x, weight, stride, pad, dilation, out } in rows {
        let spatial = x.len() - 2;
        let op = Op::Conv(Conv {
            strides: vec![stride; spatial],
            pads: vec![[pad, pad]; spatial],
            dilations: vec![dilation; spatial],
            ..Conv::new(spatial)
        });
        let ty = |shape: &[usize]| TensorType::f32(shape.iter().map(|d| (*d).into()));
        let inferred = op.infer(&[&ty(x), &ty(weight)]).expect(what);
        assert_eq!(inferred[0].to_string(), out, "{what}");
    }
}

#[test]
fn max_pooling_by_1_and_2() {
    let pool = Op::Pool(Pool::new(PoolKind::Max, [1, 2]));
    let y = apply(pool, &[t(&[1, 2, 2, 4], &(0..16).map(|i| i as f32).collect::<Vec<_>>())]);
    assert_eq!(y.shape(), [1, 2, 2, 2]);
    assert_eq!(y.as_f32(), Some([1., 3., 5., 7., 9., 11., 13., 15.].as_slice()));
}
