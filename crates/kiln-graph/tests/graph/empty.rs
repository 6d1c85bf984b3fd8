//! Tensors without elements.

use kiln_graph::ops::{Pad, PadMode, Pool, PoolKind};
use kiln_graph::{Op, Precision, Tensor};

use crate::common::{apply, apply_in};

/// Windows over nothing but padding.
#[test]
fn pooling_of_empty_planes() {
    let x = Tensor::f32([2, 3, 0], vec![]).expect("no elements");
    for (kind, value) in
        [(PoolKind::Max, f64::NEG_INFINITY), (PoolKind::Average { count_include_pad: true }, 0.0)]
    {
        let pool = Pool { pads: vec![[1, 1]], ..Pool::new(kind, vec![1]) };
        let y = apply(Op::Pool(pool), std::slice::from_ref(&x));
        assert_eq!((y.shape(), y.to_f64()), (&[2, 3, 2][..], vec![value; 12]));
    }
}

/// As NumPy, which says that an empty axis cannot be extended.
#[test]
fn padding_of_an_empty_axis() {
    let x = Tensor::f32([2, 0], vec![]).expect("no elements");
    let pad = |mode| Op::Pad(Pad { pads: vec![[0, 0], [1, 0]], mode });
    for mode in [PadMode::Edge, PadMode::Reflect, PadMode::Wrap] {
        let error =
            apply_in(Precision::F32, &pad(mode), std::slice::from_ref(&x)).expect_err("nothing to repeat");
        let error = error.to_string();
        assert!(error.contains("needs more than the 0 elements of axis 1"), "{error}");
    }
    let y = apply(pad(PadMode::Constant(2.0)), &[x]);
    assert_eq!((y.shape(), y.to_f64()), (&[2, 1][..], vec![2.0; 2]));
}
