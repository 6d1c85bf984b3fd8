//! Interpolation.

use kiln_graph::ops::{CoordinateMode, NearestMode, Resize, ResizeMode, ResizedAxis};
use kiln_graph::{Data, Dim, Node, Tensor};

use super::node::{Result, refuse, wide};
use super::writer::{Writer, int, ints, string};

pub(super) fn write(
    w: &mut Writer<'_>,
    node: &Node,
    op: &Resize,
    inputs: &[&str],
    outputs: &[&str],
) -> Result {
    let from = w.graph.ty(node.inputs[0]).shape.clone();
    match (op.coordinates, op.mode) {
        (CoordinateMode::PytorchNearest | CoordinateMode::PytorchNearestExact, ResizeMode::Nearest(_)) => {}
        (CoordinateMode::PytorchNearest | CoordinateMode::PytorchNearestExact, ResizeMode::Linear) => {
            return refuse(node, "it interpolates at PyTorch's places of nearest elements");
        }
        _ => return resize(w, node, op, &from, inputs, outputs),
    }
    let onnx = in_onnx(op);
    match elements(op, &from) {
        // Resizing to a symbolic size is reported below.
        None => resize(w, node, &onnx, &from, inputs, outputs),
        Some(wanted) if elements(&onnx, &from).is_some_and(|found| found == wanted) => {
            resize(w, node, &onnx, &from, inputs, outputs)
        }
        Some(wanted) => gather(w, node, &wanted, inputs, outputs),
    }
}

/// PyTorch's nearest elements as ONNX has them: for nearly all sizes they are the same ones.
fn in_onnx(op: &Resize) -> Resize {
    let (coordinates, mode) = if op.coordinates == CoordinateMode::PytorchNearest {
        (CoordinateMode::Asymmetric, NearestMode::Floor)
    } else {
        (CoordinateMode::HalfPixel, NearestMode::RoundPreferCeil)
    };
    #[allow(clippy::as_conversions, reason = "as the file has them")]
    let scales = op.scales.as_ref().map(|scales| scales.iter().map(|s| f64::from(*s as f32)).collect());
    Resize { shape: op.shape.clone(), scales, mode: ResizeMode::Nearest(mode), coordinates }
}

/// The nearest elements of each axis that is resized; `None` where a size is a symbol.
fn elements(op: &Resize, from: &[Dim]) -> Option<Vec<(usize, Vec<usize>)>> {
    let ResizeMode::Nearest(mode) = op.mode else { return None };
    // Engines that read ONNX copy what keeps its shape, whatever the scale.
    let copied = op.coordinates != CoordinateMode::PytorchNearest
        && op.coordinates != CoordinateMode::PytorchNearestExact
        && from == op.shape;
    let resized = |(axis, (from, to)): (usize, (&Dim, &Dim))| {
        let scale = op.scales.as_ref().map(|scales| scales[axis]);
        if from == to && (copied || scale.is_none_or(|scale| scale == 1.0)) {
            return from.as_usize().map_or(Some((axis, vec![])), |n| Some((axis, (0..n).collect())));
        }
        let sizes = ResizedAxis { from: from.as_usize()?, to: to.as_usize()?, scale };
        Some((axis, sizes.nearest(op.coordinates, mode)))
    };
    from.iter().zip(&op.shape).enumerate().map(resized).collect()
}

/// Each axis by its indices.
fn gather(
    w: &mut Writer<'_>,
    node: &Node,
    elements: &[(usize, Vec<usize>)],
    inputs: &[&str],
    outputs: &[&str],
) -> Result {
    let name = node.name.as_str();
    let mut from = inputs[0].to_owned();
    for (axis, indices) in
        elements.iter().filter(|(_, indices)| !indices.iter().copied().eq(0..indices.len()))
    {
        let indices = w.ints(&format!("{name}.nearest"), indices.iter().map(|at| wide(*at)));
        from = w.inner(name, "Gather", &[&from, &indices], vec![int("axis", wide(*axis))]);
    }
    w.node(name, "Identity", &[&from], outputs, vec![]);
    Ok(())
}

fn resize(
    w: &mut Writer<'_>,
    node: &Node,
    op: &Resize,
    from: &[Dim],
    inputs: &[&str],
    outputs: &[&str],
) -> Result {
    let name = node.name.as_str();
    let (mode, nearest) = match op.mode {
        ResizeMode::Linear => ("linear", None),
        ResizeMode::Nearest(NearestMode::RoundPreferFloor) => ("nearest", Some("round_prefer_floor")),
        ResizeMode::Nearest(NearestMode::RoundPreferCeil) => ("nearest", Some("round_prefer_ceil")),
        ResizeMode::Nearest(NearestMode::Floor) => ("nearest", Some("floor")),
        ResizeMode::Nearest(NearestMode::Ceil) => ("nearest", Some("ceil")),
    };
    let coordinates = match op.coordinates {
        CoordinateMode::HalfPixel => "half_pixel",
        CoordinateMode::PytorchHalfPixel => "pytorch_half_pixel",
        CoordinateMode::AlignCorners => "align_corners",
        CoordinateMode::Asymmetric | CoordinateMode::PytorchNearest | CoordinateMode::PytorchNearestExact => {
            "asymmetric"
        }
    };
    let mut attributes = vec![string("mode", mode), string("coordinate_transformation_mode", coordinates)];
    attributes.extend(nearest.map(|nearest| string("nearest_mode", nearest)));
    if let Some(scales) = &op.scales {
        #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
        let numbers: Vec<f32> = scales.iter().map(|scale| *scale as f32).collect();
        let tensor =
            Tensor::new([numbers.len()], Data::F32(numbers)).or_else(|e| refuse(node, e.to_string()))?;
        let scales = w.constant(&format!("{name}.scales"), &tensor);
        w.node(name, "Resize", &[inputs[0], "", &scales], outputs, attributes);
        return Ok(());
    }
    // Dimensions that keep their size need not be known.
    let changed: Vec<usize> = (0..from.len()).filter(|axis| from[*axis] != op.shape[*axis]).collect();
    let sizes = changed.iter().map(|axis| op.shape[*axis].as_const());
    let Some(sizes) = sizes.collect::<Option<Vec<i64>>>() else {
        return refuse(node, "it is resized to a symbolic size");
    };
    if changed.is_empty() {
        w.node(name, "Identity", &inputs[..1], outputs, vec![]);
        return Ok(());
    }
    attributes.push(ints("axes", changed.iter().map(|axis| wide(*axis))));
    let sizes = w.ints(&format!("{name}.sizes"), sizes);
    w.node(name, "Resize", &[inputs[0], "", "", &sizes], outputs, attributes);
    Ok(())
}
