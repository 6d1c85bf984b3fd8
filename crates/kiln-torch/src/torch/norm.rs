//! Normalizations.

use std::rc::Rc;

use kiln_graph::functions::activation::clamp;
use kiln_graph::functions::normalization::{
    group_norm, local_response_norm, normalize, per_channel, rms_norm as rms_normalized,
};
use kiln_graph::ops::BatchNorm;
use kiln_graph::{Dim, Op, ShapeDisplay, Tensor, ValueId};

use super::mode::Training;
use super::{Function, Init, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Object, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    F "batch_norm" ("input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05") => batch_norm,
    T "batch_norm" ("input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled=True") => batch_norm,
    TF "layer_norm" ("input, normalized_shape, weight=None, bias=None, eps=1e-05") => layer_norm,
    TF "group_norm" ("input, num_groups, weight=None, bias=None, eps=1e-05") => group,
    F "instance_norm" ("input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-05") => instance_norm,
    T "instance_norm" ("input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled=True") => instance_norm,
    F "local_response_norm" ("input, size, alpha=0.0001, beta=0.75, k=1.0") => local_response,
    TF "rms_norm" ("input, normalized_shape, weight=None, eps=None") => rms_norm,
    F "normalize" ("input, p=2.0, dim=1, eps=1e-12, out=None") => |i, b| {
        let x = i.tensor(b, "input")?;
        let (axes, _) = super::reduce::axes(i, b, x)?;
        let (p, eps) = (b.float("p")?, b.float("eps")?);
        let norm = super::reduce::norm(i, b, p, x, &axes, true)?;
        let mut f = i.formula();
        let norm = clamp(&mut f, norm, Some(eps), None)?;
        Ok(Value::tensor(f.div(x, norm)?))
    },
};

pub(super) static LAYERS: &[Layer] = layers! {
    "BatchNorm1d" ("num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None") => setup_batch, |i, b| batch_of(i, b, 2..=3);
    "BatchNorm2d" ("num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None") => setup_batch, |i, b| batch_of(i, b, 4..=4);
    "BatchNorm3d" ("num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None") => setup_batch, |i, b| batch_of(i, b, 5..=5);
    "LayerNorm" ("normalized_shape, eps=1e-05, elementwise_affine=True, bias=True, device=None, dtype=None") => setup_layer, layer_norm;
    "RMSNorm" ("normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None") => setup_layer, rms_norm;
    "GroupNorm" ("num_groups, num_channels, eps=1e-05, affine=True, device=None, dtype=None") => |i, o, b| {
        let (groups, channels) = (b.count("num_groups")?, b.count("num_channels")?);
        if channels % groups != 0 {
            return Err(Fault::value(format!("{}: {channels} channels cannot be split into {groups} groups", b.callee)));
        }
        affine(i, o, &[channels], b.bool("affine")?, true)
    }, group;
    "InstanceNorm1d" ("num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None") => setup_instance, instance_norm;
    "InstanceNorm2d" ("num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None") => setup_instance, instance_norm;
    "InstanceNorm3d" ("num_features, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None") => setup_instance, instance_norm;
    "LocalResponseNorm" ("size, alpha=0.0001, beta=0.75, k=1.0") => |_, _, _| Ok(()), local_response;
};

/// Scale and shift.
fn affine(
    i: &mut Interpreter,
    object: &Rc<Object>,
    shape: &[usize],
    is_affine: bool,
    with_bias: bool,
) -> Result<()> {
    let weight = if is_affine { i.parameter(shape, Init::Constant(1.0))? } else { Value::None };
    let bias = if is_affine && with_bias { i.parameter(shape, Init::Constant(0.0))? } else { Value::None };
    object.set("weight", weight);
    object.set("bias", bias);
    Ok(())
}

fn setup_batch(i: &mut Interpreter, object: &Rc<Object>, b: &Bound) -> Result<()> {
    let channels = b.count("num_features")?;
    affine(i, object, &[channels], b.bool("affine")?, true)?;
    if !b.bool("track_running_stats")? {
        object.set("running_mean", Value::None);
        object.set("running_var", Value::None);
        return Ok(());
    }
    for (name, first) in [("running_mean", 0.0), ("running_var", 1.0)] {
        let buffer = i.buffer(&[channels], Init::Constant(first))?;
        object.set(name, buffer);
        object.buffers.borrow_mut().insert(name.into(), true);
    }
    // Counts steps in PyTorch; nothing depends on it here.
    object.set("num_batches_tracked", Value::Int(0));
    Ok(())
}

fn batch_of(i: &mut Interpreter, b: &Bound, ranks: std::ops::RangeInclusive<usize>) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let rank = i.graph.ty(x).rank();
    if !ranks.contains(&rank) {
        let right = match rank {
            2 | 3 => "nn.BatchNorm1d",
            4 => "nn.BatchNorm2d",
            5 => "nn.BatchNorm3d",
            _ => "a batch of at least two dimensions",
        };
        return Err(Fault::value(format!(
            "{} does not take {rank} dimensions, which `{}` delivers ({})",
            b.callee,
            i.maker(x),
            ShapeDisplay(&i.shape(x))
        ))
        .help(format!("`{right}` would fit")));
    }
    batch_norm(i, b)
}

