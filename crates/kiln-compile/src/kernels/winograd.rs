//! Convolutions of 3x3 windows with fewer products, by Winograd's algorithm: the input is transformed tile by tile, the
//! transformed tiles are multiplied with transformed weights, and what comes out is transformed back (`memory/winograd.rs`).
//!
//! For each of 16 (or 36) elements of a transformed tile, the products are a matrix product of its own: tiles by channels in,
//! channels in by channels out. So they are a batch of matrix products, in the tiles that all matrix products have, between two
//! kernels that move and add. Constant weights are transformed when a plan is made, others by a launch of their own.
//!
//! Sums are not those of the products that the operator is defined by, so rounding errors are larger: results were
//! up to 3e-6 of the largest one off, and twice as much is what tests allow.

use kiln_graph::{DType, Dim, product};
use kiln_plan::{Access, Storage};

use super::builder::{AnchorLaunch, BiasedEpilogue, KernelBuilder, KernelLaunch, LaidOut};
use super::conv::ConvShapes;
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::matmul::Right;
use super::problem::{ConvProblem, Operation, Problem, ceil_div, count};
use super::tile::{Products, Tile};
use crate::element::Vec4Access;
use crate::error::CompileError;
use crate::layout::{channels_last, row_major, vectors, weight_layout};
use crate::memory::buffer::BufferId;
use crate::memory::winograd::{TAPS, Winograd};
use crate::target::{DeviceClass, Target};
use crate::wgsl::expression::{Addressing, Expression};
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "winograd",
    templates: templates!["winograd", "winograd_input", "winograd_weights", "winograd_output"],
    space,
    demands,
    cost,
    realize,
};

/// Below so many channels in and out, transforms take longer than the products that they save.
const LEAST_CHANNELS: usize = 32;

/// Whether the algorithm computes the problem: a dense 3x3 window over a plane that moves by one, of floats. Whole numbers
/// of 8 bits are left to kernels that are exact.
fn applies(problem: &Problem, conv: &ConvProblem) -> bool {
    let window = &conv.window;
    let floats = problem.operands.get(1).is_some_and(|weights| weights.element == Storage::F32);
    window.kernel == [TAPS, TAPS]
        && window.strides == [1, 1]
        && window.dilations == [1, 1]
        && !window.is_dilated()
        && conv.groups == 1
        && conv.group_in.min(conv.group_out) >= LEAST_CHANNELS
        && floats
        && problem.has_floats()
        && problem.operands.iter().all(|operand| operand.bytes.is_none())
}

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let Operation::Conv(conv) = &problem.operation else { return vec![] };
    if !applies(problem, conv) {
        return vec![];
    }
    let tiles = Tile::all(target, false);
    let of = |by: Winograd| tiles.iter().map(move |tile| tile.knobs().with("results", count(by.results())));
    Winograd::ALL.into_iter().flat_map(of).collect()
}

/// The way of a variant.
fn way(knobs: &Knobs) -> Winograd {
    let named = Winograd::ALL.into_iter().find(|by| by.results() == knobs.count("results"));
    named.unwrap_or(Winograd::Two)
}

/// Sizes of a convolution as the choice depends on them, at their maxima; channels in vectors of four.
struct Sizes {
    products: i64,
    tiles: i64,
    vectors_in: i64,
    vectors_out: i64,
    known_weights: bool,
}

impl Sizes {
    fn of(problem: &Problem, conv: &ConvProblem, by: Winograd) -> Self {
        let results = count(by.results());
        let [batch, _, height, width] = [0, 1, 2, 3].map(|n| conv.window.y.get(n).map_or(1, |size| size.max));
        let rows = ceil_div(height, results).saturating_mul(ceil_div(width, results));
        Self {
            products: count(by.products()),
            tiles: batch.saturating_mul(rows),
            vectors_in: count(conv.group_in.div_ceil(4)),
            vectors_out: count(conv.group_out.div_ceil(4)),
            known_weights: problem.is_constant(1),
        }
    }

