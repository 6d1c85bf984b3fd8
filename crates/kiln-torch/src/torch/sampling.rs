//! Images read at computed places, and windows over them as columns.

use kiln_graph::functions::patches::{self, Windows};
use kiln_graph::functions::sampling::{self, Between, Corners, Outside, Sampling};
use kiln_graph::{Dim, ShapeDisplay};

use super::window::both;
use super::{Function, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    F "grid_sample" ("input, grid, mode='bilinear', padding_mode='zeros', align_corners=None") => grid_sample,
    F "affine_grid" ("theta, size, align_corners=None") => affine_grid,
    F "fold" ("input, output_size, kernel_size, dilation=1, padding=0, stride=1") => fold,
    F "unfold" ("input, kernel_size, dilation=1, padding=0, stride=1") => unfold,
};

pub(super) static LAYERS: &[Layer] = layers! {
    "Fold" ("output_size, kernel_size, dilation=1, padding=0, stride=1") => |_, _, _| Ok(()), fold;
    "Unfold" ("kernel_size, dilation=1, padding=0, stride=1") => |_, _, _| Ok(()), unfold;
};

fn corners(b: &Bound) -> Corners {
    Corners { aligned: matches!(b.get("align_corners"), Value::Bool(true)) }
}

fn grid_sample(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (x, grid) = (i.tensor(b, "input")?, i.tensor(b, "grid")?);
    let corners = corners(b);
    let between = match &*b.string("mode")? {
        "bilinear" => Between::Linear,
        "nearest" => Between::Nearest,
        "bicubic" => Between::Cubic(-0.75),
        _ => return Err(b.wrong("mode", "'bilinear', 'nearest' or 'bicubic'")),
    };
    let outside = match &*b.string("padding_mode")? {
        "zeros" => Outside::Zeros,
        "border" => Outside::Border,
        "reflection" => Outside::Mirror { middle: corners.aligned },
        _ => return Err(b.wrong("padding_mode", "'zeros', 'border' or 'reflection'")),
    };
    let (image, places) = (i.shape(x), i.shape(grid));
    if !(4..=5).contains(&image.len()) || image.len() == 5 && matches!(between, Between::Cubic(_)) {
        let shape = ShapeDisplay(&image);
        return Err(Fault::value(format!("{}: `input` is {shape}, which this mode does not know", b.callee)));
    }
    if places.len() != image.len() || places.last() != Some(&Dim::from(image.len() - 2)) {
        return Err(Fault::value(format!(
            "{}: `grid` is {}, but should be [N, ..., {}] for `input` {}",
            b.callee,
            ShapeDisplay(&places),
            image.len() - 2,
            ShapeDisplay(&image)
        )));
    }
    let how = Sampling { between, outside };
    Ok(Value::tensor(sampling::grid_sample(&mut i.formula(), x, grid, how, corners)?))
}

fn affine_grid(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let theta = i.tensor(b, "theta")?;
    let size = i.items(&b.get("size"))?.iter().map(Value::as_dim).collect::<Option<Vec<Dim>>>();
    let Some([n, _, image @ ..]) = size.as_deref() else { return Err(b.wrong("size", "[N, C, ...]")) };
    let shape = i.shape(theta);
    let (rows, columns) = (image.len(), image.len() + 1);
    if shape[..] != [n.clone(), rows.into(), columns.into()] {
        return Err(Fault::value(format!(
            "{}: `theta` is {}, but should be [{n}, {rows}, {columns}]",
            b.callee,
            ShapeDisplay(&shape)
        )));
    }
    Ok(Value::tensor(sampling::affine_grid(&mut i.formula(), theta, image, corners(b))?))
}

fn windows(b: &Bound) -> Result<Windows> {
    Ok(Windows {
        kernel: b.counts("kernel_size", 2)?,
        strides: b.counts("stride", 2)?,
        pads: both(&b.sizes("padding", 2)?),
        dilations: b.counts("dilation", 2)?,
    })
}

fn fold(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let image: Vec<Dim> = b.counts("output_size", 2)?.into_iter().map(Dim::from).collect();
    Ok(Value::tensor(patches::fold(&mut i.formula(), x, &image, &windows(b)?)?))
}

fn unfold(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    i.image(b, x, 2)?;
    Ok(Value::tensor(patches::unfold(&mut i.formula(), x, &windows(b)?)?))
}
