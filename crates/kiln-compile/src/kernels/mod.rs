//! Kernels: what is to be computed ([`problem`]), what a family of kernels says of itself ([`family`]), how its launches
//! are put together ([`builder`]), and all families ([`table`]).

mod arg_reduce;
mod arg_sort;
mod arg_sort_radix;
pub(crate) mod builder;
mod concat;
pub(crate) mod conv;
mod conv_depthwise;
mod conv_direct;
pub(crate) mod family;
mod gather;
mod implicit_gemm;
pub(crate) mod map;
mod matmul;
mod matmul_direct;
mod matmul_split;
mod nonzero;
mod outer_sum;
mod pad;
mod pool;
mod pool_grad;
mod prefix_sums;
pub(crate) mod problem;
mod random;
mod reduce;
mod reduction_loops;
mod resize;
mod resize_places;
mod scatter;
mod shape_of;
mod softmax;
mod sum_columns;
mod suppress;
pub(crate) mod table;
pub(crate) mod tile;
mod weight_gradient;
mod weight_gradient_direct;
