//! Where each value of a graph can be read so far: the ledger of buffers, tensors and views.

use std::collections::HashMap;

use kiln_graph::{Bindings, Dim, Graph, Tensor as Constant, ValueId};
use kiln_plan::{Layout, Storage};

use super::alias::{ConcatAliases, concat_aliases};
use super::buffer::{Buffer, BufferId, BufferInit, Tensor, TensorId, View};
use super::liveness::Liveness;
use super::packed::{PackedShape, PackedWeights, Panels, pack, pack_panels};
use super::precision::{Floats, floats};
use super::states::States;
use crate::element::bytes_of;
use crate::error::CompileError;
use crate::fuse::Fusion;
use crate::layout;
use crate::target::Target;

/// See the module's text.
pub(crate) struct Values<'a> {
    /// The graph, its values with the element types that they have on the device.
    pub graph: &'a Graph,
    /// The same graph with the element types that the host sees.
    pub host_types: &'a Graph,
    /// The device.
    pub target: &'a Target,
    /// Maxima of the symbols.
    pub max: &'a Bindings,
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// How long values and buffers are needed.
    pub liveness: Liveness,
    /// Parts of concatenations that are written straight into them.
    pub aliases: ConcatAliases,
    /// Whose buffer is a state's.
    states: HashMap<BufferId, ValueId>,
    /// What states become: the new value, and the state.
    updates: HashMap<ValueId, ValueId>,
    views: HashMap<ValueId, View>,
    versions: HashMap<ValueId, Vec<TensorId>>,
    /// By value: floats that have other than their own number of bits in memory.
    floats: Vec<Floats>,
    /// Whether floats of 32 bits may have 16 in memory where that loses nothing.
    pub halves: bool,
    packed: HashMap<ValueId, Vec<(PackedShape, Vec<PackedWeights>)>>,
}

impl<'a> Values<'a> {
    /// Nothing yet but the graph's inputs and states.
    pub(crate) fn new(
        graph: &'a Graph,
        host_types: &'a Graph,
        target: &'a Target,
        max: &'a Bindings,
        fusion: &Fusion,
        states: &States,
        halves: bool,
    ) -> Result<Self, CompileError> {
        let mut this = Self::empty(graph, host_types, target, max, fusion, halves);
        for id in graph.inputs() {
            let layout = layout::row_major(graph.ty(*id).rank(), 1);
            let tensor = this.place(*id, layout, BufferInit::Input)?;
            this.register(*id, tensor)?;
        }
        for id in graph.states() {
            let Some(index) = states.index(&graph.value(*id).name) else { continue };
            let layout = states.all()[index].layout.clone();
            let tensor = this.place(*id, layout, BufferInit::State(index))?;
            this.register(*id, tensor)?;
            this.states.insert(this.tensor(tensor).buffer, *id);
        }
        for update in graph.updates() {
            this.updates.insert(update.value, update.state);
        }
        Ok(this)
    }

    /// Nothing yet, not even inputs: of the body of a loop, which are where they are outside.
    pub(crate) fn empty(
        graph: &'a Graph,
        host_types: &'a Graph,
        target: &'a Target,
        max: &'a Bindings,
        fusion: &Fusion,
        halves: bool,
    ) -> Self {
        Self {
            graph,
            host_types,
            target,
            max,
            buffers: Vec::new(),
            tensors: Vec::new(),
            liveness: Liveness::of(graph, fusion),
            aliases: concat_aliases(graph, fusion),
            states: HashMap::new(),
            updates: HashMap::new(),
            views: HashMap::new(),
            versions: HashMap::new(),
            floats: floats(graph, halves && target.float16),
            halves,
            packed: HashMap::new(),
        }
    }

    /// Lets `tensor` be where `input` is carried from step to step, as `becomes` after this one.
    pub(crate) fn carry(
        &mut self,
        input: ValueId,
        tensor: TensorId,
        becomes: ValueId,
    ) -> Result<(), CompileError> {
        self.register(input, tensor)?;
        self.states.insert(self.tensor(tensor).buffer, input);
        self.updates.entry(becomes).or_insert(input);
        Ok(())
    }

    /// The tensor that `value` may be written to, because it is the next of what is carried there, which no group reads any
    /// more.
    pub(crate) fn carried_place(&self, value: ValueId) -> Option<TensorId> {
        let tensor = *self.versions(*self.updates.get(&value)?).first()?;
        let buffer = self.tensor(tensor).buffer;
        let is_carried = matches!(self.buffer(buffer).init, BufferInit::Activation);
        (is_carried && self.states.contains_key(&buffer) && self.liveness.is_dead(buffer)).then_some(tensor)
    }

    /// The maximum of a dimension.
    pub(crate) fn maximum(&self, dim: &Dim) -> i64 {
        // Symbols without a maximum were refused before lowering began.
        dim.upper(self.max)
    }

