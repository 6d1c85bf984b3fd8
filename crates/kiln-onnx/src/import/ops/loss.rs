//! Losses against class numbers.

use kiln_graph::functions::loss::{self, Reduction};
use kiln_graph::ops::Softmax;
use kiln_graph::{Op, ValueId};

use super::super::cx::{Cx, Outputs, Result, invalid};

pub(crate) fn negative_log_likelihood(cx: &mut Cx<'_>) -> Outputs {
    let log = cx.input(0)?;
    Ok(vec![of_classes(cx, log)?])
}

/// The loss of scores, and the logarithms of probabilities that they are.
pub(crate) fn softmax_cross_entropy(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    if cx.rank(x) < 2 {
        return invalid(format!("its input is {}, but should be [N, C, ...]", cx.ty(x)));
    }
    let log = cx.op(Op::Softmax(Softmax { axis: 1, log: true }), &[x])?;
    Ok(vec![of_classes(cx, log)?, log])
}

fn of_classes(cx: &mut Cx<'_>, log: ValueId) -> Result<ValueId> {
    let (target, weights) = (cx.input(1)?, cx.optional(2));
    let ignored = cx.attributes.int("ignore_index")?;
    let reduction = match cx.attributes.string_or("reduction", "mean")? {
        "none" => Reduction::None,
        "sum" => Reduction::Sum,
        "mean" => Reduction::Mean,
        other => {
            return invalid(format!(
                "`reduction` is \"{other}\", but should be \"none\", \"sum\" or \"mean\""
            ));
        }
    };
    Ok(loss::nll(&mut cx.formula(), log, target, weights, ignored, reduction)?)
}
