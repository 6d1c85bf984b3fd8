//! Convolution as a matrix product whose left matrix is gathered on the way: rows are output positions, columns output
//! channels, k runs over taps and input channels.

use kiln_graph::{Dim, product};

use super::builder::{AnchorLaunch, BiasedEpilogue, KernelBuilder, LaidOut};
use super::conv::{ConvShapes, admits_im2col, is_vectorized, per_axis, row_params, three};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::parts::sums_in_parts;
use super::problem::{ConvProblem, Operation, Problem, ceil_div, count};
use super::reduce::lower_reduction;
use super::tile::{Products, Tile};
use crate::error::CompileError;
use crate::layout::{channels_last, weight_layout};
use crate::memory::buffer::{BufferId, RowView};
use crate::memory::packed::PackedShape;
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "implicit_gemm",
    templates: templates!["conv_broadcast", "conv_tile"],
    space,
    demands,
    cost,
    realize,
};

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let Operation::Conv(conv) = &problem.operation else { return vec![] };
    if !is_vectorized(conv) || !problem.fits_tiles() {
        return vec![];
    }
    // Of a single channel three quarters of the products are with padding, so there the taps are always channels.
    let im2col = i64::from(admits_im2col(conv) && conv.group_out > 1);
    let terms = conv.window.taps().saturating_mul(conv.group_in.next_multiple_of(4));
    let dot4 = problem.is_constant(1) && im2col == 0 && problem.admits_dot4(count(terms));
    let variants = |tile: Tile| {
        let more = parts(problem, conv, target, tile);
        [1].into_iter().chain(more).map(move |parts| {
            let knobs = tile.knobs().with("im2col", im2col);
            if parts > 1 { knobs.with("split_k", parts) } else { knobs }
        })
    };
    Tile::all(target, dot4).into_iter().flat_map(variants).collect()
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::Conv(conv) = &problem.operation else { return Demands::default() };
    let tile = Tile::of(knobs);
    let rank = conv.window.x.len();
    let im2col = knobs.get("im2col") == 1;
    let x = if im2col { OperandLayout::PartialIm2col } else { OperandLayout::ChannelRows };
    let w = if problem.is_constant(1) {
        // Taps that became channels are the last axis by themselves.
        let k_axes = if im2col { (2..rank).collect() } else { (2..rank).chain([1]).collect() };
        let (groups, width) = (conv.groups, tile.width());
        let word_of = tile.word_of();
        OperandLayout::Packed(PackedShape { groups, column_axis: 0, k_axes, width, word_of })
    } else {
        OperandLayout::Tensor(weight_layout(rank))
    };
    let conv = if im2col { &conv.over_taps() } else { conv };
    tile.demands(vec![x, w], times(conv, tile, knobs.get("split_k").max(1)))
}

/// Into how many parts the sums are worth splitting, by channels, where there are few tiles.
fn parts(problem: &Problem, conv: &ConvProblem, target: &Target, tile: Tile) -> Option<i64> {
    if !problem.has_floats() || conv.window.is_dilated() {
        return None;
    }
    tile.parts(target, &products(conv, tile, 1), count(conv.window.taps()))
}

fn products(conv: &ConvProblem, tile: Tile, parts: i64) -> Products {
    Products {
        count: count(conv.groups).saturating_mul(parts),
        rows: conv.window.positions(),
        columns: count(conv.group_out.div_ceil(4)),
        terms: count(conv.window.taps() * conv.group_in.next_multiple_of(4)),
        times: times(conv, tile, parts),
    }
}

/// Vectors of channels of a part.
fn depth_of_part(conv: &ConvProblem, tile: Tile, parts: i64) -> i64 {
    let vectors = count(conv.group_in.div_ceil(4));
    // Whole steps of the tile.
    ceil_div(tile.times(vectors), parts).saturating_mul(tile.step())
}

/// How often the loop of a tile runs, with those around it.
fn times(conv: &ConvProblem, tile: Tile, parts: i64) -> i64 {
    let taps = conv.window.taps();
    if has_flat_taps(conv, tile) {
        return tile.times(count(taps));
    }
    let around = if matches!(tile, Tile::Workgroup(_)) { 0 } else { 2 };
    let vectors = if parts > 1 { depth_of_part(conv, tile, parts) } else { count(conv.group_in.div_ceil(4)) };
    count(taps).saturating_mul(tile.times(vectors) + around)
}

/// Taps that a table of a tile has at most, and their places: ten bits for each dimension.
const MOST_FLAT_TAPS: usize = 128;
const FLAT_EXTENT: usize = 1 << 10;

/// Whether a step of a workgroup's tile takes several taps, since each has only one vector of channels.
fn has_flat_taps(conv: &ConvProblem, tile: Tile) -> bool {
    let window = &conv.window;
    let extents = window.kernel.iter().zip(&window.dilations);
    matches!(tile, Tile::Workgroup(_))
        && conv.group_in <= 4
        && (2..=MOST_FLAT_TAPS).contains(&window.taps())
        && !window.is_dilated()
        && extents.into_iter().all(|(size, dilation)| size.saturating_mul(*dilation) <= FLAT_EXTENT)
}

