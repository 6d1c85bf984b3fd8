//! Where results go.
//!
//! Most results get a tensor of their own, in the layout their kernel walks in. But a value that is part of a
//! concatenation is written straight to its place there, and one that only the caller reads is written as the caller
//! wants it, so that no copy has to follow.

use std::collections::{HashMap, HashSet};

use kiln_graph::{Dim, Graph, Op, ValueId};
use kiln_plan::Layout;

use super::context::{Contents, Context, StorageId, View};
use crate::error::CompileError;
use crate::fuse::{Fusion, Group};
use crate::layout::{self, channels_last, is_multiple, row_major};

/// The place of a value in a concatenation.
#[derive(Clone, Debug)]
pub struct Home {
    /// The result of the concatenation.
    pub concat: ValueId,
    /// The axis.
    pub axis: usize,
    /// First index along the axis.
    pub start: Dim,
}

/// What is known about concatenations.
#[derive(Default)]
pub struct Homes {
    homes: HashMap<ValueId, Home>,
    /// The tensors of concatenations that are no part of others.
    tensors: HashMap<ValueId, usize>,
    /// Values that have been written to their home.
    arrived: HashSet<ValueId>,
}

/// Finds a home for each value that can be written straight into a concatenation.
///
/// Later concatenations choose first: in a network where each takes all features so far and some more (DenseNet), all
/// of them become prefixes of the last one.
pub fn homes(graph: &Graph, fusion: &Fusion) -> Homes {
    let mut homes: HashMap<ValueId, Home> = HashMap::new();
    let results: HashSet<ValueId> = graph.results().collect();
    let writers: HashMap<ValueId, &Group> =
        fusion.groups.iter().flat_map(|g| g.outputs.iter().map(move |v| (*v, g))).collect();
    for group in fusion.groups.iter().rev() {
        let Some(node) = group.anchor.map(|id| graph.node(id)) else { continue };
        let Op::Concat(op) = &node.op else { continue };
        let concat = node.outputs[0];
        let rank = graph.ty(concat).rank();
        let distinct: HashSet<ValueId> = node.inputs.iter().copied().collect();
        if rank < 3 || distinct.len() < node.inputs.len() {
            continue;
        }
        let mut start = Dim::from(0);
        let mut parts = Vec::new();
        for id in &node.inputs {
            parts.push((*id, start.clone()));
            start = start + graph.ty(*id).shape[op.axis].clone();
        }
        let aligned = op.axis != 1 || parts.iter().all(|(_, start)| is_multiple(start, 4));
        let writes_channels_last = |id: &ValueId| {
            writers.get(id).is_some_and(|group| match group.anchor.map(|id| &graph.node(id).op) {
                None | Some(Op::Conv(_) | Op::Pool(_) | Op::Resize(_) | Op::Concat(_)) => true,
                Some(_) => false,
            })
        };
        if !aligned || !node.inputs.iter().all(writes_channels_last) {
            continue;
        }
        if !results.contains(&concat)
            && let Some(home) = prefix(&homes, &parts, op.axis)
        {
            homes.insert(concat, home);
            continue;
        }
        for (id, start) in parts {
            if !results.contains(&id) && graph.ty(id).dtype == graph.ty(concat).dtype {
                homes.entry(id).or_insert(Home { concat, axis: op.axis, start });
            }
        }
    }
    Homes { homes, ..Homes::default() }
}

/// The home of a concatenation whose parts all lie side by side in another one already.
fn prefix(homes: &HashMap<ValueId, Home>, parts: &[(ValueId, Dim)], axis: usize) -> Option<Home> {
    let first = homes.get(&parts.first()?.0)?.clone();
    let together = parts.iter().all(|(id, start)| {
        homes.get(id).is_some_and(|home| {
            home.concat == first.concat
                && home.axis == axis
                && home.start == first.start.clone() + start.clone()
        })
    });
    together.then_some(first)
}

/// Where the result of a group goes.
pub enum Destination {
    /// A tensor of its own, in the layout the kernel walks in.
    Own,
    /// Dense, as the caller wants it.
    Dense(View, usize),
    /// Part of a concatenation.
    Home(View),
}

impl Destination {
    /// The view through which the kernel stores.
    pub fn view(&self) -> Option<&View> {
        match self {
            Destination::Own => None,
            Destination::Dense(view, _) | Destination::Home(view) => Some(view),
        }
    }
}

/// The output of a kernel that is about to be launched.
#[derive(Clone)]
pub struct Output {
    /// The value.
    pub value: ValueId,
    /// The memory that is written.
    pub storage: StorageId,
    /// The tensor, if it is one.
    pub placed: Option<usize>,
    view: Option<View>,
}

impl Output {
    /// Something that another kernel will make `value` of.
    pub fn part(value: ValueId, storage: StorageId) -> Self {
        Self { value, storage, placed: None, view: None }
    }
}

