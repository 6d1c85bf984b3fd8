//! Which states of a model only normalize its input, so that they are no parameters: the mean and the deviation that a
//! model registers as buffers. An ONNX file does not tell them from weights; how they are used does.

use std::collections::{BTreeSet, HashSet};

use kiln_graph::ops::BinaryOp;
use kiln_graph::{DType, Def, Graph, Node, Op, ValueId};

use super::mode::statistics;

/// What a value is made of, by the places of states among a graph's.
#[derive(Clone, Debug, PartialEq)]
enum Made {
    /// Constants and states, and not of an input.
    Own(BTreeSet<usize>),
    /// An input, and what was added to it or multiplied with it.
    Raw(BTreeSet<usize>),
    /// What a layer or a function has made.
    Learned,
}

/// States that one value is made of.
const MOST_STATES: usize = 64;

/// The names of the states that are only added to an input, taken off it, multiplied with it or divided by, in front of
/// the first layers. Whatever lies between may move and convert elements, and nothing else. What varies from place to
/// place and is added or multiplied, as the code of a position, is a parameter, and so are all where otherwise no
/// parameter would be left.
pub fn normalizing(model: &Graph) -> Vec<String> {
    let mut made: Vec<Made> = vec![Made::Learned; model.values().len()];
    let states = model.states();
    for (index, value) in model.values().iter().enumerate() {
        made[index] = match value.def {
            Def::Input => Made::Raw(BTreeSet::new()),
            Def::Constant(_) => Made::Own(BTreeSet::new()),
            Def::State(_) | Def::Node { .. } => continue,
        };
    }
    for (place, state) in states.iter().enumerate() {
        made[state.index()] = Made::Own(BTreeSet::from([place]));
    }
    let (mut beside, mut others) = (BTreeSet::new(), BTreeSet::new());
    for node in model.nodes() {
        let mut result = step(model, node, &made, &mut beside, &mut others);
        // A mean and a deviation are few. Of more it need not be known where they go, node by node.
        if let Made::Own(own) | Made::Raw(own) = &result
            && own.len() > MOST_STATES
        {
            others.extend(own);
            result = Made::Learned;
        }
        node.outputs.iter().for_each(|output| made[output.index()] = result.clone());
    }
    for output in model.outputs() {
        if let Made::Own(own) | Made::Raw(own) = &made[output.value.index()] {
            others.extend(own);
        }
    }
    let is_float = |place: &usize| model.ty(states[*place]).dtype == DType::F32;
    let found: BTreeSet<usize> = beside.difference(&others).copied().filter(is_float).collect();
    let statistics: HashSet<String> = statistics(model).into_iter().collect();
    let is_parameter =
        |place: &usize| is_float(place) && !statistics.contains(&model.value(states[*place]).name);
    if (0..states.len()).filter(is_parameter).all(|place| found.contains(&place)) {
        return vec![];
    }
    found.into_iter().map(|place| model.value(states[place]).name.clone()).collect()
}

/// What a node makes. States that are used beside an input go to `beside`, those that are used in any other way to
/// `others`.
fn step(
    model: &Graph,
    node: &Node,
    made: &[Made],
    beside: &mut BTreeSet<usize>,
    others: &mut BTreeSet<usize>,
) -> Made {
    let of = |id: &ValueId| &made[id.index()];
    let union = || {
        let all = node.inputs.iter().map(of).flat_map(|made| match made {
            Made::Own(states) | Made::Raw(states) => states.iter().copied().collect::<Vec<usize>>(),
            Made::Learned => vec![],
        });
        all.collect::<BTreeSet<usize>>()
    };
    if node.inputs.iter().all(|id| matches!(of(id), Made::Own(_))) {
        return Made::Own(union());
    }
    let is_learned = node.inputs.iter().any(|id| *of(id) == Made::Learned);
    let moves = matches!(
        node.op,
        Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Cast(_) | Op::Concat(_) | Op::Expand(_)
    );
    if let Some((op, id, own)) = beside_input(node, made) {
        let varies = model.ty(id).shape.iter().filter(|dim| !dim.is(1)).count() > 1;
        let shifts = matches!(op, BinaryOp::Sub | BinaryOp::Div);
        let scales = matches!(op, BinaryOp::Add | BinaryOp::Mul) && !varies;
        if shifts || scales {
            beside.extend(own);
            return Made::Raw(union());
        }
        // A constant may also limit an input.
        if own.is_empty() && matches!(op, BinaryOp::Add | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max) {
            return Made::Raw(union());
        }
    }
    if moves && !is_learned {
        return Made::Raw(union());
    }
    // The end of what is done to an input: a layer takes it as it has become, a function is part of the model.
    let is_layer = moves
        || matches!(
            node.op,
            Op::Conv(_) | Op::Pool(_) | Op::MatMul(_) | Op::BatchNorm(_) | Op::Pad(_) | Op::Resize(_)
        );
    for id in &node.inputs {
        match of(id) {
            Made::Own(states) => others.extend(states),
            Made::Raw(states) if !is_layer => others.extend(states),
            Made::Raw(_) | Made::Learned => {}
        }
    }
    Made::Learned
}

