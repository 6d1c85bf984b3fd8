//! Dropout.

use kiln_graph::Op;
use kiln_graph::ops::Dropout;

use super::{Function, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    F "dropout" ("input, p=0.5, training=True, inplace=False") => |i, b| dropout(i, b, None),
    F "dropout1d" ("input, p=0.5, training=True, inplace=False") => |i, b| dropout(i, b, Some(1)),
    F "dropout2d" ("input, p=0.5, training=True, inplace=False") => |i, b| dropout(i, b, Some(2)),
    F "dropout3d" ("input, p=0.5, training=True, inplace=False") => |i, b| dropout(i, b, Some(3)),
    F "alpha_dropout" ("input, p=0.5, training=False, inplace=False") => alpha,
    F "feature_alpha_dropout" ("input, p=0.5, training=False, inplace=False") => alpha,
};

pub(super) static LAYERS: &[Layer] = layers! {
    "Dropout" ("p=0.5, inplace=False") => |_, _, b| ratio(b).map(drop), |i, b| dropout(i, b, None);
    "Dropout1d" ("p=0.5, inplace=False") => |_, _, b| ratio(b).map(drop), |i, b| dropout(i, b, Some(1));
    "Dropout2d" ("p=0.5, inplace=False") => |_, _, b| ratio(b).map(drop), |i, b| dropout(i, b, Some(2));
    "Dropout3d" ("p=0.5, inplace=False") => |_, _, b| ratio(b).map(drop), |i, b| dropout(i, b, Some(3));
    "AlphaDropout" ("p=0.5, inplace=False") => |_, _, b| ratio(b).map(drop), alpha;
    "FeatureAlphaDropout" ("p=0.5, inplace=False") => |_, _, b| ratio(b).map(drop), alpha;
};

/// Of whole channels for `spatial` dimensions, of single elements else. Whether it is training is decided when a
/// training step is made of the graph.
fn dropout(i: &mut Interpreter, b: &Bound, spatial: Option<usize>) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let p = ratio(b)?;
    match b.get("training") {
        Value::Training => {}
        Value::Bool(false) => return Ok(Value::tensor(x)),
        // `if self.training: x = F.dropout(x)`: in evaluation the program does not come here.
        Value::Bool(true) if i.training => {}
        // `F.dropout(x)` drops in evaluation, too: the book warns of it.
        _ => {
            return Err(Fault::unsupported(format!(
                "{} drops in evaluation, too, unless it is told when it is training",
                b.callee
            ))
            .help("`F.dropout(x, training=self.training)` or `nn.Dropout()` drops in training only"));
        }
    }
    if let Some(spatial) = spatial {
        i.image(b, x, spatial)?;
    }
    #[allow(clippy::as_conversions, reason = "the core operator has it in 32 bits")]
    let op = Dropout { ratio: p as f32, leading: spatial.map(|_| 2) };
    Ok(Value::tensor(i.op(Op::Dropout(op), &[x])?))
}

/// How much is dropped.
fn ratio(b: &Bound) -> Result<f64> {
    let p = b.float("p")?;
    if (0.0..=1.0).contains(&p) {
        return Ok(p);
    }
    Err(b
        .wrong("p", "between 0 and 1")
        .help("it is the share that is dropped: `p=0.5` drops about half of the elements"))
}

fn alpha(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    if i.training {
        return Err(Fault::unsupported(format!("{}: alpha dropout is not supported in training", b.callee))
            .help("`nn.Dropout` is"));
    }
    Ok(Value::tensor(x))
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
