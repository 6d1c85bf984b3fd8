//! Shared by convolutions and pooling: windows over images, and messages about channels.

use kiln_graph::{Def, Dim, ShapeDisplay, ValueId};

use crate::python::{Bound, Fault, Interpreter, Result, Value};

/// Runs a function of images, `[N, C, spatial...]`, that PyTorch also has for one image without a batch, `[C,
/// spatial...]`. What the model is given has a batch, so it is not taken for one image; nor is what has other channels
/// than the function takes.
pub(crate) fn with_batch(
    i: &mut Interpreter,
    b: &Bound,
    spatial: usize,
    channels: Option<usize>,
    run: impl FnOnce(&mut Interpreter, &Bound) -> Result<Value>,
) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = i.shape(x);
    let fits = |channels: usize| shape.first().is_some_and(|size| size.as_usize() == Some(channels));
    let is_given =
        matches!(i.graph.value(x).def, Def::Input) && shape.first().is_some_and(|n| n.as_const().is_none());
    if shape.len() != spatial + 1 || is_given || !channels.is_none_or(fits) {
        return run(i, b);
    }
    let mut batched = b.clone();
    for (name, value) in &mut batched.values {
        if matches!(&**name, "input" | "indices")
            && let Some(id) = i.optional_tensor_of(value)?
        {
            let mut shape = i.shape(id);
            shape.insert(0, 1.into());
            *value = super::shape::reshaped(i, id, shape)?;
        }
    }
    let result = run(i, &batched)?;
    let mut one = |value: &Value| -> Result<Value> {
        match i.optional_tensor_of(value)? {
            Some(id) => {
                let shape = i.shape(id)[1..].to_vec();
                super::shape::reshaped(i, id, shape)
            }
            None => Ok(value.clone()),
        }
    };
    match &result {
        Value::Tuple(parts) => Ok(Value::tuple(parts.iter().map(one).collect::<Result<Vec<_>>>()?)),
        single => one(single),
    }
}

impl Interpreter {
    /// Checks that `x` is `[N, C, spatial...]`.
    pub(crate) fn image(&self, b: &Bound, x: ValueId, spatial: usize) -> Result<Vec<Dim>> {
        let shape = self.shape(x);
        if shape.len() == spatial + 2 {
            return Ok(shape);
        }
        let wanted = match spatial {
            1 => "[N, C, length]",
            2 => "[N, C, height, width]",
            _ => "[N, C, depth, height, width]",
        };
        let fault = Fault::value(format!(
            "{} takes {wanted}, but `{}` delivers {} dimensions ({})",
            b.callee,
            self.maker(x),
            shape.len(),
            ShapeDisplay(&shape)
        ));
        if self.graph.producer(x).is_none()
            && let Some(help) = super::advice::input_for_images(b, &shape, spatial)
        {
            return Err(fault.help(help));
        }
        Err(if shape.len() == spatial + 1 && spatial > 0 {
            fault.help(
                "a batch comes first: the input has a dimension less; `x.unsqueeze(1)` would add one channel",
            )
        } else if shape.len() == 2 {
            fault.help("it was flattened before; convolutions and pooling come before the flattening")
        } else {
            fault
        })
    }

    /// An error about a layer that expects another number of channels.
    pub(crate) fn wrong_channels(&self, b: &Bound, expected: usize, x: ValueId, constructor: &str) -> Fault {
        let shape = self.shape(x);
        let found = shape.get(1).map_or_else(|| "no".into(), ToString::to_string);
        Fault::value(format!(
            "{} expects {expected} channels, but `{}` delivers {found} ({})",
            b.callee,
            self.maker(x),
            ShapeDisplay(&shape)
        ))
        .help(format!("`{constructor}` would fit"))
    }
}

/// Padding for `'same'`: as much as a window of `kernel` with `dilation` needs, the odd one behind.
pub(crate) fn same(kernel: &[usize], dilations: &[usize]) -> Vec<[i64; 2]> {
    let total = |(kernel, dilation): (&usize, &usize)| {
        let total = i64::try_from(dilation.saturating_mul(kernel.saturating_sub(1))).unwrap_or(i64::MAX);
        [total / 2, total - total / 2]
    };
    kernel.iter().zip(dilations).map(total).collect()
}

/// The same padding before and after.
pub(crate) fn both(padding: &[i64]) -> Vec<[i64; 2]> {
    padding.iter().map(|p| [*p, *p]).collect()
}
