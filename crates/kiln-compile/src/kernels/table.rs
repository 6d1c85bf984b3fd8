//! All families of kernels. A family is a file beside this one, a template in `shaders/`, and a line here.

use super::family::Family;
use super::{
    arg_reduce, arg_sort, arg_sort_radix, concat, conv_depthwise, conv_direct, gather, implicit_gemm, map,
    matmul, matmul_direct, nonzero, pad, pool, pool_grad, random, reduce, resize, scatter, shape_of, softmax,
    sum_columns, suppress, variance_columns, weight_gradient, weight_gradient_direct, weight_gradient_tile,
    winograd,
};

/// In the order in which candidates are listed; of two that cost the same the first is chosen.
pub(crate) const TABLE: &[&Family] = &[
    &conv_depthwise::FAMILY,
    &implicit_gemm::FAMILY,
    &winograd::FAMILY,
    &conv_direct::FAMILY,
    &matmul::FAMILY,
    &matmul_direct::FAMILY,
    &weight_gradient::FAMILY,
    &weight_gradient_tile::FAMILY,
    &weight_gradient_direct::FAMILY,
    &pool::FAMILY,
    &pool_grad::FAMILY,
    &sum_columns::FAMILY,
    &variance_columns::FAMILY,
    &reduce::FAMILY,
    &arg_reduce::FAMILY,
    &softmax::FAMILY,
    &arg_sort::FAMILY,
    &arg_sort_radix::FAMILY,
    &nonzero::FAMILY,
    &suppress::FAMILY,
    &scatter::FAMILY,
    &resize::FAMILY,
    &map::FAMILY,
    &concat::FAMILY,
    &pad::FAMILY,
    &gather::FAMILY,
    &random::FAMILY,
    &shape_of::FAMILY,
];