fn batch_norm(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = i.shape(x);
    let Some(channels) = shape.get(1).and_then(Dim::as_usize) else {
        return Err(Fault::value(format!(
            "{} takes [N, C, ...], but gets {}",
            b.callee,
            ShapeDisplay(&shape)
        )));
    };
    let eps = b.float("eps")?;
    let (mean, var) = (statistic(i, b, "running_mean")?, statistic(i, b, "running_var")?);
    let weight = i.optional_tensor(b, "weight")?;
    let bias = i.optional_tensor(b, "bias")?;
    for id in [mean, var, weight, bias].into_iter().flatten() {
        let own = i.shape(id).first().and_then(Dim::as_usize).unwrap_or(0);
        if own != channels {
            let class =
                b.callee.rsplit("(nn.").next().unwrap_or("BatchNorm2d").trim_end_matches(')').to_owned();
            let class = if class.starts_with("BatchNorm") { class } else { "BatchNorm2d".into() };
            return Err(i.wrong_channels(b, own, x, &format!("nn.{class}({channels})")));
        }
    }
    let mut training = Training::of(i, b)?;
    // `bn.track_running_stats = False` later on: in training those of the batch, which leave no trace.
    let is_untracked = matches!(b.given("track_running_stats"), Some(Value::Bool(false)));
    let mut running = mean.zip(var);
    if running.is_some() && is_untracked {
        let in_step = match training {
            Training::Step => i.truth(&Value::Training)?,
            Training::Always => true,
            Training::Never => false,
        };
        running = running.filter(|_| !in_step);
        training = Training::Never;
    }
    let is_layer = b.given("num_features").is_some();
    if running.is_none() && matches!(training, Training::Never) && !is_layer {
        return Err(Fault::value(format!(
            "{} needs `running_mean` and `running_var` where it is not in training",
            b.callee
        ))
        .help("`training=self.training` says when it is, `training=True` that it always is"));
    }
    let Some((mean, var)) = running else {
        // Without running statistics those of the batch are used, always.
        let axes: Vec<usize> = (0..shape.len()).filter(|axis| *axis != 1).collect();
        let y = normalize(&mut i.formula(), x, &axes, eps)?;
        return scaled(i, y, weight, bias, shape.len() - 2);
    };
    let mut filled = |id: Option<ValueId>, value: f32| match id {
        Some(id) => Ok(id),
        None => {
            let tensor =
                Tensor::f32([channels], vec![value; channels]).map_err(kiln_graph::GraphError::from)?;
            Ok::<_, Fault>(i.graph.constant("constant", tensor))
        }
    };
    let (weight, bias) = (filled(weight, 1.0)?, filled(bias, 0.0)?);
    // A mean of all steps has no momentum; only training would ask for it.
    if b.is_none("momentum") && !matches!(training, Training::Never) {
        if i.truth(&Value::Training)? {
            return Err(Fault::unsupported(format!(
                "{}: `momentum=None` (a mean of all steps) is not supported in training",
                b.callee
            ))
            .help("`momentum=0.1` is the default"));
        }
        training = Training::Never;
    }
    let momentum = if b.is_none("momentum") { 0.1 } else { b.float("momentum")? };
    #[allow(clippy::as_conversions, reason = "the core operator has them in 32 bits")]
    let op = BatchNorm {
        epsilon: eps as f32,
        momentum: (1.0 - momentum) as f32,
        training: matches!(training, Training::Always),
        frozen: matches!(training, Training::Never),
        unbiased: true,
    };
    let outputs =
        i.graph.apply(i.trace.current().to_owned(), Op::BatchNorm(op), &[x, weight, bias, mean, var])?;
    Ok(outputs.first().map_or(Value::None, |id| Value::tensor(*id)))
}

/// Running statistics, which have no gradient whatever they are.
fn statistic(i: &mut Interpreter, b: &Bound, name: &str) -> Result<Option<ValueId>> {
    match i.optional_tensor(b, name)? {
        Some(id) if i.graph.producer(id).is_some() => i.detached(id).map(Some),
        other => Ok(other),
    }
}

/// `y * weight + bias`, both `[C]`.
fn scaled(
    i: &mut Interpreter,
    y: ValueId,
    weight: Option<ValueId>,
    bias: Option<ValueId>,
    spatial: usize,
) -> Result<Value> {
    let mut f = i.formula();
    let mut y = y;
    if let Some(weight) = weight {
        let weight = per_channel(&mut f, weight, spatial)?;
        y = f.mul(y, weight)?;
    }
    if let Some(bias) = bias {
        let bias = per_channel(&mut f, bias, spatial)?;
        y = f.add(y, bias)?;
    }
    Ok(Value::tensor(y))
}

