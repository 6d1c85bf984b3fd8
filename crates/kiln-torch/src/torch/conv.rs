//! Convolutions.

use std::rc::Rc;

use kiln_graph::functions::convolution::{ConvTranspose, conv_bias, conv_transpose};
use kiln_graph::ops::{Conv, Pad, PadMode};
use kiln_graph::{Dim, Op, ValueId};

use super::window::{both, same, with_batch};
use super::{Function, Init, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Object, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    TF "conv1d" ("input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1") => |i, b| conv(i, b, 1),
    TF "conv2d" ("input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1") => |i, b| conv(i, b, 2),
    TF "conv3d" ("input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1") => |i, b| conv(i, b, 3),
    TF "conv_transpose1d" ("input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1") => |i, b| transposed(i, b, 1),
    TF "conv_transpose2d" ("input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1") => |i, b| transposed(i, b, 2),
    TF "conv_transpose3d" ("input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1") => |i, b| transposed(i, b, 3),
};

pub(super) static LAYERS: &[Layer] = layers! {
    "Conv1d" ("in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros', device=None, dtype=None") => |i, o, b| setup(i, o, b, 1, false), |i, b| conv(i, b, 1);
    "Conv2d" ("in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros', device=None, dtype=None") => |i, o, b| setup(i, o, b, 2, false), |i, b| conv(i, b, 2);
    "Conv3d" ("in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros', device=None, dtype=None") => |i, o, b| setup(i, o, b, 3, false), |i, b| conv(i, b, 3);
    "ConvTranspose1d" ("in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1, padding_mode='zeros', device=None, dtype=None") => |i, o, b| setup(i, o, b, 1, true), |i, b| transposed(i, b, 1);
    "ConvTranspose2d" ("in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1, padding_mode='zeros', device=None, dtype=None") => |i, o, b| setup(i, o, b, 2, true), |i, b| transposed(i, b, 2);
    "ConvTranspose3d" ("in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1, padding_mode='zeros', device=None, dtype=None") => |i, o, b| setup(i, o, b, 3, true), |i, b| transposed(i, b, 3);
};

/// Weight and bias. A transposed convolution's weight is `[in, out / groups, kernel...]`.
fn setup(
    i: &mut Interpreter,
    object: &Rc<Object>,
    b: &Bound,
    spatial: usize,
    is_transposed: bool,
) -> Result<()> {
    let (inputs, outputs) = (b.count("in_channels")?, b.count("out_channels")?);
    let kernel = b.counts("kernel_size", spatial)?;
    let groups = b.count("groups")?;
    for (name, channels) in [("in_channels", inputs), ("out_channels", outputs)] {
        if channels % groups != 0 {
            return Err(Fault::value(format!(
                "{}: {channels} channels cannot be split into {groups} groups",
                b.callee
            ))
            .help(format!("`groups` has to divide `{name}`")));
        }
    }
    b.counts("stride", spatial)?;
    b.counts("dilation", spatial)?;
    if !matches!(b.get("padding"), Value::Str(_)) {
        b.sizes("padding", spatial)?;
    }
    let first = if is_transposed { [inputs, outputs / groups] } else { [outputs, inputs / groups] };
    let shape = [&first[..], &kernel].concat();
    let fan_in = shape[1..].iter().fold(1usize, |n, size| n.saturating_mul(*size));
    let weight = i.parameter(&shape, Init::layer(fan_in))?;
    let bias = if b.bool("bias")? { i.parameter(&[outputs], Init::layer(fan_in))? } else { Value::None };
    // `kernel_size` and its like are read as tuples by programs.
    for name in ["kernel_size", "stride", "dilation"] {
        object.set(name, Value::tuple(b.sizes(name, spatial)?.into_iter().map(Value::Int)));
    }
    if !matches!(b.get("padding"), Value::Str(_)) {
        object.set("padding", Value::tuple(b.sizes("padding", spatial)?.into_iter().map(Value::Int)));
    }
    object.set("weight", weight);
    object.set("bias", bias);
    Ok(())
}

fn kernel_of(i: &Interpreter, b: &Bound, weight: ValueId, spatial: usize) -> Result<Vec<usize>> {
    let shape = i.graph.ty(weight).static_shape().filter(|shape| shape.len() == spatial + 2);
    let shape = shape.ok_or_else(|| {
        Fault::value(format!("{}: a weight of shape {} does not fit", b.callee, i.graph.ty(weight)))
    })?;
    Ok(shape[2..].to_vec())
}

fn conv(i: &mut Interpreter, b: &Bound, spatial: usize) -> Result<Value> {
    let weight = i.tensor(b, "weight")?;
    let groups = b.count("groups")?;
    let channels = i.shape(weight).get(1).and_then(Dim::as_usize).unwrap_or(0).saturating_mul(groups);
    with_batch(i, b, spatial, Some(channels), |i, b| convolved(i, b, spatial))
}