    /// A tensor by its number.
    pub(crate) fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// A buffer by its number.
    pub(crate) fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }

    /// A new buffer of so many elements.
    pub(crate) fn allocate(
        &mut self,
        name: &str,
        element: Storage,
        elements: &Dim,
        init: BufferInit,
    ) -> BufferId {
        let bytes = layout::round_up(&(elements * &bytes_of(element)), 16);
        self.buffers.push(Buffer { name: name.into(), element, packed: None, bytes, init });
        BufferId(self.buffers.len() - 1)
    }

    /// A new tensor for a value in a buffer of its own.
    pub(crate) fn place(
        &mut self,
        id: ValueId,
        layout: Layout,
        init: BufferInit,
    ) -> Result<TensorId, CompileError> {
        let element = self.element(id)?;
        let value = self.host_types.value(id);
        let elements = layout::in_vectors(&layout, &value.ty.shape);
        let buffer = self.allocate(&value.name, element, &elements, init);
        Ok(self.place_in(id, layout, buffer))
    }

    /// A new tensor for a value in a buffer that exists.
    pub(crate) fn place_in(&mut self, id: ValueId, layout: Layout, buffer: BufferId) -> TensorId {
        let value = self.host_types.value(id);
        self.add_tensor(Tensor { name: value.name.clone(), ty: value.ty.clone(), layout, buffer })
    }

    /// A new tensor that is not one of the graph's values.
    pub(crate) fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// The element type in memory of a value, whether the target has it or not.
    pub(crate) fn storage(&self, id: ValueId) -> Storage {
        self.floats[id.index()].storage(self.graph.ty(id).dtype, self.target)
    }

    /// The element type in memory of a value; an error if the target does not have it.
    pub(crate) fn element(&self, id: ValueId) -> Result<Storage, CompileError> {
        let element = self.storage(id);
        let possible = match element {
            Storage::I64 => self.target.int64,
            Storage::F64 => self.target.float64,
            Storage::F32 | Storage::F16 | Storage::I32 | Storage::U32 => true,
        };
        if possible { Ok(element) } else { Err(self.no_such_type(id)) }
    }

    /// That a value is of a type that the device does not compute with.
    pub(crate) fn no_such_type(&self, id: ValueId) -> CompileError {
        let value = self.host_types.value(id);
        CompileError::DType { value: value.name.clone(), dtype: value.ty.dtype }
    }

    /// Lets a tensor be a way to read a value.
    pub(crate) fn register(&mut self, id: ValueId, tensor: TensorId) -> Result<(), CompileError> {
        let view = self.tensor_view(tensor);
        self.liveness.extend(id, view.buffer);
        self.views.entry(id).or_insert(view);
        self.versions.entry(id).or_default().push(tensor);
        Ok(())
    }

    /// Lets a view be a way to read a value, without moving anything.
    pub(crate) fn register_view(&mut self, id: ValueId, view: View) {
        self.liveness.extend(id, view.buffer);
        self.views.insert(id, view);
    }

    /// How the elements of a tensor are reached.
    pub(crate) fn tensor_view(&self, id: TensorId) -> View {
        let tensor = self.tensor(id);
        let (layout, shape) = (&tensor.layout, &tensor.ty.shape);
        // Behind a row that is not padded is anything, even where there is room for padding.
        let whole = layout.order.last().is_none_or(|axis| layout::is_multiple(&shape[*axis], 4));
        View {
            buffer: tensor.buffer,
            element: self.buffer(tensor.buffer).element,
            base: 0.into(),
            strides: layout::strides(layout, shape),
            zero_lanes: whole || layout.lanes == 4,
        }
    }

    /// Whether only the caller reads a value.
    pub(crate) fn is_only_output(&self, id: ValueId) -> bool {
        self.liveness.is_only_output(id) && !self.updates.contains_key(&id)
    }

    /// Whether the group that is being lowered is the last to read a buffer, so that it may be overwritten by
    /// `result`. That of a state, or of what is carried from step to step of
    /// a loop, may only become what that becomes.
    pub(crate) fn dies(&self, buffer: BufferId, result: ValueId) -> bool {
        let may_change = match &self.buffer(buffer).init {
            BufferInit::Weights(_) => false,
            BufferInit::Input | BufferInit::Activation | BufferInit::State(_) => {
                let state = self.states.get(&buffer);
                state.is_none_or(|state| self.updates.get(&result) == Some(state))
            }
        };
        may_change && self.liveness.is_last_reader(buffer)
    }

    /// Where the state is that `value` is the new value of, if it is one.
    pub(crate) fn updated(&self, value: ValueId) -> Option<&Tensor> {
        Some(self.tensor(*self.versions(*self.updates.get(&value)?).first()?))
    }

    /// The tensors that hold a value.
    pub(crate) fn versions(&self, id: ValueId) -> &[TensorId] {
        self.versions.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The layout a value is stored in, if it is stored.
    pub(crate) fn stored_layout(&self, id: ValueId) -> Option<Layout> {
        self.versions(id).first().map(|tensor| self.tensor(*tensor).layout.clone())
    }

    /// Some way to read a value. A constant is laid out now.
    pub(crate) fn view(&mut self, id: ValueId) -> Result<View, CompileError> {
        if !self.views.contains_key(&id) {
            let layout = layout::row_major(self.graph.ty(id).rank(), 4);
            self.find(id, &layout)?;
        }
        self.views.get(&id).cloned().ok_or_else(|| self.missing(id))
    }

    /// A tensor that holds a value in `layout` without a copy: there is one already, a view runs as it would, or the
    /// value is a constant, which is laid out now.
    pub(crate) fn find(&mut self, id: ValueId, layout: &Layout) -> Result<Option<TensorId>, CompileError> {
        let shape = self.graph.ty(id).shape.clone();
        for tensor in self.versions(id) {
            let has = self.tensor(*tensor);
            if has.layout == *layout || layout::same_memory(&shape, &has.layout, layout) {
                let buffer = has.buffer;
                return self.alias(id, buffer, layout).map(Some);
            }
        }
        if let Some(view) = self.views.get(&id)
            && self.runs_as(view, &shape, layout)
        {
            let buffer = view.buffer;
            return self.alias(id, buffer, layout).map(Some);
        }
        match self.graph.as_constant(id) {
            Some(constant) => self.lay_out(id, constant, layout).map(Some),
            None => Ok(None),
        }
    }

    /// Whether a view runs exactly as a tensor of `layout` would, in a buffer that is as large.
    fn runs_as(&self, view: &View, shape: &[Dim], layout: &Layout) -> bool {
        let last = layout.order.last();
        let padded = layout.lanes == 1
            || view.zero_lanes
            || last.is_none_or(|axis| layout::is_multiple(&shape[*axis], layout.lanes));
        let bytes = layout::in_vectors(layout, shape) * bytes_of(view.element);
        view.base.is(0)
            && padded
            && self.buffer(view.buffer).bytes == layout::round_up(&bytes, 16)
            && layout::same_strides(shape, &view.strides, &layout::strides(layout, shape))
    }

    fn lay_out(
        &mut self,
        id: ValueId,
        constant: &Constant,
        layout: &Layout,
    ) -> Result<TensorId, CompileError> {
        let bytes = pack(constant, layout, self.element(id)?).ok_or_else(|| self.no_such_type(id))?;
        let tensor = self.place(id, layout.clone(), BufferInit::Weights(bytes))?;
        self.register(id, tensor)?;
        Ok(tensor)
    }

    /// Registers another reading of a buffer that a value is already in.
    pub(crate) fn alias(
        &mut self,
        id: ValueId,
        buffer: BufferId,
        layout: &Layout,
    ) -> Result<TensorId, CompileError> {
        for known in self.versions(id) {
            let tensor = self.tensor(*known);
            if tensor.buffer == buffer && tensor.layout == *layout {
                return Ok(*known);
            }
        }
        let tensor = self.place_in(id, layout.clone(), buffer);
        self.register(id, tensor)?;
        Ok(tensor)
    }

    /// A constant as packed weights, in as many pieces as it takes for each to be bound.
    pub(crate) fn packed_weights(
        &mut self,
        id: ValueId,
        constant: &Constant,
        shape: &PackedShape,
    ) -> Result<Vec<PackedWeights>, CompileError> {
        let known = self.packed.get(&id).into_iter().flatten().find(|(known, _)| known == shape);
        if let Some((_, pieces)) = known {
            return Ok(pieces.clone());
        }
        let name = self.graph.value(id).name.clone();
        let element = self.element(id)?;
        let panels = pack_panels(constant, element, shape).ok_or_else(|| self.no_such_type(id))?;
        let Panels { bytes, element: size, packed } = panels;
        let panel = (shape.depth(constant.shape()) * shape.width * size).max(1);
        let count = bytes.len() / panel;
        let limit = usize::try_from(self.target.max_storage_buffer_binding_size).unwrap_or(usize::MAX);
        let mut pieces = Vec::new();
        for first in (0..count).step_by((limit / panel).max(1)) {
            let tiles = first..(first + (limit / panel).max(1)).min(count);
            let bytes = bytes[tiles.start * panel..tiles.end * panel].to_vec();
            let (name, size) = (name.clone(), layout::round_up(&Dim::from(bytes.len()), 16));
            let buffer = BufferId(self.buffers.len());
            let init = BufferInit::Weights(bytes);
            self.buffers.push(Buffer { name, element, packed, bytes: size, init });
            pieces.push(PackedWeights { buffer, tiles });
        }
        self.packed.entry(id).or_default().push((shape.clone(), pieces.clone()));
        Ok(pieces)
    }

    /// That a value is read which no group has made: a defect.
    pub(crate) fn missing(&self, id: ValueId) -> CompileError {
        let message = "is read before it is computed".into();
        CompileError::Defect { place: self.graph.value(id).name.clone(), message }
    }

    /// A row of workgroups, folded into several where it is too long for one.
    pub(crate) fn folded(&self, groups: &Dim) -> [Dim; 3] {
        self.target.folded(groups, self.maximum(groups))
    }
}
