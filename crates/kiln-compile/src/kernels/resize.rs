//! Interpolation to another spatial size.

use std::collections::BTreeMap;

use kiln_graph::ops::{CoordinateMode, Resize, ResizeMode};
use kiln_graph::{Dim, Op, product};
use kiln_plan::Storage;

use super::builder::{AnchorLaunch, KernelBuilder};
use super::conv::{AXES, per_axis, row_params, three};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout};
use super::problem::{Operation, Problem};
use super::resize_places::{Ratio, Source, Table, source};
use crate::error::CompileError;
use crate::layout::channels_last;
use crate::memory::buffer::{BufferId, BufferInit};
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "resize", templates: templates!["resize"], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Simple { op: "resize", .. } => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(_: &Problem, _: &Knobs) -> Demands {
    // At most two elements along each of three axes.
    Demands::simple(vec![OperandLayout::ChannelRows], 8)
}

fn cost(problem: &Problem, _: &Knobs, _: &Target) -> Estimate {
    let Operation::Simple { elements, .. } = problem.operation else { return Estimate::default() };
    Estimate::of(elements / 4, 8.0)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Resize(op) = &node.op else { return Err(builder.defect("is not an interpolation")) };
    let (x, y) = (builder.shape(node.inputs[0]), builder.shape(node.outputs[0]));
    let rank = x.len();
    let linear = op.mode == ResizeMode::Linear;
    let (sources, table) = sources(builder, op, &x, &y)?;
    let rows = builder.rows(0)?;
    let mut buffers = vec![rows.buffer];
    if table.len > 0 {
        buffers.push(place_table(builder, table));
    }
    let epilogue = builder.epilogue(&channels_last(rank), &buffers)?;
    let mut params = Params::default();
    row_params("x", &rows, &mut params)?;
    per_axis(&mut params, "in", &three(&x[2..], 1.into()));
    per_axis(&mut params, "out", &three(&y[2..], 1.into()));
    let axes = &AXES[5 - rank..];
    let mut kinds = vec![];
    for (source, name) in sources.into_iter().zip(axes) {
        kinds.push(match source {
            Source::Same => "same",
            Source::Table(begin) => {
                params.int(format!("table_{name}"), begin);
                "table"
            }
            Source::Ratio(Ratio { factor, shift, divisor }) => {
                params.int(format!("factor_{name}"), factor);
                params.int(format!("shift_{name}"), shift);
                params.int(format!("divisor_{name}"), divisor);
                "ratio"
            }
        });
    }
    let blended = kinds.iter().filter(|kind| **kind != "same").count();
    let values = minijinja::context! {
        linear,
        axes => axes.to_vec(),
        tabled => buffers.len() > 1,
        single => op.coordinates == CoordinateMode::PytorchHalfPixel,
        kinds => axes.iter().copied().zip(kinds).collect::<BTreeMap<_, _>>(),
    };
    let workgroups = builder.grid(&epilogue.space.count());
    let launch = AnchorLaunch {
        template: "resize",
        kernel: if linear { "resize_linear" } else { "resize_nearest" }.into(),
        buffers: &buffers,
        params,
        values,
        workgroups,
        flops: product(&y) * (if linear { 2 * ((1 << blended) - 1) } else { 0 }).into(),
    };
    builder.launch_anchor(epilogue, launch);
    Ok(())
}

/// Where the elements of each axis come from, and the table that this refers to.
fn sources(
    builder: &KernelBuilder<'_, '_>,
    op: &Resize,
    x: &[Dim],
    y: &[Dim],
) -> Result<(Vec<Source>, Table), CompileError> {
    let rank = x.len();
    if !(3..=5).contains(&rank) || x[..2] != y[..2] {
        let message = "resizes batch or channels; only spatial dimensions can be resized on the device";
        return Err(builder.unsupported(message));
    }
    let linear = op.mode == ResizeMode::Linear;
    let element = if linear { Storage::F32 } else { Storage::I32 };
    let mut table = Table { element, bytes: Vec::new(), len: 0 };
    let mut sources = vec![];
    for (axis, (from, to)) in x.iter().zip(&op.shape).enumerate().skip(2) {
        let source = source(builder.values, op, axis, [from, to], &mut table);
        sources.push(source.map_err(|message| builder.unsupported(message))?);
    }
    Ok((sources, table))
}

fn place_table(builder: &mut KernelBuilder<'_, '_>, table: Table) -> BufferId {
    let words = table.bytes.len() / 4;
    let name = format!("{} (table)", builder.group.name);
    let init = BufferInit::Weights(table.bytes);
    builder.values.allocate(&name, table.element, &words.into(), init)
}
