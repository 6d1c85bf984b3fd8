//! Tensors without elements.

use kiln_graph::ops::{Pool, PoolKind};
use kiln_graph::{Op, Tensor};

use crate::common::apply;

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
