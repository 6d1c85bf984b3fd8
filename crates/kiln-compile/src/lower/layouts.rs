//! Operands in the layouts that a kernel demands: found where there is one already, laid out now where they are constants,
//! else copied first.

use kiln_graph::{Dim, TensorType, ValueId};
use kiln_plan::Layout;

use super::im2col::{Im2cols, PartialIm2col};
use crate::error::CompileError;
use crate::fuse::Group;
use crate::kernels::builder::{KernelLaunch, LaidOut};
use crate::kernels::family::OperandLayout;
use crate::kernels::map::{Copy, copy_launch};
use crate::layout::{self, broadcast_strides, channels_last, is_multiple, row_major, transposed};
use crate::memory::buffer::{BufferInit, Matrix, RowView, Tensor, TensorId, View};
use crate::memory::packed::PackedShape;
use crate::memory::values::Values;
use crate::memory::winograd::Winograd;
use crate::wgsl::operand::Operand;
use crate::wgsl::space::IterationSpace;

/// Finds or makes layouts. What is made for one group serves those that follow.
pub(crate) struct Layouts<'v, 'a> {
    /// All values.
    pub values: &'v mut Values<'a>,
    /// Inputs whose taps are channels.
    pub im2cols: &'v mut Im2cols,
    /// The copies that have to be launched first.
    pub launches: &'v mut Vec<KernelLaunch>,
}

impl Layouts<'_, '_> {
    /// Operand `n` of the anchor of a group.
    pub(crate) fn operand(
        &mut self,
        group: &Group,
        n: usize,
        demanded: &OperandLayout,
    ) -> Result<LaidOut, CompileError> {
        let graph = self.values.graph;
        let node = group.anchor.map(|id| graph.node(id));
        let id = node.and_then(|node| node.inputs.get(n)).copied().ok_or_else(|| CompileError::Defect {
            place: group.name.clone(),
            message: format!("has no operand {n}"),
        })?;
        let rank = graph.ty(id).rank();
        Ok(match demanded {
            OperandLayout::Strided => LaidOut::View(self.values.view(id)?),
            OperandLayout::ChannelRows => LaidOut::Rows(self.rows(id, &channels_last(rank))?),
            OperandLayout::MatrixRows => LaidOut::Rows(self.rows(id, &row_major(rank, 4))?),
            OperandLayout::PartialIm2col => {
                let (im2col, width) = PartialIm2col::of(self.values, group)?;
                LaidOut::Rows(self.im2cols.rows(self.values, self.launches, &im2col, &width)?)
            }
            OperandLayout::Kept => {
                let stored = self.values.stored_layout(id);
                let layout = stored.map_or_else(|| row_major(rank, 4), |l| Layout { lanes: 4, ..l });
                LaidOut::Tensor(self.tensor(id, &layout)?)
            }
            OperandLayout::Tensor(layout) => LaidOut::Tensor(self.tensor(id, layout)?),
            OperandLayout::Matrix { transposed } => LaidOut::Matrix(self.matrix(group, id, *transposed)?),
            OperandLayout::Packed(shape) => self.packed(id, shape)?,
            OperandLayout::Winograd { by, width } => self.winograd(id, *by, *width)?,
            OperandLayout::PackedMatrix { k_axis, column_axis, width, word_of } => {
                let first = rank - 2;
                let k_axes = vec![first + k_axis];
                let (column_axis, width, word_of) = (first + column_axis, *width, *word_of);
                let shape = PackedShape { groups: 1, column_axis, k_axes, width, word_of };
                self.packed(id, &shape)?
            }
        })
    }

    /// A tensor that holds a value in `layout`.
    pub(crate) fn tensor(&mut self, id: ValueId, layout: &Layout) -> Result<TensorId, CompileError> {
        match self.values.find(id, layout)? {
            Some(tensor) => Ok(tensor),
            None => self.copy(id, layout),
        }
    }

    /// A copy of a value, from wherever it can be read, in a new tensor of `layout`.
    pub(crate) fn copy(&mut self, id: ValueId, layout: &Layout) -> Result<TensorId, CompileError> {
        let values = &mut *self.values;
        let view = values.view(id)?;
        let value = values.graph.value(id);
        let (name, ty) = (format!("{} (layout)", value.name), value.ty.clone());
        let tensor = values.place(id, layout.clone(), BufferInit::Activation)?;
        let copy = Copy {
            name: &name,
            kernel: "copy",
            operands: vec![Operand::plain(view, ty.dtype)],
            space: IterationSpace::new(&ty.shape, layout),
            dtype: ty.dtype,
            to: values.tensor(tensor).buffer,
            tensor: Some(tensor),
            view: None,
        };
        self.launches.push(copy_launch(values, copy));
        values.register(id, tensor)?;
        Ok(tensor)
    }

    /// The elements of the fastest dimension of `layout` as rows; copied if they cannot be read so where they are.
    fn rows(&mut self, id: ValueId, layout: &Layout) -> Result<RowView, CompileError> {
        let shape = self.values.graph.ty(id).shape.clone();
        if self.values.versions(id).is_empty()
            && let Some(rows) = rows_of_view(&self.values.view(id)?, &shape, &layout.order)
        {
            return Ok(rows);
        }
        let tensor = self.tensor(id, layout)?;
        let row = layout.order.last().map_or_else(|| 1.into(), |axis| shape[*axis].clone());
        let step = layout::round_up(&row, 4);
        Ok(RowView { buffer: self.values.tensor(tensor).buffer, base: 0.into(), step })
    }

