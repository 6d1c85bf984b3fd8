//! What the tests share: short ways to write tensors and to apply one operator.

use kiln_graph::{Bindings, Data, EvalError, Op, Precision, Tensor, compare};

/// An f32 tensor.
pub(crate) fn t(shape: &[usize], data: &[f32]) -> Tensor {
    Tensor::f32(shape, data.to_vec()).expect("the test's data fits its shape")
}

/// Applies `op` in `precision`.
pub(crate) fn apply_in(precision: Precision, op: &Op, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    op.evaluate(&inputs.iter().collect::<Vec<_>>(), precision, &Bindings::new())
}

/// Applies `op` in f32 and hands out its only output; f64 has to agree with it.
pub(crate) fn apply(op: Op, inputs: &[Tensor]) -> Tensor {
    let [single] =
        apply_in(Precision::F32, &op, inputs).expect("the operator fits").try_into().expect("one output");
    let double = &apply_in(Precision::F64, &op, inputs).expect("the operator fits in f64")[0];
    assert_eq!(single.shape(), double.shape(), "{op:?}");
    close(&single.to_f64(), &double.to_f64(), &format!("f32 against f64 of {op:?}"));
    if single.dtype().is_float() {
        assert!(matches!(double.data(), Data::F64(_)), "{op:?} is not held as f64");
    }
    single
}

/// Equal to within rounding of f32.
pub(crate) fn close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: {found:?} against {expected:?}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(compare::is_near(*e, *f, 2e-6, 2e-6), "{what}: element {i} is {f}, but should be {e}");
    }
}
