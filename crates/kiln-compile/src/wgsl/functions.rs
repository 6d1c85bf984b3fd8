//! The functions of `functions.wgsl` that a kernel contains: those that it calls, and those that these call.

use kiln_graph::DType;

use crate::element::register_type;

/// What functions of `functions.wgsl` call.
const CALLS: &[(&str, &[&str])] = &[
    ("minimum", &["is_nan"]),
    ("maximum", &["is_nan"]),
    ("minimum_double", &["is_nan_double"]),
    ("maximum_double", &["is_nan_double"]),
    ("sign_safe", &["is_nan"]),
    ("sign_safe_double", &["is_nan_double"]),
    ("softplus", &["is_nan", "log_one_plus"]),
    ("tanh_safe", &["is_nan"]),
    ("arc_sine", &["size_bits", "signed_like", "not_a_number"]),
    ("arc_cosine", &["size_bits", "not_a_number"]),
    ("arc_tangent", &["size_bits", "signed_like"]),
    ("sinh_safe", &["size_bits", "signed_like"]),
    ("cosh_safe", &["size_bits"]),
    ("asinh_safe", &["size_bits", "signed_like"]),
    ("acosh_safe", &["not_a_number"]),
    ("atanh_safe", &["size_bits", "signed_like", "not_a_number"]),
    ("sine", &["sine_of", "turned"]),
    ("cosine", &["sine_of", "turned"]),
    ("tangent", &["sine_of", "turned"]),
    ("sine_of", &["quarter"]),
    ("turned", &["size_bits", "not_a_number"]),
    ("floor_mod_int", &["remainder_int"]),
    ("round_to_half", &["size_bits", "signed_like"]),
    ("power", &["is_nan", "size_bits"]),
    ("floor_mod", &["remainder"]),
    ("floor_mod_double", &["remainder_double"]),
    ("remainder", &["size_bits", "signed_like"]),
    ("whole_int", &["is_nan"]),
    ("whole_unsigned", &["is_nan"]),
    ("whole_long", &["is_nan"]),
    ("whole_int_double", &["is_nan_double"]),
    ("whole_unsigned_double", &["is_nan_double"]),
    ("whole_long_double", &["is_nan_double"]),
];

/// These functions and all that they call.
fn with_calls(used: &[&'static str]) -> Vec<&'static str> {
    let mut all = used.to_vec();
    let mut next = 0;
    while let Some(name) = all.get(next).copied() {
        let calls = CALLS.iter().filter(|(caller, _)| *caller == name).flat_map(|(_, called)| *called);
        let new: Vec<&str> = calls.copied().filter(|called| !all.contains(called)).collect();
        all.extend(new);
        next += 1;
    }
    all
}

/// What `functions.wgsl` reads: the types of `width` elements, and which functions are called.
pub(crate) fn functions(width: usize, used: &[&'static str]) -> minijinja::Value {
    let ty = |dtype| register_type(dtype, width);
    minijinja::context! {
        T => ty(DType::F32),
        I => ty(DType::I32),
        U => ty(DType::U32),
        L => ty(DType::I64),
        D => ty(DType::F64),
        B => ty(DType::Bool),
        used => with_calls(used),
    }
}