fn convolved(i: &mut Interpreter, b: &Bound, spatial: usize) -> Result<Value> {
    let (mut x, weight) = (i.tensor(b, "input")?, i.tensor(b, "weight")?);
    let shape = i.image(b, x, spatial)?;
    let kernel = kernel_of(i, b, weight, spatial)?;
    let (strides, dilations) = (b.counts("stride", spatial)?, b.counts("dilation", spatial)?);
    let groups = b.count("groups")?;
    let mut pads = match b.get("padding") {
        Value::Str(mode) if &*mode == "same" => {
            if strides.iter().any(|s| *s != 1) {
                return Err(Fault::value(format!("{}: `padding='same'` needs a stride of 1", b.callee)));
            }
            same(&kernel, &dilations)
        }
        Value::Str(mode) if &*mode == "valid" => vec![[0, 0]; spatial],
        _ => both(&b.sizes("padding", spatial)?),
    };
    let expected = i.shape(weight)[1].as_usize().unwrap_or(0).saturating_mul(groups);
    if !shape[1].is(i64::try_from(expected).unwrap_or(-1)) {
        let outputs = i.shape(weight)[0].clone();
        let fit = format!("nn.Conv{spatial}d({}, {outputs}, ...)", shape[1]);
        return Err(i.wrong_channels(b, expected, x, &fit));
    }
    if let Some(Value::Str(mode)) = b.given("padding_mode")
        && &**mode != "zeros"
    {
        let mode = match &**mode {
            "reflect" => PadMode::Reflect,
            "replicate" => PadMode::Edge,
            "circular" => PadMode::Wrap,
            _ => return Err(b.wrong("padding_mode", "'zeros', 'reflect', 'replicate' or 'circular'")),
        };
        x = i.op(Op::Pad(Pad { pads: [vec![[0, 0]; 2], pads].concat(), mode }), &[x])?;
        pads = vec![[0, 0]; spatial];
    }
    for (axis, size) in shape[2..].iter().enumerate() {
        let reach = dilations[axis].saturating_mul(kernel[axis].saturating_sub(1)).saturating_add(1);
        let padded = size.clone() + Dim::from(pads[axis][0].saturating_add(pads[axis][1]));
        if padded.as_const().is_some_and(|padded| usize::try_from(padded).is_ok_and(|padded| padded < reach))
        {
            let with_padding =
                if padded == *size { String::new() } else { format!(", {padded} with its padding") };
            return Err(Fault::value(format!(
                "{}: the kernel covers {reach} pixels, but `{}` delivers {size} ({}){with_padding}",
                b.callee,
                i.maker(x),
                kiln_graph::ShapeDisplay(&shape)
            ))
            .help("a smaller kernel, more padding, fewer poolings before, or a larger `--input` would fit"));
        }
    }
    let op = Conv { strides, pads, dilations, input_dilations: vec![1; spatial], groups };
    let y = i.op(Op::Conv(op), &[x, weight])?;
    with_bias(i, b, y, spatial)
}

fn with_bias(i: &mut Interpreter, b: &Bound, y: ValueId, spatial: usize) -> Result<Value> {
    match i.optional_tensor(b, "bias")? {
        Some(bias) => Ok(Value::tensor(conv_bias(&mut i.formula(), y, bias, spatial)?)),
        None => Ok(Value::tensor(y)),
    }
}

fn transposed(i: &mut Interpreter, b: &Bound, spatial: usize) -> Result<Value> {
    let weight = i.tensor(b, "weight")?;
    let channels = i.shape(weight).first().and_then(Dim::as_usize);
    with_batch(i, b, spatial, channels, |i, b| spread(i, b, spatial))
}

fn spread(i: &mut Interpreter, b: &Bound, spatial: usize) -> Result<Value> {
    let (x, weight) = (i.tensor(b, "input")?, i.tensor(b, "weight")?);
    let shape = i.image(b, x, spatial)?;
    kernel_of(i, b, weight, spatial)?;
    if let Some(Value::Str(mode)) = b.given("padding_mode")
        && &**mode != "zeros"
    {
        return Err(b.wrong("padding_mode", "'zeros'"));
    }
    let expected = i.shape(weight)[0].as_usize().unwrap_or(0);
    if !shape[1].is(i64::try_from(expected).unwrap_or(-1)) {
        let fit = format!("nn.ConvTranspose{spatial}d({}, ...)", shape[1]);
        return Err(i.wrong_channels(b, expected, x, &fit));
    }
    let how = ConvTranspose {
        strides: b.counts("stride", spatial)?,
        pads: both(&b.sizes("padding", spatial)?),
        dilations: b.counts("dilation", spatial)?,
        output_padding: b.sizes("output_padding", spatial)?,
        groups: b.count("groups")?,
    };
    let y = conv_transpose(&mut i.formula(), x, weight, &how)?;
    with_bias(i, b, y, spatial)
}
