//! Loss modules. A training step has the loss behind the model (`kiln train --loss`), so that these only need to exist:
//! files that define models name them, too.

use super::{Function, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    F "cross_entropy" ("input, target, *args, **kwargs") => outside,
    F "nll_loss" ("input, target, *args, **kwargs") => outside,
    F "mse_loss" ("input, target, *args, **kwargs") => outside,
    F "l1_loss" ("input, target, *args, **kwargs") => outside,
    F "smooth_l1_loss" ("input, target, *args, **kwargs") => outside,
    F "binary_cross_entropy" ("input, target, *args, **kwargs") => outside,
    F "binary_cross_entropy_with_logits" ("input, target, *args, **kwargs") => outside,
};

pub(super) static LAYERS: &[Layer] = layers! {
    "CrossEntropyLoss" ("weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean', label_smoothing=0.0") => |_, _, _| Ok(()), outside;
    "NLLLoss" ("weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean'") => |_, _, _| Ok(()), outside;
    "MSELoss" ("size_average=None, reduce=None, reduction='mean'") => |_, _, _| Ok(()), outside;
    "L1Loss" ("size_average=None, reduce=None, reduction='mean'") => |_, _, _| Ok(()), outside;
    "SmoothL1Loss" ("size_average=None, reduce=None, reduction='mean', beta=1.0") => |_, _, _| Ok(()), outside;
    "BCELoss" ("weight=None, size_average=None, reduce=None, reduction='mean'") => |_, _, _| Ok(()), outside;
    "BCEWithLogitsLoss" ("weight=None, size_average=None, reduce=None, reduction='mean', pos_weight=None") => |_, _, _| Ok(()), outside;
};

/// Whether a layer is a loss, which is called with a target, too.
pub(super) fn is_loss(layer: &Layer) -> bool {
    LAYERS.iter().any(|loss| loss.name == layer.name)
}

fn outside(_: &mut Interpreter, b: &Bound) -> Result<Value> {
    Err(Fault::unsupported(format!("{} is a loss, which a model does not compute itself", b.callee))
        .help("the model gives its scores; `kiln train --loss cross-entropy` compares them with the classes"))
}