    /// Vectors of the transformed input.
    fn input(&self) -> i64 {
        self.products.saturating_mul(self.tiles).saturating_mul(self.vectors_in)
    }

    /// Vectors of the products.
    fn output(&self) -> i64 {
        self.products.saturating_mul(self.tiles).saturating_mul(self.vectors_out)
    }

    /// Vectors of the transformed weights in tiles of so many columns.
    fn weights(&self, tile: Tile) -> i64 {
        let columns = ceil_div(self.vectors_out, tile.columns()).saturating_mul(tile.columns());
        self.products.saturating_mul(4 * self.vectors_in).saturating_mul(columns)
    }

    fn products(&self, tile: Tile) -> Products {
        Products {
            count: self.products,
            rows: self.tiles,
            columns: self.vectors_out,
            terms: 4 * self.vectors_in,
            times: tile.times(self.vectors_in),
        }
    }
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::Conv(conv) = &problem.operation else { return Demands::default() };
    let (tile, by) = (Tile::of(knobs), way(knobs));
    let sizes = Sizes::of(problem, conv, by);
    let weights = if sizes.known_weights {
        OperandLayout::Winograd { by, width: tile.width() }
    } else {
        OperandLayout::Tensor(weight_layout(conv.window.x.len()))
    };
    let largest = sizes.input().max(sizes.output()).max(sizes.weights(tile));
    Demands {
        binding: largest.saturating_mul(16),
        rearranged: true,
        ..tile.demands(vec![OperandLayout::ChannelRows, weights], tile.times(sizes.vectors_in))
    }
}

/// What a vector of a transformed tile takes on lavapipe, on its way to the products or back, beside a multiply-add in the
/// estimates of tiles: transforms were measured to take a third of all at 56x56 positions of 64 channels, half at 28x28 of 32.
const TRANSFORMED: f64 = 6.0;

fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let Operation::Conv(conv) = &problem.operation else { return Estimate::default() };
    let (tile, by) = (Tile::of(knobs), way(knobs));
    let sizes = Sizes::of(problem, conv, by);
    let products = tile.cost(target, &sizes.products(tile));
    let of_weights = if sizes.known_weights { 0 } else { sizes.weights(tile) };
    let moved = float(sizes.input().saturating_add(sizes.output()).saturating_add(of_weights));
    let launches = products.launches + if sizes.known_weights { 2 } else { 3 };
    match target.class {
        DeviceClass::Cpu => Estimate {
            launches,
            work: products.work + TRANSFORMED * moved / products.invocations.max(1.0),
            ..products
        },
        DeviceClass::Gpu => Estimate { launches, bytes: 16.0 * moved, ..products },
    }
}

/// A convolution with its tiles.
struct Steps {
    shapes: ConvShapes,
    by: Winograd,
    tile: Tile,
    /// Tiles of results along the height and the width.
    along: [Dim; 2],
    /// Tiles of all images.
    tiles: Dim,
    /// Channels in and out, in vectors of four.
    vectors: [usize; 2],
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let steps = Steps::of(builder, knobs)?;
    let input = steps.input(builder)?;
    let weights = steps.weights(builder)?;
    let products = steps.products(builder, input, weights)?;
    steps.output(builder, products)
}

