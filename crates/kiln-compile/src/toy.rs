//! A family that exists in tests only: what it takes to add one. This file, its template, and a line in a table.

use kiln_graph::{Bindings, text};

use crate::error::CompileError;
use crate::kernels::builder::{AnchorLaunch, KernelBuilder};
use crate::kernels::family::{Demands, Estimate, Family, Knobs, OperandLayout};
use crate::kernels::problem::{Operation, Problem};
use crate::kernels::table::TABLE;
use crate::layout::{channels_last, weight_layout};
use crate::select::choose::Reason;
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::{Compiled, Options, assemble, passes, prepared};

/// Convolutions whose window is one element.
const FAMILY: Family = Family {
    name: "conv_pointwise",
    templates: &[("conv_pointwise", include_str!("toy.wgsl"))],
    space,
    demands,
    cost,
    realize,
};

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match &problem.operation {
        Operation::Conv(conv)
            if conv.groups == 1 && conv.window.taps() == 1 && conv.window.x[2..] == conv.window.y[2..] =>
        {
            vec![Knobs::default()]
        }
        _ => vec![],
    }
}

fn demands(problem: &Problem, _: &Knobs) -> Demands {
    let Operation::Conv(conv) = &problem.operation else { return Demands::default() };
    let weights = OperandLayout::Tensor(weight_layout(conv.window.x.len()));
    let channels = i64::try_from(conv.group_in).unwrap_or(i64::MAX);
    Demands::simple(vec![OperandLayout::ChannelRows, weights], channels)
}

fn cost(_: &Problem, _: &Knobs, _: &Target) -> Estimate {
    Estimate::of(1 << 40, 1.0)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let rows = builder.rows(0)?;
    let x = builder.shape(builder.anchor()?.inputs[0]);
    let buffers = [rows.buffer, builder.tensor_buffer(1)?];
    let epilogue = builder.epilogue(&channels_last(x.len()), &buffers)?;
    let mut params = Params::default();
    params.int("x_base", rows.base);
    params.int("x_step", rows.step);
    params.int("channels", x[1].clone());
    let launch = AnchorLaunch {
        template: "conv_pointwise",
        kernel: "conv_pointwise".into(),
        buffers: &buffers,
        params,
        values: minijinja::context! {},
        workgroups: builder.grid(&epilogue.space.count()),
        flops: 0.into(),
    };
    builder.launch_anchor(epilogue, launch);
    Ok(())
}

const NET: &str = "graph net
input %x : f32[1, 6, 5, 5]
const @w : f32[10, 6, 1, 1] = fill(0.5)
const @v : f32[4, 10, 3, 3] = fill(0.5)
%a = conv(%x, @w)
%b = relu(%a)
%c = conv(%b, @v)
output y = %c
";

fn compiled(pin: Option<&str>) -> Result<Compiled, CompileError> {
    let mut options = Options { target: Target::lavapipe(), ..Options::default() };
    options.preferences.pinned.extend(pin.map(|choice| ("*".to_owned(), choice.to_owned())));
    let graph = passes::run(passes::INFERENCE, &text::parse(NET)?)?;
    let table: Vec<&Family> = TABLE.iter().copied().chain([&FAMILY]).collect();
    assemble(vec![prepared("inference", graph)], &options, &Bindings::new(), &table)
}

/// It is a candidate where it applies, and is not chosen where another one is cheaper.
#[test]
fn a_new_family_is_a_candidate() -> Result<(), CompileError> {
    let compiled = compiled(None)?;
    let selections = &compiled.programs[0].selections;
    let offered = |n: usize| {
        selections[n].candidates.iter().any(|candidate| candidate.choice.family == "conv_pointwise")
    };
    assert_eq!((offered(0), offered(1)), (true, false));
    assert!(selections.iter().all(|selection| selection.reason == Reason::Cheapest));
    Ok(())
}

/// Pinned, it is launched where it applies, with the epilogue of its group.
#[test]
fn a_pinned_family_is_launched() -> Result<(), CompileError> {
    let compiled = compiled(Some("conv_pointwise"))?;
    let reasons: Vec<Reason> =
        compiled.programs[0].selections.iter().map(|selection| selection.reason).collect();
    assert_eq!(reasons, [Reason::Pinned, Reason::Cheapest]);
    let shaders = &compiled.plan.shaders;
    assert!(shaders.iter().any(|shader| shader.name == "conv_pointwise_relu"), "{shaders:?}");
    Ok(())
}