fn setup_layer(i: &mut Interpreter, object: &Rc<Object>, b: &Bound) -> Result<()> {
    let shape = match b.get("normalized_shape") {
        Value::Int(_) => vec![b.count("normalized_shape")?],
        value => {
            let items = i.items(&value)?;
            let sizes: Option<Vec<usize>> = items
                .iter()
                .map(|v| v.as_int().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0))
                .collect();
            sizes.ok_or_else(|| b.wrong("normalized_shape", "positive integers"))?
        }
    };
    let with_bias = b.given("bias").is_some() && b.bool("bias")?;
    affine(i, object, &shape, b.bool("elementwise_affine")?, with_bias)
}

/// The last dimensions of `x`, which have to be as the layer says.
fn last_axes(i: &mut Interpreter, b: &Bound, x: ValueId) -> Result<Vec<usize>> {
    let wanted: Vec<Dim> = match b.get("normalized_shape") {
        Value::Int(n) => vec![Dim::from(n)],
        value => i.items(&value)?.iter().filter_map(Value::as_dim).collect(),
    };
    let shape = i.shape(x);
    if wanted.len() > shape.len() || shape[shape.len() - wanted.len()..] != wanted[..] {
        return Err(Fault::value(format!(
            "{} normalizes the last dimensions {}, but `{}` delivers {}",
            b.callee,
            ShapeDisplay(&wanted),
            i.maker(x),
            ShapeDisplay(&shape)
        ))
        .help("`nn.GroupNorm(1, channels)` normalizes images of any size"));
    }
    Ok((shape.len() - wanted.len()..shape.len()).collect())
}

fn layer_norm(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let axes = last_axes(i, b, x)?;
    let (weight, bias) = (i.optional_tensor(b, "weight")?, i.optional_tensor(b, "bias")?);
    let eps = b.float("eps")?;
    let mut f = i.formula();
    let mut y = normalize(&mut f, x, &axes, eps)?;
    if let Some(weight) = weight {
        y = f.mul(y, weight)?;
    }
    if let Some(bias) = bias {
        y = f.add(y, bias)?;
    }
    Ok(Value::tensor(y))
}

/// `x / sqrt(mean(x^2) + eps) * weight`
fn rms_norm(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let axes = last_axes(i, b, x)?;
    let weight = i.optional_tensor(b, "weight")?;
    let eps = if b.is_none("eps") { f64::from(f32::EPSILON) } else { b.float("eps")? };
    let mut f = i.formula();
    let mut y = rms_normalized(&mut f, x, &axes, eps)?;
    if let Some(weight) = weight {
        y = f.mul(y, weight)?;
    }
    Ok(Value::tensor(y))
}

fn group(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let (weight, bias) = (i.optional_tensor(b, "weight")?, i.optional_tensor(b, "bias")?);
    let shape = i.shape(x);
    let channels = weight.and_then(|id| i.shape(id).first().and_then(Dim::as_usize));
    if let Some(channels) = channels
        && shape.get(1).is_none_or(|found| *found != Dim::from(channels))
    {
        let found = shape.get(1).map_or_else(String::new, ToString::to_string);
        return Err(i.wrong_channels(
            b,
            channels,
            x,
            &format!("nn.GroupNorm({}, {found})", b.int("num_groups")?),
        ));
    }
    let (groups, eps) = (b.count("num_groups")?, b.float("eps")?);
    let y = group_norm(&mut i.formula(), x, groups, eps)?;
    scaled(i, y, weight, bias, shape.len().saturating_sub(2))
}

fn setup_instance(i: &mut Interpreter, object: &Rc<Object>, b: &Bound) -> Result<()> {
    if b.bool("track_running_stats")? {
        return Err(Fault::unsupported(format!("{}: `track_running_stats=True` is not supported", b.callee)));
    }
    affine(i, object, &[b.count("num_features")?], b.bool("affine")?, true)
}

fn instance_norm(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = i.shape(x);
    if shape.len() < 3 {
        return Err(Fault::value(format!(
            "{} takes [N, C, ...], but gets {}",
            b.callee,
            ShapeDisplay(&shape)
        )));
    }
    let (weight, bias) = (i.optional_tensor(b, "weight")?, i.optional_tensor(b, "bias")?);
    if !b.is_none("running_mean") || !b.is_none("running_var") {
        return Err(Fault::unsupported(format!("{}: running statistics are not supported", b.callee))
            .help("without them, and with `use_input_stats=True`, each sample has its own"));
    }
    if matches!(b.given("use_input_stats"), Some(Value::Bool(false))) {
        return Err(Fault::value(format!(
            "{} needs `running_mean` and `running_var` with `use_input_stats=False`",
            b.callee
        )));
    }
    let axes: Vec<usize> = (2..shape.len()).collect();
    let eps = b.float("eps")?;
    let y = normalize(&mut i.formula(), x, &axes, eps)?;
    scaled(i, y, weight, bias, shape.len() - 2)
}

fn local_response(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let (size, alpha, beta, k) = (b.count("size")?, b.float("alpha")?, b.float("beta")?, b.float("k")?);
    let around = [size / 2, (size - 1) / 2];
    Ok(Value::tensor(local_response_norm(&mut i.formula(), x, around, alpha, beta, k)?))
}