impl Steps {
    fn of(builder: &KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<Self, CompileError> {
        let shapes = ConvShapes::of(builder)?;
        let by = way(knobs);
        let along = [2, 3].map(|axis| shapes.y[axis].ceil_div(count(by.results())));
        let tiles = &shapes.y[0] * &product(&along);
        let vectors = [shapes.w[1], shapes.w[0]].map(|channels| channels.div_ceil(4));
        Ok(Self { shapes, by, tile: Tile::of(knobs), along, tiles, vectors })
    }

    fn values(&self) -> minijinja::Value {
        minijinja::context! { size => self.by.size() }
    }

    /// Vectors of a matrix of each product: of the tiles with so many channels, in vectors.
    fn vectors(&self, of_tile: usize) -> Dim {
        &self.tiles * &of_tile.into()
    }

    /// Memory for so many vectors of each product.
    fn scratch(&self, builder: &mut KernelBuilder<'_, '_>, what: &str, vectors: &Dim) -> BufferId {
        let elements = vectors * &Dim::from(4 * self.by.products());
        builder.scratch(what, Storage::F32, &elements)
    }

    fn tiles_along(&self, params: &mut Params, unsigned: bool) {
        for (name, tiles) in ["tiles_h", "tiles_w"].into_iter().zip(&self.along) {
            if unsigned { params.uint(name, tiles.clone()) } else { params.int(name, tiles.clone()) }
        }
    }

    /// A launch without an epilogue, one invocation for each of so many vectors.
    fn transform(
        &self,
        builder: &mut KernelBuilder<'_, '_>,
        template: &'static str,
        buffers: [BufferId; 2],
        mut params: Params,
        values: minijinja::Value,
        vectors: &Dim,
    ) {
        let [from, to] = buffers;
        params.uint("count", vectors.clone());
        let launch = KernelLaunch {
            template,
            kernel: format!("{template}_{}", self.by.results()),
            name: builder.group.name.clone(),
            values: minijinja::context! { ..values, ..self.values() },
            bindings: vec![(from, Access::Read), (to, Access::ReadWrite)],
            params,
            workgroups: builder.grid(vectors),
            writes: vec![],
            flops: 0.into(),
        };
        builder.launch(launch);
    }

    /// The transformed input.
    fn input(&self, builder: &mut KernelBuilder<'_, '_>) -> Result<BufferId, CompileError> {
        let rows = builder.rows(0)?;
        let [channels, _] = self.vectors;
        let to = self.scratch(builder, "tiles", &self.vectors(channels));
        // A tile of vectors of four would take 192 registers of a GPU; a CPU's are few anyway, and its loads are what costs.
        let lanes = match builder.values.target.class {
            DeviceClass::Cpu => 4,
            DeviceClass::Gpu => 2,
        };
        let element = builder.values.buffer(rows.buffer).element;
        let (type_in, load) = match (lanes, element) {
            (2, Storage::F16) => ("u32", "unpack2x16float"),
            (2, _) => ("vec2<f32>", "vec2<f32>"),
            (_, element) => (Vec4Access::of(element).ty, Vec4Access::of(element).wide),
        };
        let parts = 4 / lanes;
        let (base, step) = (vectors(&rows.base)?, vectors(&rows.step)?);
        let mut params = Params::default();
        params.uint("inner", channels * parts);
        self.tiles_along(&mut params, false);
        params.int("in_h", self.shapes.x[2].clone());
        params.int("in_w", self.shapes.x[3].clone());
        params.int("pad_h", self.shapes.conv.pads[0][0]);
        params.int("pad_w", self.shapes.conv.pads[1][0]);
        params.int("x_base", base * parts.into());
        params.int("x_step", step * parts.into());
        let values = minijinja::context! { lanes, type_in, load };
        let all = self.vectors(channels * parts);
        self.transform(builder, "winograd_input", [rows.buffer, to], params, values, &all);
        Ok(to)
    }

    /// The transformed weights in panels, which are launched here where they are not known.
    fn weights(&self, builder: &mut KernelBuilder<'_, '_>) -> Result<Right, CompileError> {
        let [channels_in, channels_out] = self.vectors;
        let width = self.tile.width() / 4;
        let depth = 4 * channels_in;
        let panels = channels_out.div_ceil(width) * depth * width;
        let buffer = match builder.operands.get(1) {
            Some(LaidOut::Packed(pieces)) => match &pieces[..] {
                [all] => all.buffer,
                _ => return Err(builder.defect("has weights in pieces")),
            },
            _ => {
                let from = builder.tensor_buffer(1)?;
                let to = self.scratch(builder, "transformed weights", &panels.into());
                let mut params = Params::default();
                params.uint("inner", channels_out);
                params.uint("rows", self.shapes.w[1]);
                params.uint("depth", depth);
                params.uint("tile_columns", width);
                params.uint("panels", panels);
                let (values, all) = (minijinja::context! {}, (depth * channels_out).into());
                self.transform(builder, "winograd_weights", [from, to], params, values, &all);
                to
            }
        };
        Ok(Right {
            buffer,
            batch: panels.into(),
            tile: (depth * width).into(),
            step: width.into(),
            begin: 0.into(),
            end: channels_out.into(),
        })
    }

    /// The products.
    fn products(
        &self,
        builder: &mut KernelBuilder<'_, '_>,
        input: BufferId,
        weights: Right,
    ) -> Result<BufferId, CompileError> {
        let [channels_in, channels_out] = self.vectors;
        let shape = [self.by.products().into(), self.tiles.clone(), self.shapes.w[0].into()];
        let space = IterationSpace::new(&shape, &row_major(shape.len(), 4));
        let to = self.scratch(builder, "products", &self.vectors(channels_out));
        let out_binding = 3;
        let addressing = Addressing::default();
        let code = Expression::new(space.clone(), &[], addressing, out_binding, &[]).finish(
            "acc",
            DType::F32,
            Storage::F32,
            DType::F32,
            addressing,
        );
        let row_tiles = self.tiles.ceil_div(self.tile.rows());
        let batches = Dim::from(self.by.products());
        let mut params = Params::default();
        params.uint("count", space.count());
        params.uint("inner", space.inner());
        params.uint("rows", self.tiles.clone());
        params.uint("row_tiles", row_tiles.clone());
        params.uint("batches", batches.clone());
        params.uint("depth", channels_in);
        params.uint("a_step", channels_in);
        params.uint("a_batch", self.vectors(channels_in));
        weights.params(&mut params);
        let columns = Dim::from(channels_out).ceil_div(self.tile.columns());
        let workgroups = self.tile.grid(builder.values, &(&row_tiles * &batches), columns);
        let tile = self.tile.template_values(minijinja::context! {
            biased => false, residue_classes => false, split => false, moved => false
        });
        let values =
            minijinja::context! { out_binding, ..minijinja::context! { ..code.template_values(), ..tile } };
        params.extend(code.params);
        builder.launch(KernelLaunch {
            template: self.tile.template("matmul_tile", "matmul_broadcast"),
            kernel: format!("winograd_products_{}", self.tile.name()),
            name: builder.group.name.clone(),
            values,
            bindings: vec![(input, Access::Read), (weights.buffer, Access::Read), (to, Access::ReadWrite)],
            params,
            workgroups,
            writes: vec![],
            flops: product(&shape) * (2 * self.shapes.w[1]).into(),
        });
        Ok(to)
    }

    /// The results, with the epilogue of the group.
    fn output(&self, builder: &mut KernelBuilder<'_, '_>, products: BufferId) -> Result<(), CompileError> {
        let rank = self.shapes.y.len();
        let BiasedEpilogue { epilogue, biased, buffers } =
            builder.biased_epilogue(1, &channels_last(rank), &[products])?;
        let [_, channels] = self.vectors;
        let vectors = self.vectors(channels);
        let mut params = Params::default();
        params.uint("vectors", vectors.clone());
        self.tiles_along(&mut params, true);
        params.uint("out_h", self.shapes.y[2].clone());
        params.uint("out_w", self.shapes.y[3].clone());
        let launch = AnchorLaunch {
            template: "winograd_output",
            kernel: format!("winograd_output_{}", self.by.results()),
            buffers: &buffers,
            params,
            values: minijinja::context! { biased, ..self.values() },
            workgroups: builder.grid(&vectors),
            flops: 0.into(),
        };
        builder.launch_anchor(epilogue, launch);
        Ok(())
    }
}