/// The copy that a partial im2col needs is not counted: the gradient of the weights reads it, too.
fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let Operation::Conv(conv) = &problem.operation else { return Estimate::default() };
    let im2col = knobs.get("im2col") == 1;
    let conv = if im2col { &conv.over_taps() } else { conv };
    let tile = Tile::of(knobs);
    let parts = knobs.get("split_k").max(1);
    let products = products(conv, tile, parts);
    let estimate = tile.cost(target, &products);
    let vectors = products.rows.saturating_mul(products.columns).saturating_mul(products.count);
    if parts > 1 { estimate.added_up(parts, float(vectors.saturating_mul(16))) } else { estimate }
}

/// Loops of up to so many steps over channels are merged with those over the width of the window.
const SHORT: usize = 2;

/// The convolution in its tiles.
struct Gemm {
    shapes: ConvShapes,
    tile: Tile,
    /// Whether a step takes several taps.
    flat_taps: bool,
    /// Into how many parts sums are split, and vectors of channels of each.
    parts: i64,
    depth_of_part: i64,
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let shapes = ConvShapes::of(builder)?;
    let im2col = knobs.get("im2col") == 1;
    let shapes = if im2col { shapes.over_taps() } else { shapes };
    let tile = Tile::of(knobs);
    let Operation::Conv(conv) = &builder.problem.operation else {
        return Err(builder.defect("is not a convolution"));
    };
    let flat_taps = if im2col { has_flat_taps(&conv.over_taps(), tile) } else { has_flat_taps(conv, tile) };
    let parts = knobs.get("split_k").max(1);
    let depth_of_part = depth_of_part(conv, tile, parts);
    let gemm = Gemm { shapes, tile, flat_taps, parts, depth_of_part };
    gemm.launch(builder)
}

impl Gemm {
    fn launch(&self, builder: &mut KernelBuilder<'_, '_>) -> Result<(), CompileError> {
        let Self { shapes, tile, .. } = self;
        let rows = builder.rows(0)?;
        let columns = shapes.w[0] / shapes.conv.groups;
        let column_tiles = columns.div_ceil(tile.width());
        let right = self.right(builder, column_tiles)?;
        let rank = shapes.x.len();
        let own = [rows.buffer, right.buffer];
        let (epilogue, biased, buffers, partial) = if self.parts == 1 {
            let BiasedEpilogue { epilogue, biased, buffers } =
                builder.biased_epilogue(1, &channels_last(rank), &own)?;
            (epilogue, biased, buffers, None)
        } else {
            let (epilogue, plan) = sums_in_parts(builder, self.parts, &channels_last(rank), own.len() + 1)?;
            (epilogue, false, own.to_vec(), Some(plan))
        };
        let positions = shapes.positions();
        let depth = shapes.w[1].div_ceil(4);
        let mut params = shapes.params();
        row_params("x", &rows, &mut params)?;
        params.uint("rows", positions.clone());
        params.uint("column_tiles", column_tiles);
        params.uint("group_columns", columns.div_ceil(4));
        params.int("depth", depth);
        params.uint("w_part", right.part);
        params.uint("w_tile", right.tile);
        params.uint("w_step", right.step);
        params.uint("w_depth", right.depth);
        let batch_innermost = self.meets_padding(builder);
        let residue_classes = self.has_residue_classes() || batch_innermost;
        let row_tiles = if residue_classes {
            let (row_tiles, own) = self.residue_classes();
            params.extend(own);
            row_tiles
        } else {
            positions.ceil_div(tile.rows())
        };
        let (deep, meets_zeros) = (rank == 5, shapes.is_dilated() && !residue_classes);
        let merged_loops = !residue_classes && self.merges_loops(&rows, &right);
        let moved = builder.problem.left_from().filter(|from| tile.dot4() && *from != 0);
        if let Some(from) = moved {
            params.int("left_from", i64::from(from));
        }
        let (flat_taps, tap_count) = (self.flat_taps, shapes.taps());
        let values = tile.template_values(minijinja::context! {
            deep, meets_zeros, residue_classes, batch_innermost, biased, merged_loops, flat_taps, tap_count,
            moved => moved.is_some(), split => partial.is_some()
        });
        if partial.is_some() {
            params.uint("row_tiles", row_tiles.clone());
            params.uint("parts", self.parts);
            params.int("part_depth", self.depth_of_part);
        }
        let all_rows = &row_tiles * &self.parts.into();
        let workgroups = tile.grid(builder.values, &all_rows, (column_tiles * shapes.conv.groups).into());
        let launch = AnchorLaunch {
            template: tile.template("conv_tile", "conv_broadcast"),
            kernel: format!("conv_{}", tile.name()),
            buffers: &buffers,
            params,
            values,
            workgroups,
            flops: shapes.flops(),
        };
        let output = epilogue.output.clone();
        builder.launch_part(epilogue, launch);
        match partial {
            Some(plan) => lower_reduction(builder, plan),
            None => {
                builder.complete(output);
                Ok(())
            }
        }
    }

