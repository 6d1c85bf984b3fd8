//! Convolutions over a single channel, whose taps along the width become channels.
//!
//! Channels come in fours, so a single one would meet three that are zeros at every tap. Copied once so that the `k`
//! neighbours a window sees along the width lie side by side, they fill those places: of 5 x 5 x 4 products 5 x 8 are
//! left.

use kiln_graph::ops::Conv;
use kiln_graph::{Dim, ValueId};

use super::context::{Contents, Context, View};
use super::elementwise::{Copy, launch_copy};
use super::operand::{Operand, Remap, Space};
use super::rows::Rows;
use crate::error::CompileError;
use crate::layout::{self, Layout, channels_last};

/// What becomes of a convolution's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfold {
    x: ValueId,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pads: [i64; 2],
}

impl Unfold {
    /// Whether a convolution of `x` with windows of `kernel` is one for this file.
    pub fn of(conv: &Conv, x: ValueId, channels: usize, kernel: &[usize]) -> Option<Self> {
        let last = |values: &[usize]| values.last().copied().unwrap_or(1);
        let fits = channels == 1
            && conv.groups == 1
            && last(kernel) > 1
            && conv.input_dilations.iter().all(|d| *d == 1)
            && conv.pads.iter().flatten().all(|p| *p >= 0);
        fits.then(|| Self {
            x,
            kernel: last(kernel),
            stride: last(&conv.strides),
            dilation: last(&conv.dilations),
            pads: conv.pads.last().copied().unwrap_or_default(),
        })
    }

    /// The convolution over what the input becomes.
    pub fn conv(conv: &Conv) -> Conv {
        let mut conv = conv.clone();
        let one = |values: &mut Vec<usize>| values.iter_mut().rev().take(1).for_each(|value| *value = 1);
        one(&mut conv.strides);
        one(&mut conv.dilations);
        conv.pads.iter_mut().rev().take(1).for_each(|pads| *pads = [0, 0]);
        conv
    }

    /// The shape of what the input becomes: `[N, taps, ..., H, output width]`.
    pub fn shape(&self, x_shape: &[Dim], out_width: &Dim) -> Vec<Dim> {
        let mut shape = x_shape.to_vec();
        shape[1] = self.kernel.into();
        shape.iter_mut().rev().take(1).for_each(|width| *width = out_width.clone());
        shape
    }
}

impl Context<'_> {
    /// The input as rows of taps; the forward and the backward pass share them.
    pub fn unfolded(&mut self, unfold: &Unfold, out_width: &Dim) -> Result<Rows, CompileError> {
        let step = Dim::from(unfold.kernel.next_multiple_of(4));
        if let Some((_, storage)) = self.unfolds.iter().find(|(other, _)| other == unfold) {
            return Ok(Rows { storage: *storage, base: 0.into(), step });
        }
        let ty = self.graph.ty(unfold.x).clone();
        let name = format!("{} (taps)", self.graph.value(unfold.x).name);
        let view = self.view(unfold.x)?;
        let view = if unfold.pads == [0, 0] { view } else { self.padded(&name, &view, unfold)? };
        let rank = ty.rank();
        let width = view.strides[rank - 1].clone();
        let mut strides = view.strides.clone();
        strides[1] = &width * &Dim::from(unfold.dilation);
        strides[rank - 1] = &width * &Dim::from(unfold.stride);
        let shape = unfold.shape(&ty.shape, out_width);
        let layout = channels_last(rank);
        let elements = layout::elements(&layout, &shape);
        let to = self.allocate(&name, view.element, &elements, Contents::Activation);
        launch_copy(
            self,
            Copy {
                name: &name,
                kernel: "unfold",
                operands: vec![Operand::plain(View { strides, zero_lanes: false, ..view }, ty.dtype)],
                space: Space::new(&shape, &layout),
                dtype: ty.dtype,
                to,
                placed: None,
                view: None,
            },
        )?;
        self.unfolds.push((unfold.clone(), to));
        Ok(Rows { storage: to, base: 0.into(), step })
    }

    /// A copy with zeros before and behind each line.
    fn padded(&mut self, name: &str, view: &View, unfold: &Unfold) -> Result<View, CompileError> {
        let ty = self.graph.ty(unfold.x).clone();
        let axis = ty.rank() - 1;
        let mut shape = ty.shape.clone();
        shape[axis] = shape[axis].clone() + (unfold.pads[0] + unfold.pads[1]).into();
        // With the single channel fastest, so that the width is an axis whose coordinates can be shifted.
        let layout = Layout { order: channels_last(ty.rank()).order, lanes: 1 };
        let elements = layout::elements(&layout, &shape);
        let to = self.allocate(name, view.element, &elements, Contents::Activation);
        let shift = Remap::Constant { before: unfold.pads[0], value: 0.0 };
        let operand = Operand {
            remaps: vec![(axis, ty.shape[axis].clone(), shift)],
            ..Operand::plain(view.clone(), ty.dtype)
        };
        launch_copy(
            self,
            Copy {
                name,
                kernel: "pad",
                operands: vec![operand],
                space: Space::new(&shape, &layout),
                dtype: ty.dtype,
                to,
                placed: None,
                view: None,
            },
        )?;
        let strides = layout::strides(&layout, &shape);
        Ok(View { storage: to, base: 0.into(), strides, zero_lanes: false, ..view.clone() })
    }
}