impl Context<'_> {
    /// Where `value`, which a kernel makes in `layout` while it reads the memory of `group`'s operands, is best put.
    pub fn destination(
        &mut self,
        group: &Group,
        value: ValueId,
        layout: &Layout,
    ) -> Result<Destination, CompileError> {
        let ty = self.graph.ty(value).clone();
        let dense = row_major(ty.rank(), 1);
        let unpadded = layout::elements(layout, &ty.shape) == layout::elements(&dense, &ty.shape);
        let same = unpadded && layout.order == dense.order;
        if self.is_only_result(value) && !same {
            let placed = self.place(value, dense, Contents::Activation)?;
            return Ok(Destination::Dense(self.tensor_view(placed)?, placed));
        }
        if let Some(view) = self.home_view(value)? {
            let mut reads = Vec::new();
            for id in &group.inputs {
                if self.graph.as_constant(*id).is_none() {
                    reads.push(self.view(*id)?.storage);
                }
            }
            if !reads.contains(&view.storage) {
                return Ok(Destination::Home(view));
            }
        }
        Ok(Destination::Own)
    }

    /// The output itself, once it is known whether it can go over a dying operand.
    pub fn output(
        &mut self,
        value: ValueId,
        layout: Layout,
        destination: Destination,
        in_place: Option<StorageId>,
    ) -> Result<Output, CompileError> {
        Ok(match destination {
            Destination::Own => {
                let placed = self.place_over(value, layout, in_place)?;
                Output { value, storage: self.placed[placed].storage, placed: Some(placed), view: None }
            }
            Destination::Dense(view, placed) => {
                Output { value, storage: view.storage, placed: Some(placed), view: None }
            }
            Destination::Home(view) => {
                Output { value, storage: view.storage, placed: None, view: Some(view) }
            }
        })
    }

    /// After the launch: the value can be read.
    pub fn complete(&mut self, output: &Output) -> Result<(), CompileError> {
        if let Some(placed) = output.placed {
            return self.register(output.value, placed);
        }
        if let Some(view) = &output.view {
            self.homes.arrived.insert(output.value);
            self.register_view(output.value, view.clone());
        }
        Ok(())
    }

    /// Whether a part of a concatenation is already in its place there.
    pub fn is_home(&self, part: ValueId, concat: ValueId, start: &Dim) -> bool {
        let home = self.homes.homes.get(&part);
        // A part may have come home to a larger concatenation that this one is a prefix of.
        let outer = self.homes.homes.get(&concat);
        self.homes.arrived.contains(&part)
            && home.is_some_and(|home| {
                home.concat == concat && home.start == *start
                    || outer.is_some_and(|outer| {
                        home.concat == outer.concat && home.start == outer.start.clone() + start.clone()
                    })
            })
    }

    /// Whether some part of a concatenation has been written to its place already.
    pub fn is_at_home(&self, parts: &[ValueId]) -> bool {
        parts.iter().any(|part| self.homes.arrived.contains(part))
    }

    /// How the elements of a concatenation are reached, and its tensor if it is no part of another one. Nothing, if it
    /// cannot be made there: a part that has to be copied lies in the same memory, perhaps as part of the other one.
    pub fn concat_view(
        &mut self,
        concat: ValueId,
        parts: &[(ValueId, Dim)],
    ) -> Result<Option<(View, Option<usize>)>, CompileError> {
        let (view, placed) = match self.home_view(concat)? {
            Some(view) => (view, None),
            None => {
                let placed = self.concat_tensor(concat)?;
                (self.tensor_view(placed)?, Some(placed))
            }
        };
        for (part, start) in parts {
            if !self.is_home(*part, concat, start) && self.view(*part)?.storage == view.storage {
                return Ok(None);
            }
        }
        if placed.is_none() {
            self.homes.arrived.insert(concat);
        }
        Ok(Some((view, placed)))
    }

    fn home_view(&mut self, value: ValueId) -> Result<Option<View>, CompileError> {
        let Some(home) = self.homes.homes.get(&value).cloned() else { return Ok(None) };
        let mut view = match self.home_view(home.concat)? {
            Some(view) => view,
            None => {
                let placed = self.concat_tensor(home.concat)?;
                self.tensor_view(placed)?
            }
        };
        view.base = view.base + &home.start * &view.strides[home.axis];
        // What follows a part's last channels may be another part.
        view.zero_lanes = false;
        Ok(Some(view))
    }

    /// The tensor of a concatenation that is no part of another one, made when first asked for.
    fn concat_tensor(&mut self, concat: ValueId) -> Result<usize, CompileError> {
        if let Some(placed) = self.homes.tensors.get(&concat) {
            return Ok(*placed);
        }
        let placed = self.place(concat, channels_last(self.graph.ty(concat).rank()), Contents::Activation)?;
        self.homes.tensors.insert(concat, placed);
        // Nothing may be computed over its parts before it is complete.
        self.reserve(concat, self.placed[placed].storage);
        Ok(placed)
    }
}
