//! Gradients of weights as sums of outer products over positions: of convolutions, and of matrix products, which are the same
//! without taps. What the families of kernels for them share.

use kiln_graph::{Dim, Op, product};

use super::builder::KernelBuilder;
use super::conv::{ConvShapes, admits_im2col, is_vectorized, row_params};
use super::family::OperandLayout;
use super::outer_sum::{OuterSum, tap_strides};
use super::problem::{ConvProblem, Operation, Problem, ceil_div};
use crate::error::CompileError;
use crate::memory::buffer::BufferId;
use crate::wgsl::params::Params;

/// The sizes that the tile and the parts depend on.
pub(super) struct Sizes {
    /// Rows of the result in all.
    pub rows: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Vectors of columns.
    pub columns: usize,
    /// Whether positions are the unit that is split into parts, else lines.
    pub pointwise: bool,
    /// Output width at the maximum, and whether it is always that.
    pub width: (i64, bool),
    /// Units at the maximum.
    pub units: i64,
}

/// Whether a window of one element moves by one over all there is: it has no taps to speak of.
fn is_pointwise(conv: &ConvProblem) -> bool {
    let window = &conv.window;
    window.taps() == 1
        && conv.groups == 1
        && !window.is_dilated()
        && window.strides.iter().all(|s| *s == 1)
        && window.pads.iter().all(|pads| *pads == [0, 0])
}

impl Sizes {
    pub(super) fn of(problem: &Problem) -> Option<Self> {
        let conv = match &problem.operation {
            Operation::OuterProduct { rows, columns, depth } => {
                let columns = columns.div_ceil(4);
                let (pointwise, width, units) = (true, (1, true), depth.max);
                return Some(Self { rows: *rows, groups: 1, columns, pointwise, width, units });
            }
            Operation::ConvGradWeight(conv) if is_vectorized(conv) => conv,
            _ => return None,
        };
        let conv = if admits_im2col(conv) { &conv.over_taps() } else { conv };
        let pointwise = is_pointwise(conv);
        let y = &conv.window.y;
        let width = y.last().map_or((1, true), |width| (width.max, width.fixed));
        let lines = y.iter().enumerate().filter(|(axis, _)| *axis != 1 && axis + 1 != y.len());
        let lines = lines.fold(1, |all: i64, (_, size)| all.saturating_mul(size.max));
        Some(Self {
            rows: conv.groups * conv.group_out,
            groups: conv.groups,
            columns: conv.window.taps() * conv.group_in.div_ceil(4),
            pointwise,
            width,
            units: if pointwise { lines.saturating_mul(width.0) } else { lines },
        })
    }

    /// Loop iterations of a unit, `places` positions at a time.
    pub(super) fn per_unit(&self, places: i64) -> i64 {
        if self.pointwise { 1 } else { ceil_div(self.width.0, places).saturating_add(1) }
    }
}

/// Layouts of the operands of a problem.
pub(super) fn operands(problem: &Problem) -> Vec<OperandLayout> {
    match &problem.operation {
        Operation::ConvGradWeight(conv) if admits_im2col(conv) => {
            vec![OperandLayout::PartialIm2col, OperandLayout::ChannelRows]
        }
        Operation::ConvGradWeight(_) => vec![OperandLayout::ChannelRows; 2],
        _ => vec![OperandLayout::MatrixRows; 2],
    }
}

/// Into how many tiles the result of a group of channels is divided.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    /// Along its rows.
    pub rows: usize,
    /// Along its columns.
    pub columns: usize,
}

impl Tiles {
    /// Tiles of so many vectors of rows and of columns.
    pub(super) fn of(sizes: &Sizes, rows: usize, columns: usize) -> Self {
        let group_rows = (sizes.rows / sizes.groups).div_ceil(4);
        Self { rows: group_rows.div_ceil(rows), columns: sizes.columns.div_ceil(columns) }
    }

    /// All tiles.
    pub(super) fn count(self, sizes: &Sizes) -> usize {
        self.rows * sizes.groups * self.columns
    }
}

/// A sum of outer products that is ready to be launched.
pub(super) struct OuterProduct {
    /// Its sizes.
    pub sizes: Sizes,
    /// The sum.
    pub sum: OuterSum,
    /// What its kernel reads.
    pub buffers: [BufferId; 2],
    /// Tiles in all parts.
    pub total: Dim,
    /// Parameters.
    pub params: Params,
    /// Template values.
    pub values: minijinja::Value,
}