/// What an elementwise node does to an input with what is none: the function, the other operand, the states in it.
fn beside_input<'a>(node: &Node, made: &'a [Made]) -> Option<(BinaryOp, ValueId, &'a BTreeSet<usize>)> {
    let (Op::Binary(op), [a, b]) = (&node.op, &node.inputs[..]) else { return None };
    match (&made[a.index()], &made[b.index()]) {
        (Made::Own(own), Made::Raw(_)) => Some((*op, *a, own)),
        (Made::Raw(_), Made::Own(own)) => Some((*op, *b, own)),
        (Made::Own(_) | Made::Raw(_) | Made::Learned, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::train::normalizing::normalizing;

    /// The states that normalize, of a graph whose weight is `w`.
    fn found(states: &str, body: &str) -> String {
        let text = format!("graph net\ninput %x : f32[N, 2, 3, 3]\n{states}\n{body}\n");
        let graph = kiln_graph::text::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        normalizing(&graph).join(" ")
    }

    const CHANNELS: &str = "state @mean : f32[2, 1, 1] = [1.0, 2.0]\nstate @std : f32[2, 1, 1] = [1.0, 2.0]\n\
        state @w : f32[1, 2, 1, 1] = [1.0, 2.0]";

    #[test]
    fn what_only_normalizes_is_told_from_weights() {
        for (body, names) in [
            // As torchvision's `Normalize` in a model.
            ("%a = sub(%x, @mean)\n%b = div(%a, @std)\n%y = conv(%b, @w)\noutput y = %y", "mean std"),
            ("%a = mul(%x, @std)\n%b = add(%a, @mean)\n%y = conv(%b, @w)\noutput y = %y", "mean std"),
            (
                "%s = sqrt(@std)\n%a = sub(%x, @mean)\n%b = div(%a, %s)\n%y = conv(%b, @w)\noutput y = %y",
                "mean std",
            ),
            // One is used behind a layer, too.
            (
                "%a = sub(%x, @mean)\n%b = div(%a, @std)\n%c = conv(%b, @w)\n%y = mul(%c, @std)\noutput y = %y",
                "mean",
            ),
            // Behind a layer nothing normalizes an input.
            ("%c = conv(%x, @w)\n%a = sub(%c, @mean)\n%y = div(%a, @std)\noutput y = %y", ""),
            // A function of the model is no layer in front of which one normalizes.
            ("%a = sub(%x, @mean)\n%b = div(%a, @std)\n%t = tanh(%b)\n%y = conv(%t, @w)\noutput y = %y", ""),
            // A line, as the first models of textbooks are: all of it is learned.
            (
                "%a = mul(%x, @std)\n%b = add(%a, @mean)\n%c = conv(%x, @w)\n%y = add(%b, %c)\noutput y = %y",
                "",
            ),
        ] {
            assert_eq!(found(CHANNELS, body), names, "{body}");
        }
        let place = "state @place : f32[2, 3, 3] = ...\nstate @w : f32[1, 2, 1, 1] = [1.0, 2.0]"
            .replace("...", &format!("{:?}", [1.0; 18]));
        for (body, names) in [
            ("%a = add(%x, @place)\n%y = conv(%a, @w)\noutput y = %y", ""),
            ("%a = sub(%x, @place)\n%y = conv(%a, @w)\noutput y = %y", "place"),
        ] {
            assert_eq!(found(&place, body), names, "{body}");
        }
    }
}