    /// Whether the loops over the width of the window and over channels are one: that pays where the inner one would be short;
    /// its checks are made at every step.
    fn merges_loops(&self, rows: &RowView, right: &Right) -> bool {
        let shapes = &self.shapes;
        let depth = shapes.w[1].div_ceil(4);
        depth <= SHORT
            && !shapes.is_dilated()
            && shapes.conv.groups == 1
            && shapes.conv.dilations.last().is_none_or(|d| *d == 1)
            && (depth == 1 || right.depth == 4 * depth)
            && rows.step == Dim::from(4 * depth)
    }

    /// Whether the products with the zeros between input elements can be left out.
    fn has_residue_classes(&self) -> bool {
        let conv = &self.shapes.conv;
        self.shapes.is_dilated() && conv.strides.iter().chain(&conv.dilations).all(|n| *n == 1)
    }

    /// Whether most products would be with padding, so that it pays to sort rows such that those can be left out.
    #[allow(clippy::as_conversions, reason = "a share need not be exact")]
    fn meets_padding(&self, builder: &KernelBuilder<'_, '_>) -> bool {
        let ConvShapes { conv, x, w, y } = &self.shapes;
        let plain = conv.strides.iter().chain(&conv.dilations).all(|n| *n == 1);
        let mut share = 1.0;
        for axis in 0..conv.strides.len() {
            let (Some(size), Some(out)) = (x[axis + 2].as_usize(), y[axis + 2].as_usize()) else {
                return false;
            };
            let (step, kernel) = (conv.input_dilations[axis], w[axis + 2]);
            let before = usize::try_from(conv.pads[axis][0]).unwrap_or(0);
            let end = (size - 1) * step + 1;
            let meets = |place: &usize| (before..before + end).contains(place);
            let met = (0..out).map(|o| (o..o + kernel).filter(meets).count()).sum::<usize>();
            share *= met as f64 / (out * kernel).max(1) as f64;
        }
        // Several images in a row, and not so many positions that they leave the caches.
        let images = builder.values.maximum(&x[0]);
        plain && !matches!(self.tile, Tile::Workgroup(_)) && share < 0.6 && images >= self.tile.rows()
    }

    /// Tiles of rows where each residue class has its own, and what kernels need to know of the classes, see
    /// `residue_classes.wgsl`.
    fn residue_classes(&self) -> (Dim, Params) {
        let ConvShapes { conv, y, .. } = &self.shapes;
        let steps = three(&conv.input_dilations, 1);
        let classes: usize = steps.iter().product();
        let out = three(&y[2..], 1.into());
        let sizes: [Dim; 3] = std::array::from_fn(|axis| out[axis].ceil_div(count(steps[axis])));
        let rows = &product(&sizes) * &y[0];
        let tiles = rows.ceil_div(self.tile.rows());
        let mut params = Params::default();
        per_axis(&mut params, "class", &sizes);
        params.int("images", y[0].clone());
        params.uint("classes", classes);
        params.uint("class_rows", rows);
        params.uint("class_tiles", tiles.clone());
        (tiles * classes.into(), params)
    }

    /// The weights as the right matrix.
    fn right(&self, builder: &KernelBuilder<'_, '_>, column_tiles: usize) -> Result<Right, CompileError> {
        let ConvShapes { conv, w, .. } = &self.shapes;
        let width = self.tile.width() / 4;
        let Some(LaidOut::Packed(pieces)) = builder.operands.get(1) else {
            let columns = w[0].div_ceil(4);
            let part = columns / conv.groups;
            let buffer = builder.tensor_buffer(1)?;
            return Ok(Right { buffer, part, tile: width, step: columns, depth: w[1] });
        };
        let [panels] = &pieces[..] else { return Err(self.too_large(builder)) };
        let (taps, depth) = (self.shapes.taps(), w[1].div_ceil(4) * self.tile.lines_of_vector());
        let panel = taps * depth * width;
        Ok(Right { buffer: panels.buffer, part: column_tiles * panel, tile: panel, step: width, depth })
    }

    /// That the weights cannot be bound in one piece.
    fn too_large(&self, builder: &KernelBuilder<'_, '_>) -> CompileError {
        let w = builder.anchor().map(|node| node.inputs[1]);
        let values = &builder.values;
        let elements: usize = self.shapes.w.iter().product();
        let bytes = w.as_ref().ok().and_then(|id| values.element(*id).ok()).map_or(4, |e| e.size());
        CompileError::TooLarge {
            tensor: w.map_or_else(|_| builder.group.name.clone(), |id| values.graph.value(id).name.clone()),
            bytes: bytes * u64::try_from(elements).unwrap_or(u64::MAX),
            limit: values.target.max_storage_buffer_binding_size,
            hint: String::new(),
        }
    }
}

/// The weights as the right matrix of a product; strides in vectors of four.
struct Right {
    buffer: BufferId,
    part: usize,
    tile: usize,
    step: usize,
    /// Lines of a tap. Rows that are missing to four meet zeros on the left.
    depth: usize,
}
