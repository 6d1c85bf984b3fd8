//! Non-maximum suppression. ONNX sorts by scores and lists what it keeps; here boxes are sorted, and each is kept or not.

use kiln_graph::ops::Suppress;
use kiln_graph::{DType, Dim, Node, Tensor, product};

use super::counting::range;
use super::node::{Result, refuse, sizes};
use super::writer::{Writer, int};
use crate::tensor::data_type_of;

/// Scores fall with the place, so that the order stays; what is not alive has none that passes the threshold.
pub(super) fn suppress(
    w: &mut Writer<'_>,
    node: &Node,
    op: &Suppress,
    inputs: &[&str],
    outputs: &[&str],
) -> Result<()> {
    let name = node.name.as_str();
    let shape = w.graph.ty(node.inputs[1]).shape.clone();
    let Some((n, lines)) = shape.split_last() else { return refuse(node, "there are no boxes") };
    let lines = product(lines);
    let boxes = match w.graph.ty(node.inputs[0]).dtype {
        DType::F32 => inputs[0].to_owned(),
        DType::F16 => w.inner(name, "Cast", &[inputs[0]], vec![to(DType::F32)]),
        _ => return refuse(node, "its boxes have to be f32"),
    };
    let of_boxes = sizes(w, node, &[lines.clone(), n.clone(), 4.into()])?;
    let boxes = w.inner(name, "Reshape", &[&boxes, &of_boxes], vec![]);
    let of_scores = sizes(w, node, &[lines.clone(), Dim::from(1), n.clone()])?;
    let alive = w.inner(name, "Reshape", &[inputs[1], &of_scores], vec![]);

    let count = sizes(w, node, std::slice::from_ref(n))?;
    let first = w.ints(&format!("{name}.axes"), [0]);
    let limit = w.inner(name, "Squeeze", &[&count, &first], vec![]);
    let places = range(w, node, &limit);
    let places = w.inner(name, "Cast", &[&places], vec![to(DType::F32)]);
    let falling = w.inner(name, "Neg", &[&places], vec![]);
    let float = |w: &mut Writer<'_>, what: &str, value: f32| {
        w.constant(&format!("{name}.{what}"), &Tensor::scalar(value))
    };
    let none = float(w, "none", f32::NEG_INFINITY);
    let scores = w.inner(name, "Where", &[&alive, &falling, &none], vec![]);

    let most = w.ints(&format!("{name}.most"), [op.most.map_or(i64::MAX, i64::from)]);
    let iou = float(w, "iou_threshold", op.iou_threshold);
    let threshold = float(w, "score_threshold", f32::MIN);
    let center = vec![int("center_point_box", i64::from(op.center))];
    let kept = w.inner(name, "NonMaxSuppression", &[&boxes, &scores, &most, &iou, &threshold], center);

    let columns = w.ints(&format!("{name}.columns"), [0, 2]);
    let kept = w.inner(name, "Gather", &[&kept, &columns], vec![int("axis", 1)]);
    let [zero, one] =
        [0, 1].map(|value| w.constant(&format!("{name}.{value}"), &Tensor::number(value.into(), DType::I32)));
    let of_flags = sizes(w, node, &[lines, n.clone()])?;
    let zeros = w.inner(name, "Expand", &[&zero, &of_flags], vec![]);
    let found = w.inner(name, "Shape", &[&kept], vec![int("start", 0), int("end", 1)]);
    let ones = w.inner(name, "Expand", &[&one, &found], vec![]);
    let flags = w.inner(name, "ScatterND", &[&zeros, &kept, &ones], vec![]);
    let flags = w.inner(name, "Cast", &[&flags], vec![to(DType::Bool)]);
    let of_result = sizes(w, node, &shape)?;
    w.node(name, "Reshape", &[&flags, &of_result], outputs, vec![int("allowzero", 1)]);
    Ok(())
}

fn to(dtype: DType) -> crate::proto::AttributeProto {
    int("to", data_type_of(dtype).into())
}
