//! What the kernels of convolutions share: sizes of the window as parameters, and the partial im2col.

use kiln_graph::ops::Conv;
use kiln_graph::{Dim, Node, Op, ValueId, product};

use super::builder::KernelBuilder;
use super::problem::ConvProblem;
use crate::error::CompileError;
use crate::layout::vectors;
use crate::memory::buffer::RowView;
use crate::wgsl::params::Params;

/// Names of the spatial dimensions in kernels, which always have three; missing ones come first and are 1.
pub(crate) const AXES: [&str; 3] = ["d", "h", "w"];

/// Fills up to three spatial dimensions from the front.
pub(crate) fn three<T: Clone>(values: &[T], missing: T) -> [T; 3] {
    std::array::from_fn(|i| (i + values.len()).checked_sub(3).map_or(missing.clone(), |j| values[j].clone()))
}

/// Adds three numbers under `prefix_d`, `prefix_h` and `prefix_w`.
pub(crate) fn per_axis(params: &mut Params, prefix: &str, values: &[Dim; 3]) {
    for (axis, value) in AXES.iter().zip(values) {
        params.int(format!("{prefix}_{axis}"), value.clone());
    }
}

/// Adds what all kernels with a window take: the spatial sizes of the input and the output, both `[N, C, ...]`, and
/// the window's own.
pub(crate) fn window(
    params: &mut Params,
    shapes: [&[Dim]; 2],
    kernel: &[usize],
    strides: &[usize],
    dilations: &[usize],
) {
    for (name, shape) in ["in", "out"].into_iter().zip(shapes) {
        per_axis(params, name, &three(&shape[2..], 1.into()));
    }
    for (name, sizes) in [("kernel", kernel), ("stride", strides), ("dilation", dilations)] {
        sizes_per_axis(params, name, sizes);
    }
}

/// Adds a size for each of up to three spatial dimensions.
pub(crate) fn sizes_per_axis(params: &mut Params, name: &str, sizes: &[usize]) {
    let sizes: Vec<Dim> = sizes.iter().map(|size| (*size).into()).collect();
    per_axis(params, name, &three(&sizes, 1.into()));
}

/// Adds the padding before (`side` 0) or after (1) each spatial dimension.
pub(crate) fn padding(params: &mut Params, name: &str, pads: &[[i64; 2]], side: usize) {
    let pads: Vec<Dim> = pads.iter().map(|pads| pads[side].into()).collect();
    per_axis(params, name, &three(&pads, 0.into()));
}

/// Adds the row strides of an operand, `x_base` and `x_step`, in vectors of four.
pub(crate) fn row_params(name: &str, rows: &RowView, params: &mut Params) -> Result<(), CompileError> {
    for (part, dim) in [("base", &rows.base), ("step", &rows.step)] {
        params.int(format!("{name}_{part}"), vectors(dim)?);
    }
    Ok(())
}

/// Whether a convolution of a single channel can take the taps along the width as channels, see `lower/im2col.rs`.
pub(crate) fn admits_im2col(conv: &ConvProblem) -> bool {
    let window = &conv.window;
    conv.group_in == 1
        && conv.groups == 1
        && window.kernel.last().is_some_and(|width| *width > 1)
        && !window.is_dilated()
        && window.pads.iter().flatten().all(|p| *p >= 0)
}

impl ConvProblem {
    /// The same convolution over what a partial im2col makes of its input: taps along the width are channels.
    pub fn over_taps(&self) -> Self {
        let mut this = self.clone();
        let window = &mut this.window;
        let last = |values: &mut Vec<usize>| values.iter_mut().next_back().map(|v| std::mem::replace(v, 1));
        last(&mut window.strides);
        last(&mut window.dilations);
        this.group_in = last(&mut window.kernel).unwrap_or(1);
        if let Some(pads) = window.pads.last_mut() {
            *pads = [0, 0];
        }
        if let (Some(width), Some(out)) = (window.x.last_mut(), window.y.last()) {
            *width = *out;
        }
        this
    }
}

