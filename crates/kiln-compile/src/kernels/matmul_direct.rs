//! Matrix product of any kind: one output vector an invocation. Every product can be done so.

use super::builder::{AnchorLaunch, KernelBuilder};
use super::conv_direct::work_of_a_term;
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::matmul_split::Product;
use super::parts::sums_in_parts;
use super::problem::{Operation, Problem, ceil_div};
use super::reduce::lower_reduction;
use crate::error::CompileError;
use crate::layout::{self, row_major};
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "matmul_direct", templates: templates!["matmul_direct"], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match &problem.operation {
        Operation::MatMul(product) => vec![Knobs::new([("split_k", product.parts(problem))])],
        _ => vec![],
    }
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::MatMul(product) = &problem.operation else { return Demands::default() };
    let operands = product.transposed.map(|transposed| OperandLayout::Matrix { transposed });
    Demands::simple(operands.to_vec(), ceil_div(product.depth.max, knobs.get("split_k").max(1)))
}

fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let Operation::MatMul(product) = &problem.operation else { return Estimate::default() };
    let parts = knobs.get("split_k").max(1);
    let vectors = product.rows.max.saturating_mul(ceil_div(product.columns.max, 4));
    let outputs = vectors.saturating_mul(product.batches.max).saturating_mul(parts);
    let work = work_of_a_term(target) * float(ceil_div(product.padded_depth(), parts));
    let estimate = Estimate::of(outputs, work);
    if parts > 1 { estimate.added_up(parts, float(product.partial_bytes(parts))) } else { estimate }
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let product = Product::of(builder, knobs)?;
    let right = builder.matrix(1)?;
    let buffers = [product.left.buffer, right.buffer];
    let k = &product.left.columns;
    let mut params = Params::default();
    params.int("rows", product.rows.clone());
    product.split(&mut params, k);
    params.int("a_row", layout::round_up(k, 4));
    params.int("a_batch", product.left.batch_stride.clone());
    params.int("b_batch", layout::vectors(&right.batch_stride)?);
    let (epilogue, partial) = if product.parts == 1 {
        (builder.epilogue(&row_major(product.rank, 4), &buffers)?, None)
    } else {
        let (epilogue, plan) =
            sums_in_parts(builder, product.parts, &row_major(product.rank, 4), buffers.len() + 1)?;
        (epilogue, Some(plan))
    };
    let launch = AnchorLaunch {
        template: "matmul_direct",
        kernel: "matmul_direct".into(),
        buffers: &buffers,
        params,
        values: minijinja::context! { split => product.parts > 1 },
        workgroups: builder.grid(&epilogue.space.count()),
        flops: product.flops.clone(),
    };
    match partial {
        None => builder.launch_anchor(epilogue, launch),
        Some(plan) => {
            builder.launch_part(epilogue, launch);
            lower_reduction(builder, plan)?;
        }
    }
    Ok(())
}
