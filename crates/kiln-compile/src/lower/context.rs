//! What the lowering of one graph has gathered so far: memory, where each value can be read, kernels.

use std::collections::HashMap;

use kiln_graph::ops::ScatterReduction;
use kiln_graph::{DType, Dim, Graph, Op, TensorType, ValueId, product};
use kiln_plan::{Access as Binding, Layout, Storage};

use super::destination::{Homes, homes};
use super::kernel::Launch;
use super::pack::{Packed, pack};
use super::states::States;
use super::unfold::Unfold;
use crate::error::CompileError;
use crate::fuse::Fusion;
use crate::layout;
use crate::shader::Shaders;
use crate::target::Target;

/// A piece of memory: what the planner places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageId(pub usize);

/// What a piece of memory holds.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Given by the caller.
    Input,
    /// Known now.
    Weights(Vec<u8>),
    /// Written by a kernel.
    Activation,
    /// Kept from run to run: the number of a state in [`States`].
    State(usize),
}

/// See [`StorageId`].
#[derive(Clone, Debug)]
pub struct Memory {
    /// The value it was made for.
    pub name: String,
    /// The type of its elements.
    pub element: Storage,
    /// Size in bytes.
    pub bytes: Dim,
    /// What it holds.
    pub contents: Contents,
}

/// A tensor in memory, as the plan will list it.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The value's name.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// Order of elements.
    pub layout: Layout,
    /// The memory, from its first byte.
    pub storage: StorageId,
}

/// How the elements of a value can be found in memory: element `(i, j, ..)` lies at
/// `base + i*strides[0] + j*strides[1] + ..`. Transposes and slices are only this until someone needs more.
#[derive(Clone, Debug)]
pub struct View {
    /// The memory.
    pub storage: StorageId,
    /// Element type in memory.
    pub element: Storage,
    /// Position of the first element.
    pub base: Dim,
    /// Distance of neighbours, per dimension.
    pub strides: Vec<Dim>,
    /// Whether the lanes that pad the fastest dimension hold zeros.
    pub zero_lanes: bool,
}

/// Everything the lowering of a graph collects.
pub struct Context<'a> {
    /// The graph, its values of the element types that they are held in on the device.
    pub graph: &'a Graph,
    /// The same graph with the element types that the host sees.
    pub seen: &'a Graph,
    /// The device.
    pub target: &'a Target,
    /// Largest values of the symbols.
    pub max: &'a kiln_graph::Bindings,
    /// Kernels by text.
    pub shaders: &'a mut Shaders,
    /// All memory.
    pub memory: Vec<Memory>,
    /// All tensors.
    pub placed: Vec<Placed>,
    /// Launches in order.
    pub launches: Vec<Launch>,
    /// Whose memory is a state's.
    states: HashMap<StorageId, ValueId>,
    /// What states become: the new value, and the state.
    updates: HashMap<ValueId, ValueId>,
    views: HashMap<ValueId, View>,
    versions: HashMap<ValueId, Vec<usize>>,
    /// For each memory, the last group that reads one of the values in it.
    last_reader: HashMap<StorageId, usize>,
    /// For each value, the last group that reads it; `usize::MAX` for results.
    last_use: Vec<usize>,
    /// By value: whether nodes read it.
    is_read: Vec<bool>,
    /// By value: whether the caller gets it.
    is_output: Vec<bool>,
    /// By value: whether 16-bit floats have 32 bits in memory.
    is_precise: Vec<bool>,
    /// Where parts of concatenations go.
    pub homes: Homes,
    /// Weights as tile kernels want them.
    pub packed: HashMap<ValueId, Vec<Packed>>,
    /// Inputs whose taps are channels.
    pub unfolds: Vec<(Unfold, StorageId)>,
    /// The group that is being lowered.
    pub group: usize,
}