/// Whether the channels of each group come in vectors.
pub(crate) fn is_vectorized(conv: &ConvProblem) -> bool {
    conv.groups == 1 || conv.group_in.is_multiple_of(4) && conv.group_out.is_multiple_of(4)
}

/// A convolution, or the gradient of its weights, with its values.
pub(crate) struct ConvNode<'a> {
    /// The attributes.
    pub conv: &'a Conv,
    /// The input.
    pub x: ValueId,
    /// The weights, or their gradient.
    pub w: ValueId,
    /// The output, or its gradient.
    pub y: ValueId,
}

impl<'a> ConvNode<'a> {
    /// Of a node, if it is one.
    pub(crate) fn of(node: &'a Node) -> Option<Self> {
        let [x, second] = node.inputs[..] else { return None };
        if let Op::Conv(conv) = &node.op {
            return Some(Self { conv, x, w: second, y: node.outputs[0] });
        }
        let Op::ConvGradWeight(op) = &node.op else { return None };
        Some(Self { conv: &op.conv, x, w: node.outputs[0], y: second })
    }
}

/// A convolution with its shapes, perhaps over the input that a partial im2col has made.
#[derive(Clone)]
pub(crate) struct ConvShapes {
    /// The attributes.
    pub conv: Conv,
    /// `[N, C, spatial...]`
    pub x: Vec<Dim>,
    /// `[out channels, in channels of a group, spatial...]`
    pub w: Vec<usize>,
    /// `[N, C, spatial...]`
    pub y: Vec<Dim>,
}

impl ConvShapes {
    /// Of a convolution, or of the gradient of its weights.
    pub(crate) fn of(builder: &KernelBuilder<'_, '_>) -> Result<Self, CompileError> {
        let graph = builder.values.graph;
        let ConvNode { conv, x, w, y } = ConvNode::of(builder.anchor()?)
            .ok_or_else(|| builder.defect("is not a convolution of two operands"))?;
        let w = graph.ty(w).static_shape().ok_or_else(|| builder.defect("has weights of open shape"))?;
        Ok(Self { conv: conv.clone(), x: builder.shape(x), w, y: builder.shape(y) })
    }

    /// The same convolution over what a partial im2col makes of its input: taps along the width are channels.
    pub(crate) fn over_taps(mut self) -> Self {
        let last = |values: &mut Vec<usize>| values.iter_mut().next_back().map(|v| std::mem::replace(v, 1));
        last(&mut self.conv.strides);
        last(&mut self.conv.dilations);
        if let Some(pads) = self.conv.pads.last_mut() {
            *pads = [0, 0];
        }
        let taps = last(&mut self.w).unwrap_or(1);
        self.w[1] = taps;
        self.x[1] = taps.into();
        if let (Some(width), Some(out)) = (self.x.last_mut(), self.y.last()) {
            *width = out.clone();
        }
        self
    }

    /// Number of taps.
    pub(crate) fn taps(&self) -> usize {
        self.w[2..].iter().product()
    }

    /// Whether there are zeros between input elements.
    pub(crate) fn is_dilated(&self) -> bool {
        self.conv.input_dilations.iter().any(|d| *d > 1)
    }

    /// Number of positions of the window.
    pub(crate) fn positions(&self) -> Dim {
        product(self.y.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| dim))
    }

    /// Adds the sizes that all kernels need.
    pub(crate) fn params(&self) -> Params {
        let mut params = Params::default();
        let Conv { strides, dilations, input_dilations, pads, .. } = &self.conv;
        window(&mut params, [&self.x, &self.y], &self.w[2..], strides, dilations);
        sizes_per_axis(&mut params, "step", input_dilations);
        padding(&mut params, "pad", pads, 0);
        params
    }

    /// Multiplications and additions.
    pub(crate) fn flops(&self) -> Dim {
        product(&self.y) * (2 * self.taps() * self.w[1]).into()
    }
}
