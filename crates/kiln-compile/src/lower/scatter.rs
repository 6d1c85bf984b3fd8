//! Writing to places that are data.

use kiln_graph::ops::{Scatter, ScatterReduction};
use kiln_graph::{DType, NodeId, product};
use kiln_plan::Access;

use super::arithmetic::wrapped;
use super::context::{Contents, Context, View};
use super::conv::MAX_ITERATIONS;
use super::kernel::{Params, Request};
use super::operand::{computed_scalar, functions};
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::{self, row_major};

/// Lowers a scatter to a kernel that looks from each element for what it gets.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Scatter) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (inputs, out) = (&graph.node(node).inputs, graph.node(node).outputs[0]);
    let (data, indices, updates) = (inputs[0], inputs[1], inputs[2]);
    let ty = graph.ty(out).clone();
    let taken = graph.ty(indices).shape.clone();
    let mut views = [ctx.view(data)?, ctx.view(indices)?, ctx.view(updates)?];
    let layout = row_major(ty.rank(), 1);
    let placed = ctx.place(out, layout.clone(), Contents::Activation)?;
    let float = ty.dtype.is_float();
    let (combine, used) = match op.reduction {
        ScatterReduction::None => ("update", None),
        ScatterReduction::Add => ("acc + update", None),
        ScatterReduction::Mul => ("acc * update", None),
        ScatterReduction::Max if ty.dtype == DType::F64 => {
            ("maximum_double(acc, update)", Some("maximum_double"))
        }
        ScatterReduction::Min if ty.dtype == DType::F64 => {
            ("minimum_double(acc, update)", Some("minimum_double"))
        }
        ScatterReduction::Max if float => ("maximum(acc, update)", Some("maximum")),
        ScatterReduction::Max => ("max(acc, update)", None),
        ScatterReduction::Min if float => ("minimum(acc, update)", Some("minimum")),
        ScatterReduction::Min => ("min(acc, update)", None),
    };
    let combine = wrapped(1, ty.dtype, combine.into());
    let holes = minijinja::context! {
        rank => ty.rank(),
        axis => op.axis,
        element_type => computed_scalar(ctx.element(out)?),
        combine,
        ..functions(1, used.as_slice())
    };
    // More indices than an invocation can look at come in rounds, each of which changes what the one before left.
    let rounds = (ctx.largest(&taken[op.axis]) - 1).max(0) / MAX_ITERATIONS + 1;
    for round in 0..rounds {
        let last = round + 1 == rounds;
        let to = if last {
            ctx.placed[placed].storage
        } else {
            let name = format!("{} (round)", group.name);
            let elements = layout::round_up(&product(&ty.shape), 4);
            let element = ctx.element(out)?;
            ctx.allocate(&name, element, &elements, Contents::Activation)
        };
        let mut params = Params::default();
        params.uint("count", product(&ty.shape));
        params.int("begin", round * MAX_ITERATIONS);
        params.int("most", MAX_ITERATIONS);
        for (name, view) in ["data", "index", "update"].into_iter().zip(&views) {
            params.int(format!("{name}_base"), view.base.clone());
            for (axis, stride) in view.strides.iter().enumerate() {
                params.int(format!("{name}_{axis}"), stride.clone());
            }
        }
        for (axis, (size, taken)) in ty.shape.iter().zip(&taken).enumerate() {
            params.int(format!("size_{axis}"), size.clone());
            params.int(format!("taken_{axis}"), taken.clone());
        }
        let mut bindings: Vec<_> = views.iter().map(|view| (view.storage, Access::Read)).collect();
        bindings.push((to, Access::ReadWrite));
        let workgroups = ctx.grid(&product(&ty.shape));
        ctx.request(Request {
            template: "scatter",
            kernel: format!("scatter_{}", op.reduction.name()),
            name: &group.name,
            holes: holes.clone(),
            bindings,
            params,
            workgroups,
            writes: if last { vec![placed] } else { vec![] },
            flops: if last { product(&taken) } else { 0.into() },
        })?;
        let element = ctx.memory[to.0].element;
        let strides = layout::strides(&layout, &ty.shape);
        views[0] = View { storage: to, element, base: 0.into(), strides, zero_lanes: false };
    }
    ctx.register(out, placed)
}