impl<'a> Context<'a> {
    /// Nothing yet but the graph's inputs.
    pub fn new(
        graph: &'a Graph,
        seen: &'a Graph,
        target: &'a Target,
        max: &'a kiln_graph::Bindings,
        fusion: &Fusion,
        shaders: &'a mut Shaders,
        states: &States,
    ) -> Result<Self, CompileError> {
        let mut last_use = vec![0; graph.values().len()];
        for (n, group) in fusion.groups.iter().enumerate() {
            for id in &group.inputs {
                last_use[id.index()] = n;
            }
        }
        let mut is_read = vec![false; graph.values().len()];
        for id in fusion.groups.iter().flat_map(|group| &group.inputs) {
            is_read[id.index()] = true;
        }
        for id in graph.results() {
            last_use[id.index()] = usize::MAX;
        }
        let mut is_output = vec![false; graph.values().len()];
        for output in graph.outputs() {
            is_output[output.value.index()] = true;
        }
        let mut this = Self {
            graph,
            seen,
            target,
            max,
            shaders,
            memory: Vec::new(),
            placed: Vec::new(),
            launches: Vec::new(),
            states: HashMap::new(),
            updates: HashMap::new(),
            views: HashMap::new(),
            versions: HashMap::new(),
            last_reader: HashMap::new(),
            last_use,
            is_read,
            is_output,
            is_precise: precise(graph),
            homes: homes(graph, fusion),
            packed: HashMap::new(),
            unfolds: Vec::new(),
            group: 0,
        };
        for id in graph.inputs() {
            let layout = layout::row_major(graph.ty(*id).rank(), 1);
            let placed = this.place(*id, layout, Contents::Input)?;
            this.register(*id, placed)?;
        }
        for id in graph.states() {
            let Some(index) = states.index(&graph.value(*id).name) else { continue };
            let layout = states.all()[index].layout.clone();
            let placed = this.place(*id, layout, Contents::State(index))?;
            this.register(*id, placed)?;
            this.states.insert(this.placed[placed].storage, *id);
        }
        for update in graph.updates() {
            this.updates.insert(update.value, update.state);
        }
        Ok(this)
    }

    /// The largest value of a dimension.
    pub fn largest(&self, dim: &Dim) -> i64 {
        // Symbols without a value were refused before lowering began.
        dim.eval(self.max).unwrap_or(i64::MAX)
    }

    /// Memory of so many elements.
    pub fn allocate(
        &mut self,
        name: &str,
        element: Storage,
        elements: &Dim,
        contents: Contents,
    ) -> StorageId {
        let bytes = layout::round_up(&(elements * &bytes_of(element)), 16);
        self.memory.push(Memory { name: name.into(), element, bytes, contents });
        StorageId(self.memory.len() - 1)
    }

    /// A new tensor for a value in memory of its own.
    pub fn place(&mut self, id: ValueId, layout: Layout, contents: Contents) -> Result<usize, CompileError> {
        let element = self.element(id)?;
        let value = self.seen.value(id);
        let elements = in_fours(&layout, &value.ty.shape);
        let storage = self.allocate(&value.name, element, &elements, contents);
        Ok(self.place_in(id, layout, storage))
    }

    /// A new tensor for a value in memory that is there.
    fn place_in(&mut self, id: ValueId, layout: Layout, storage: StorageId) -> usize {
        let value = self.seen.value(id);
        self.placed.push(Placed { name: value.name.clone(), ty: value.ty.clone(), layout, storage });
        self.placed.len() - 1
    }

    /// The element type in memory of a value.
    pub fn element(&self, id: ValueId) -> Result<Storage, CompileError> {
        let dtype = self.graph.ty(id).dtype;
        let element =
            if self.is_precise[id.index()] { computed_type(dtype) } else { self.stored_type(dtype) };
        let possible = match element {
            Storage::I64 => self.target.int64,
            Storage::F64 => self.target.float64,
            Storage::F32 | Storage::F16 | Storage::I32 | Storage::U32 => true,
        };
        if possible { Ok(element) } else { Err(self.no_such_type(id)) }
    }

    /// The element type in memory of what is held as `dtype`, unless it is precise.
    pub fn stored_type(&self, dtype: DType) -> Storage {
        if dtype == DType::F16 && self.target.float16 { Storage::F16 } else { computed_type(dtype) }
    }

    /// That a value is of a type that the device does not compute with.
    pub fn no_such_type(&self, id: ValueId) -> CompileError {
        let value = self.seen.value(id);
        CompileError::DType { value: value.name.clone(), dtype: value.ty.dtype }
    }

    /// Lets a tensor be a way to read a value.
    pub fn register(&mut self, id: ValueId, placed: usize) -> Result<(), CompileError> {
        let view = self.tensor_view(placed)?;
        self.reserve(id, view.storage);
        self.views.entry(id).or_insert(view);
        self.versions.entry(id).or_default().push(placed);
        Ok(())
    }

    /// How the elements of a tensor are reached.
    pub fn tensor_view(&self, placed: usize) -> Result<View, CompileError> {
        let tensor = &self.placed[placed];
        let (layout, shape) = (&tensor.layout, &tensor.ty.shape);
        // Behind a row that is not padded lies anything, even where there is room for padding.
        let whole = layout.order.last().is_none_or(|axis| layout::is_multiple(&shape[*axis], 4));
        Ok(View {
            storage: tensor.storage,
            element: self.memory[tensor.storage.0].element,
            base: 0.into(),
            strides: layout::strides(layout, shape),
            zero_lanes: whole || layout.lanes == 4,
        })
    }