    fn packed(&mut self, id: ValueId, shape: &PackedShape) -> Result<LaidOut, CompileError> {
        let constant = self.values.graph.as_constant(id).ok_or_else(|| self.not_to_be_packed(id))?;
        Ok(LaidOut::Packed(self.values.packed_weights(id, constant, shape)?))
    }

    /// The transformed weights of a convolution as panels.
    fn winograd(&mut self, id: ValueId, by: Winograd, width: usize) -> Result<LaidOut, CompileError> {
        let constant = self.values.graph.as_constant(id).and_then(|weights| by.transformed(weights));
        let constant = constant.ok_or_else(|| self.not_to_be_packed(id))?;
        Ok(LaidOut::Packed(self.values.packed_weights(id, &constant, &by.panels(width))?))
    }

    fn not_to_be_packed(&self, id: ValueId) -> CompileError {
        CompileError::Defect {
            place: self.values.graph.value(id).name.clone(),
            message: "is to be packed and is no constant of such a shape".into(),
        }
    }

    /// An operand of a matrix product: row-major matrices whose rows are padded to four.
    fn matrix(&mut self, group: &Group, id: ValueId, exchanged: bool) -> Result<Matrix, CompileError> {
        let graph = self.values.graph;
        let out = group.anchor.map_or(&[][..], |node| &graph.ty(graph.node(node).outputs[0]).shape);
        let batch = &out[..out.len().saturating_sub(2)];
        let ty = graph.ty(id).clone();
        let rank = ty.rank();
        let own = &ty.shape[..rank - 2];
        let shared = own.iter().all(|d| d.is(1));
        if (shared || own == batch) && !exchanged {
            let tensor = self.tensor(id, &row_major(rank, 4))?;
            let stride = &ty.shape[rank - 2] * &layout::round_up(&ty.shape[rank - 1], 4);
            let batch_stride = if shared { 0.into() } else { stride };
            let buffer = self.values.tensor(tensor).buffer;
            return Ok(Matrix { buffer, columns: ty.shape[rank - 1].clone(), batch_stride });
        }
        if shared {
            // A constant is laid out now, a state is stored so already.
            let tensor = self.tensor(id, &transposed(rank))?;
            let buffer = self.values.tensor(tensor).buffer;
            return Ok(Matrix { buffer, columns: ty.shape[rank - 2].clone(), batch_stride: 0.into() });
        }
        self.copied_matrix(id, batch, exchanged)
    }

    /// Matrices whose rows and columns have to be exchanged, or whose batches repeat in part, which a kernel cannot
    /// iterate over.
    fn copied_matrix(&mut self, id: ValueId, batch: &[Dim], exchanged: bool) -> Result<Matrix, CompileError> {
        let values = &mut *self.values;
        let ty = values.graph.ty(id).clone();
        let rank = ty.rank();
        let mut view = values.view(id)?;
        let mut shape = ty.shape.clone();
        if exchanged {
            view.strides.swap(rank - 2, rank - 1);
            shape.swap(rank - 2, rank - 1);
        }
        let full: Vec<Dim> = batch.iter().chain(&shape[rank - 2..]).cloned().collect();
        view.strides = broadcast_strides(&view.strides, &shape, &full);
        let name = format!("{} (matrix)", values.graph.value(id).name);
        let layout = row_major(full.len(), 4);
        let element = values.storage(id);
        let elements = layout::elements(&layout, &full);
        let buffer = values.allocate(&name, element, &elements, BufferInit::Activation);
        let tensor = values.add_tensor(Tensor {
            name: name.clone(),
            ty: TensorType::new(ty.dtype, full.clone()),
            layout: layout.clone(),
            buffer,
        });
        let copy = Copy {
            name: &name,
            kernel: "copy",
            operands: vec![Operand::plain(view, ty.dtype)],
            space: IterationSpace::new(&full, &layout),
            dtype: ty.dtype,
            to: buffer,
            tensor: Some(tensor),
            view: None,
        };
        self.launches.push(copy_launch(values, copy));
        let columns = full[full.len() - 1].clone();
        let batch_stride = &full[full.len() - 2] * &layout::round_up(&columns, 4);
        Ok(Matrix { buffer, columns, batch_stride })
    }
}

/// The rows of a view in the order of `order`, if they are equally far apart and aligned.
fn rows_of_view(view: &View, shape: &[Dim], order: &[usize]) -> Option<RowView> {
    let (inner, outer) = order.split_last()?;
    let aligned = is_multiple(&view.base, 4) && (is_multiple(&shape[*inner], 4) || view.zero_lanes);
    if !aligned || !(view.strides[*inner].is(1) || shape[*inner].is(1)) {
        return None;
    }
    let mut step: Option<Dim> = None;
    let mut expected = Dim::from(0);
    for axis in outer.iter().rev().filter(|axis| !shape[**axis].is(1)) {
        let stride = &view.strides[*axis];
        if step.is_some() && *stride != expected {
            return None;
        }
        step.get_or_insert_with(|| stride.clone());
        expected = stride * &shape[*axis];
    }
    // With a single row there is no next one.
    let step = step.unwrap_or_else(|| 4.into());
    is_multiple(&step, 4).then(|| RowView { buffer: view.buffer, base: view.base.clone(), step })
}
