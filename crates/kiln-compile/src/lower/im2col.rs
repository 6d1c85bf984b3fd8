//! Partial im2col: convolutions over a single channel, whose taps along the width become channels.
//!
//! Channels come in fours, so a single one would meet three that are zeros at every tap. Copied once so that the `k`
//! neighbours that a window sees along the width are adjacent, they fill those places. With `k = 3`, a stride of 1 and
//! padding of 1, the line `1 2 3 4` becomes four rows:
//!
//! ```text
//!   0 1 2 3 4 0   ->   [0 1 2 0] [1 2 3 0] [2 3 4 0] [3 4 0 0]
//!                       the last of each four is padding of channels
//! ```
//!
//! A window of 5 x 5 multiplies 5 x 8 instead of 5 x 5 x 4 numbers.

use kiln_graph::{Dim, ValueId};

use crate::error::CompileError;
use crate::fuse::Group;
use crate::kernels::builder::KernelLaunch;
use crate::kernels::conv::ConvNode;
use crate::kernels::map::{Copy, copy_launch};
use crate::layout::{self, Layout, channels_last};
use crate::memory::buffer::{BufferId, BufferInit, RowView, View};
use crate::memory::values::Values;
use crate::wgsl::operand::{Operand, Remap};
use crate::wgsl::space::IterationSpace;

/// What becomes of a convolution's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartialIm2col {
    x: ValueId,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pads: [i64; 2],
}

impl PartialIm2col {
    /// Of the convolution of a group, or of the gradient of its weights; and the output width.
    pub(crate) fn of(values: &Values<'_>, group: &Group) -> Result<(Self, Dim), CompileError> {
        let graph = values.graph;
        let found = group.anchor.and_then(|id| ConvNode::of(graph.node(id)));
        let defect = || CompileError::Defect {
            place: group.name.clone(),
            message: "is not a convolution whose taps can be channels".into(),
        };
        let ConvNode { conv, x, w, y } = found.ok_or_else(defect)?;
        let last = |values: &[usize]| values.last().copied().unwrap_or(1);
        let kernel = graph.ty(w).shape.last().and_then(Dim::as_usize).ok_or_else(defect)?;
        let width = graph.ty(y).shape.last().cloned().ok_or_else(defect)?;
        let pads = conv.pads.last().copied().unwrap_or_default();
        let (stride, dilation) = (last(&conv.strides), last(&conv.dilations));
        Ok((Self { x, kernel, stride, dilation, pads }, width))
    }

    /// The shape of what the input becomes: `[N, taps, ..., H, output width]`.
    fn shape(&self, x_shape: &[Dim], out_width: &Dim) -> Vec<Dim> {
        let mut shape = x_shape.to_vec();
        shape[1] = self.kernel.into();
        shape.iter_mut().rev().take(1).for_each(|width| *width = out_width.clone());
        shape
    }
}

/// Inputs whose taps are channels; the forward and the backward pass share them.
#[derive(Default)]
pub(crate) struct Im2cols(Vec<(PartialIm2col, BufferId)>);

impl Im2cols {
    /// The input as rows of taps.
    pub(crate) fn rows(
        &mut self,
        values: &mut Values<'_>,
        launches: &mut Vec<KernelLaunch>,
        im2col: &PartialIm2col,
        out_width: &Dim,
    ) -> Result<RowView, CompileError> {
        let step = Dim::from(im2col.kernel.next_multiple_of(4));
        if let Some((_, buffer)) = self.0.iter().find(|(other, _)| other == im2col) {
            return Ok(RowView { buffer: *buffer, base: 0.into(), step });
        }
        let ty = values.graph.ty(im2col.x).clone();
        let name = format!("{} (taps)", values.graph.value(im2col.x).name);
        let view = values.view(im2col.x)?;
        let view = if im2col.pads == [0, 0] { view } else { padded(values, launches, &name, &view, im2col) };
        let rank = ty.rank();
        let width = view.strides[rank - 1].clone();
        let mut strides = view.strides.clone();
        strides[1] = &width * &Dim::from(im2col.dilation);
        strides[rank - 1] = &width * &Dim::from(im2col.stride);
        let shape = im2col.shape(&ty.shape, out_width);
        let layout = channels_last(rank);
        let elements = layout::elements(&layout, &shape);
        let to = values.allocate(&name, view.element, &elements, BufferInit::Activation);
        let operand = Operand::plain(View { strides, zero_lanes: false, ..view }, ty.dtype);
        launches.push(copy_launch(
            values,
            Copy {
                name: &name,
                kernel: "im2col",
                operands: vec![operand],
                space: IterationSpace::new(&shape, &layout),
                dtype: ty.dtype,
                to,
                tensor: None,
                view: None,
            },
        ));
        self.0.push((im2col.clone(), to));
        Ok(RowView { buffer: to, base: 0.into(), step })
    }
}

/// A copy with zeros before and behind each line.
fn padded(
    values: &mut Values<'_>,
    launches: &mut Vec<KernelLaunch>,
    name: &str,
    view: &View,
    im2col: &PartialIm2col,
) -> View {
    let ty = values.graph.ty(im2col.x).clone();
    let axis = ty.rank() - 1;
    let mut shape = ty.shape.clone();
    shape[axis] = shape[axis].clone() + (im2col.pads[0] + im2col.pads[1]).into();
    // With the single channel fastest, so that the width is an axis whose coordinates can be shifted.
    let layout = Layout { order: channels_last(ty.rank()).order, lanes: 1 };
    let elements = layout::elements(&layout, &shape);
    let to = values.allocate(name, view.element, &elements, BufferInit::Activation);
    let shift = Remap::Constant { before: im2col.pads[0], value: 0.0 };
    let operand = Operand {
        remaps: vec![(axis, ty.shape[axis].clone(), shift)],
        ..Operand::plain(view.clone(), ty.dtype)
    };
    launches.push(copy_launch(
        values,
        Copy {
            name,
            kernel: "pad",
            operands: vec![operand],
            space: IterationSpace::new(&shape, &layout),
            dtype: ty.dtype,
            to,
            tensor: None,
            view: None,
        },
    ));
    let strides = layout::strides(&layout, &shape);
    View { buffer: to, base: 0.into(), strides, zero_lanes: false, ..view.clone() }
}