    /// Keeps a memory from being overwritten until `id`, which will be read from there, is dead.
    pub fn reserve(&mut self, id: ValueId, storage: StorageId) {
        let last = self.last_reader.entry(storage).or_default();
        *last = self.last_use[id.index()].max(*last);
    }

    /// Whether only the caller reads a value.
    pub fn is_only_result(&self, id: ValueId) -> bool {
        self.is_output[id.index()] && !self.is_read[id.index()] && !self.updates.contains_key(&id)
    }

    /// Lets a view be a way to read a value, without moving anything.
    pub fn register_view(&mut self, id: ValueId, view: View) {
        self.reserve(id, view.storage);
        self.views.insert(id, view);
    }

    /// Whether the group that is being lowered is the last to read a memory, so that it may be overwritten by
    /// `result`. That of a state may only become what the state becomes.
    pub fn dies(&self, storage: StorageId, result: ValueId) -> bool {
        let may_change = match &self.memory[storage.0].contents {
            Contents::Weights(_) => false,
            Contents::Input | Contents::Activation => true,
            Contents::State(_) => {
                self.updates.get(&result).is_some_and(|state| self.states.get(&storage) == Some(state))
            }
        };
        may_change && self.last_reader.get(&storage).is_none_or(|last| *last <= self.group)
    }

    /// The layout of the state that `value` is the new value of.
    pub fn layout_of_updated(&self, value: ValueId) -> Option<Layout> {
        self.updates.get(&value).and_then(|state| self.stored_layout(*state))
    }

    /// A new tensor for a value, over the memory of an operand if there is one.
    pub fn place_over(
        &mut self,
        id: ValueId,
        layout: Layout,
        over: Option<StorageId>,
    ) -> Result<usize, CompileError> {
        let Some(storage) = over else {
            return self.place(id, layout, Contents::Activation);
        };
        Ok(self.place_in(id, layout, storage))
    }

