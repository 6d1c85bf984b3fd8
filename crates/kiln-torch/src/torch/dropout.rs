//! Dropout.

use kiln_graph::functions::activation::{SELU_ALPHA, SELU_GAMMA};
use kiln_graph::ops::{BinaryOp, Dropout, Random};
use kiln_graph::{Dim, Op, ValueId};

use super::mode::{Training, random_in_evaluation};
use super::{Function, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    F "dropout" ("input, p=0.5, training=True, inplace=False") => |i, b| dropout(i, b, None),
    F "dropout1d" ("input, p=0.5, training=True, inplace=False") => |i, b| dropout(i, b, Some(1)),
    F "dropout2d" ("input, p=0.5, training=True, inplace=False") => |i, b| dropout(i, b, Some(2)),
    F "dropout3d" ("input, p=0.5, training=True, inplace=False") => |i, b| dropout(i, b, Some(3)),
    F "alpha_dropout" ("input, p=0.5, training=False, inplace=False") => |i, b| alpha(i, b, false),
    F "feature_alpha_dropout" ("input, p=0.5, training=False, inplace=False") => |i, b| alpha(i, b, true),
};

pub(super) static LAYERS: &[Layer] = layers! {
    "Dropout" ("p=0.5, inplace=False") => |_, _, b| ratio(b, "p").map(drop), |i, b| dropout(i, b, None);
    "Dropout1d" ("p=0.5, inplace=False") => |_, _, b| ratio(b, "p").map(drop), |i, b| dropout(i, b, Some(1));
    "Dropout2d" ("p=0.5, inplace=False") => |_, _, b| ratio(b, "p").map(drop), |i, b| dropout(i, b, Some(2));
    "Dropout3d" ("p=0.5, inplace=False") => |_, _, b| ratio(b, "p").map(drop), |i, b| dropout(i, b, Some(3));
    "AlphaDropout" ("p=0.5, inplace=False") => |_, _, b| ratio(b, "p").map(drop), |i, b| alpha(i, b, false);
    "FeatureAlphaDropout" ("p=0.5, inplace=False") => |_, _, b| ratio(b, "p").map(drop), |i, b| alpha(i, b, true);
};

/// Of whole channels for `spatial` dimensions, of single elements else. Whether it is training is decided when a
/// training step is made of the graph.
fn dropout(i: &mut Interpreter, b: &Bound, spatial: Option<usize>) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let p = ratio(b, "p")?;
    if let (Some(spatial), false) = (spatial, matches!(Training::of(i, b)?, Training::Never)) {
        i.image(b, x, spatial)?;
    }
    dropped(i, b, x, p, spatial.map(|_| 2)).map(Value::tensor)
}

/// `x` with a share `p` dropped where the argument `training` says so: of single elements, or of all elements that have the
/// `leading` dimensions in common.
pub(super) fn dropped(
    i: &mut Interpreter,
    b: &Bound,
    x: ValueId,
    p: f64,
    leading: Option<usize>,
) -> Result<ValueId> {
    match Training::of(i, b)? {
        Training::Step => {}
        Training::Never => return Ok(x),
        // `if self.training: x = F.dropout(x)`: in evaluation the program does not come here.
        Training::Always if i.training => {}
        Training::Always => return Err(random_in_evaluation(b, "drops", "Dropout")),
    }
    drop_of(i, x, p, leading)
}

/// `x` with a share `p` dropped wherever the program comes here, which has to be in training.
pub(super) fn dropped_now(i: &mut Interpreter, b: &Bound, x: ValueId, p: f64) -> Result<ValueId> {
    if i.training {
        return drop_of(i, x, p, None);
    }
    Err(Fault::unsupported(format!("{} drops in evaluation, too, with `dropout_p` above 0", b.callee))
        .help("`dropout_p=0.1 if self.training else 0.0` drops in training only"))
}

fn drop_of(i: &mut Interpreter, x: ValueId, p: f64, leading: Option<usize>) -> Result<ValueId> {
    #[allow(clippy::as_conversions, reason = "the core operator has it in 32 bits")]
    let op = Dropout { ratio: p as f32, leading };
    i.op(Op::Dropout(op), &[x])
}

/// How much is dropped.
pub(super) fn ratio(b: &Bound, name: &str) -> Result<f64> {
    let p = b.float(name)?;
    if (0.0..=1.0).contains(&p) {
        return Ok(p);
    }
    Err(b
        .wrong(name, "between 0 and 1")
        .help(format!("it is the share that is dropped: `{name}=0.5` drops about half of the elements")))
}

/// Alpha dropout (Klambauer et al. 2017): what is dropped, elements or whole channels, becomes the value at which `selu`
/// ends, and all is scaled and shifted such that mean and variance stay.
fn alpha(i: &mut Interpreter, b: &Bound, of_channels: bool) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let p = ratio(b, "p")?;
    if !Training::of(i, b)?.is_random(i, b, "AlphaDropout")? || p == 0.0 {
        return Ok(Value::tensor(x));
    }
    let mut shape = i.shape(x);
    if of_channels {
        shape.iter_mut().skip(2).for_each(|size| *size = Dim::from(1));
    }
    let drawn = i.op(Op::Random(Random { stream: 0, shape }), &[])?;
    let mut f = i.formula();
    if p == 1.0 {
        return Ok(Value::tensor(f.with(BinaryOp::Mul, x, 0.0)?));
    }
    let end = SELU_ALPHA * SELU_GAMMA;
    let scale = ((end * end * p + 1.0) * (1.0 - p)).sqrt().recip();
    let kept = f.with(BinaryOp::GreaterOrEqual, drawn, p)?;
    let dropped = f.number_like(-end, x);
    let y = f.select(kept, x, dropped)?;
    let y = f.with(BinaryOp::Mul, y, scale)?;
    Ok(Value::tensor(f.with(BinaryOp::Add, y, end * scale * p)?))
}

#[cfg(test)]
mod tests {
    use crate::{ImportOptions, import_text};

    const SOURCE: &str = "
import torch.nn as nn
import torch.nn.functional as F

class Net(nn.Module):
    def forward(self, x):
        if self.training:
            x = F.dropout(x, 0.2)
        return x * 2
";

    #[test]
    fn dropout_behind_a_question_for_training_is_in_training_only() {
        let nodes = |training| {
            let options = ImportOptions { inputs: vec!["8".into()], training, ..ImportOptions::default() };
            let model = import_text(SOURCE, "net.py".as_ref(), &options).expect("a model");
            model.graph.nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(nodes(false), "mul");
        assert_eq!(nodes(true), "dropout mul");
    }
}