impl OuterProduct {
    /// Of a group, in so many parts, whose result is divided as `tiles` says.
    pub(super) fn of(
        builder: &KernelBuilder<'_, '_>,
        parts: i64,
        tiles: impl FnOnce(&Sizes) -> Tiles,
    ) -> Result<Self, CompileError> {
        let Some(sizes) = Sizes::of(builder.problem) else { return Err(builder.defect("has no tiles")) };
        let outer = !matches!(builder.anchor()?.op, Op::ConvGradWeight(_));
        let (sum, mut params, values) =
            if outer { of_product(builder, &sizes, parts)? } else { of_convolution(builder, &sizes, parts)? };
        // Of a product the rows of the result are those of the left operand.
        let (x, dy) =
            if outer { (builder.rows(1)?, builder.rows(0)?) } else { (builder.rows(0)?, builder.rows(1)?) };
        let tiles = tiles(&sizes);
        let total = Dim::from(tiles.count(&sizes)) * parts.into();
        row_params("x", &x, &mut params)?;
        row_params("dy", &dy, &mut params)?;
        params.int("part", sum.units_of_a_part(builder.values));
        params.int("lines", sum.units.clone());
        params.int("places", sum.units.clone());
        params.uint("tiles", total.clone());
        params.uint("row_tiles", tiles.rows * sizes.groups);
        params.uint("column_tiles", tiles.columns);
        params.uint("group_tiles", tiles.rows);
        params.uint("group_rows", (sizes.rows / sizes.groups).div_ceil(4));
        params.uint("rows", sizes.rows);
        params.uint("columns", sizes.columns);
        Ok(Self { sizes, sum, buffers: [x.buffer, dy.buffer], total, params, values })
    }
}

/// The gradient of a convolution's weights.
fn of_convolution(
    builder: &KernelBuilder<'_, '_>,
    sizes: &Sizes,
    parts: i64,
) -> Result<(OuterSum, Params, minijinja::Value), CompileError> {
    let shapes = ConvShapes::of(builder)?;
    let im2col = matches!(&builder.problem.operation, Operation::ConvGradWeight(conv) if admits_im2col(conv));
    let shapes = if im2col { shapes.over_taps() } else { shapes };
    let mut params = shapes.params();
    let depth = shapes.w[1].div_ceil(4);
    params.int("depth", depth);
    // [row][taps][channels of x]
    let (step, rank) = (4 * depth, shapes.w.len());
    let mut strides = vec![Dim::from(step * shapes.taps()), 1.into()];
    strides.extend(tap_strides(&shapes.w[2..], step));
    let mut order: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    if im2col {
        // What were channels here is the last axis of the weight.
        strides.swap(1, rank - 1);
        order = (0..rank).collect();
    }
    let positions = shapes.positions();
    let y = shapes.y.iter().enumerate();
    let lines = product(y.filter(|(a, _)| *a != 1 && *a + 1 != shapes.y.len()).map(|(_, d)| d));
    let units = if sizes.pointwise { positions } else { lines };
    let sum = OuterSum { units, flops: shapes.flops(), strides, order, parts };
    let values = minijinja::context! {
        deep => shapes.x.len() == 5, meets_zeros => shapes.is_dilated(), pointwise => sizes.pointwise
    };
    Ok((sum, params, values))
}

/// `a^T b` for `a [K, M]` and `b [K, N]`, summing over K.
fn of_product(
    builder: &KernelBuilder<'_, '_>,
    sizes: &Sizes,
    parts: i64,
) -> Result<(OuterSum, Params, minijinja::Value), CompileError> {
    let node = builder.anchor()?;
    let (a, rank) = (builder.shape(node.inputs[0]), builder.shape(node.outputs[0]).len());
    let mut strides = vec![Dim::from(0); rank];
    strides[rank - 2] = (4 * sizes.columns).into();
    strides[rank - 1] = 1.into();
    // The operands may differ in how many ones are in front.
    let places = a[a.len() - 2].clone();
    let columns = builder.shape(node.outputs[0])[rank - 1].clone();
    let flops = &places * &(columns * (2 * sizes.rows).into());
    let order = (0..rank).collect();
    let sum = OuterSum { units: places, flops, strides, order, parts };
    let values = minijinja::context! { deep => false, meets_zeros => false, pointwise => true };
    Ok((sum, Params::default(), values))
}