    /// The tensors that hold a value.
    pub fn versions(&self, id: ValueId) -> &[usize] {
        self.versions.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Some way to read a value.
    pub fn view(&mut self, id: ValueId) -> Result<View, CompileError> {
        if !self.views.contains_key(&id) {
            let rank = self.graph.ty(id).rank();
            self.version(id, &layout::row_major(rank, 4))?;
        }
        self.views.get(&id).cloned().ok_or_else(|| self.missing(id))
    }

    /// The layout a value is stored in, if it is stored.
    pub fn stored_layout(&self, id: ValueId) -> Option<Layout> {
        self.versions(id).first().map(|placed| self.placed[*placed].layout.clone())
    }

    /// A tensor that holds a value in `layout`; constants are laid out now, other values are copied by a kernel if
    /// no tensor or view has them so already.
    pub fn version(&mut self, id: ValueId, layout: &Layout) -> Result<usize, CompileError> {
        let ty = self.graph.ty(id).clone();
        let want = layout::strides(layout, &ty.shape);
        for placed in self.versions(id).to_vec() {
            let has = &self.placed[placed];
            if has.layout == *layout
                || same_memory(
                    &ty.shape,
                    &has.layout,
                    &layout::strides(&has.layout, &ty.shape),
                    layout,
                    &want,
                )
            {
                return self.alias(id, has.storage, layout);
            }
        }
        if let Some(view) = self.views.get(&id).cloned() {
            let padded = layout.lanes == 1
                || view.zero_lanes
                || layout.order.last().is_none_or(|axis| layout::is_multiple(&ty.shape[*axis], layout.lanes));
            // A view that runs exactly as the layout would is that tensor, if its memory is as large.
            let large_enough = {
                let bytes = in_fours(layout, &ty.shape) * bytes_of(view.element);
                self.memory[view.storage.0].bytes == layout::round_up(&bytes, 16)
            };
            if view.base.is(0) && padded && large_enough && same_strides(&ty.shape, &view.strides, &want) {
                return self.alias(id, view.storage, layout);
            }
        }
        if let Some(tensor) = self.graph.as_constant(id) {
            let element = self.element(id)?;
            let bytes = pack(tensor, layout, element).ok_or_else(|| self.no_such_type(id))?;
            let placed = self.place(id, layout.clone(), Contents::Weights(bytes))?;
            self.register(id, placed)?;
            return Ok(placed);
        }
        if !self.views.contains_key(&id) {
            return Err(self.missing(id));
        }
        super::elementwise::copy(self, id, layout)
    }

    /// Registers another reading of memory that a value already lies in.
    pub fn alias(&mut self, id: ValueId, storage: StorageId, layout: &Layout) -> Result<usize, CompileError> {
        for placed in self.versions(id) {
            let tensor = &self.placed[*placed];
            if tensor.storage == storage && tensor.layout == *layout {
                return Ok(*placed);
            }
        }
        let placed = self.place_in(id, layout.clone(), storage);
        self.register(id, placed)?;
        Ok(placed)
    }

    fn missing(&self, id: ValueId) -> CompileError {
        let value = self.graph.value(id);
        CompileError::Unsupported { node: value.name.clone(), message: "is read before it is made".into() }
    }

    /// Appends a launch.
    pub fn launch(&mut self, launch: Launch) {
        self.launches.push(launch);
    }

    /// Checks that a kernel with `bindings` storage buffers can run on the target.
    pub fn check_bindings(&self, node: &str, bindings: &[Binding]) -> Result<(), CompileError> {
        let limit = self.target.max_storage_buffers_per_shader_stage as usize;
        if bindings.len() <= limit {
            return Ok(());
        }
        Err(CompileError::Unsupported {
            node: node.into(),
            message: format!("needs {} storage buffers at once; the target has {limit}", bindings.len()),
        })
    }
}

/// By value: whether it is a 16-bit float that has 32 bits in memory. States do and what they become, so that they keep
/// all digits that updates add to; and what is moved or chosen from these, or it would equal none of them, as gradients
/// ask.
fn precise(graph: &Graph) -> Vec<bool> {
    let is_half = |id: &ValueId| graph.ty(*id).dtype == DType::F16;
    let mut precise = vec![false; graph.values().len()];
    let updated = graph.updates().iter().map(|update| update.value);
    for id in graph.states().iter().copied().chain(updated).filter(is_half) {
        precise[id.index()] = true;
    }
    for node in graph.nodes() {
        let keeps = match &node.op {
            Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Expand(_) | Op::Concat(_) | Op::Pad(_) => {
                true
            }
            Op::Gather(_) | Op::GatherElements(_) => true,
            Op::Reduce(op) => op.kind.chooses(),
            Op::Scatter(op) => matches!(op.reduction, ScatterReduction::Max | ScatterReduction::Min),
            _ => false,
        };
        if keeps && node.inputs.iter().any(|id| precise[id.index()]) {
            node.outputs.iter().for_each(|id| precise[id.index()] = true);
        }
    }
    precise
}

/// The element type that kernels compute in with what is held as `dtype`.
pub fn computed_type(dtype: DType) -> Storage {
    match dtype {
        DType::F32 | DType::F16 => Storage::F32,
        DType::I32 | DType::I16 | DType::I8 => Storage::I32,
        DType::Bool | DType::U8 | DType::U16 | DType::U32 => Storage::U32,
        DType::I64 => Storage::I64,
        DType::F64 => Storage::F64,
    }
}

/// Bytes of an element in memory.
fn bytes_of(element: Storage) -> Dim {
    i64::try_from(element.size()).unwrap_or(8).into()
}

/// Elements of a tensor in memory: all of it can be read and written four at a time.
fn in_fours(layout: &Layout, shape: &[Dim]) -> Dim {
    layout::round_up(&layout::elements(layout, shape), 4)
}

/// Whether two ways to stride through `shape` visit the same places; dimensions of one element do not matter.
fn same_strides(shape: &[Dim], a: &[Dim], b: &[Dim]) -> bool {
    shape.iter().zip(a.iter().zip(b)).all(|(dim, (x, y))| dim.is(1) || x == y)
}

/// Whether two layouts put `shape` into memory in the same way, padding included.
fn same_memory(shape: &[Dim], a: &Layout, strides_a: &[Dim], b: &Layout, strides_b: &[Dim]) -> bool {
    same_strides(shape, strides_a, strides_b) && layout::elements(a, shape) == layout::elements(b, shape)
}

/// Whether the memory of one tensor read under another shape and layout has the same elements in the same row-major
/// order: both are dense, or they differ only in dimensions of one element.
pub fn reshapes_freely(from: (&[Dim], &Layout), to: (&[Dim], &Layout)) -> bool {
    if layout::elements(from.1, from.0) != layout::elements(to.1, to.0) {
        return false;
    }
    let dense = |(shape, l): (&[Dim], &Layout)| {
        layout::elements(l, shape) == product(shape)
            && same_strides(
                shape,
                &layout::strides(l, shape),
                &layout::strides(&layout::row_major(shape.len(), 1), shape),
            )
    };
    let long = |(shape, l): (&[Dim], &Layout)| {
        let strides = layout::strides(l, shape);
        shape.iter().cloned().zip(strides).filter(|(dim, _)| !dim.is(1)).collect::<Vec<_>>()
    };
    (dense(from) && dense(to)) || long(from) == long(to)
}
