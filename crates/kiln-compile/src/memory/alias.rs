//! Parts of concatenations that are written straight into the concatenation.

use std::collections::{HashMap, HashSet};

use kiln_graph::{Dim, Graph, Op, ValueId};

use super::buffer::TensorId;
use crate::fuse::{Fusion, Group};
use crate::layout::is_multiple;

/// The place of a value in a concatenation.
#[derive(Clone, Debug)]
pub(crate) struct ConcatAlias {
    /// The result of the concatenation.
    pub concat: ValueId,
    /// The axis.
    pub axis: usize,
    /// First index along the axis.
    pub start: Dim,
}

/// What is known about concatenations.
#[derive(Default)]
pub(crate) struct ConcatAliases {
    places: HashMap<ValueId, ConcatAlias>,
    /// The tensors of concatenations that are not part of others.
    pub tensors: HashMap<ValueId, TensorId>,
    /// Values that have been written to their place.
    pub written: HashSet<ValueId>,
}

impl ConcatAliases {
    /// The place of a value in a concatenation, if it has one.
    pub(crate) fn place(&self, value: ValueId) -> Option<&ConcatAlias> {
        self.places.get(&value)
    }

    /// Whether a part of a concatenation has been written to its place there.
    pub(crate) fn is_in_place(&self, part: ValueId, concat: ValueId, start: &Dim) -> bool {
        // A part may have been written to a larger concatenation that this one is a prefix of.
        let outer = self.places.get(&concat);
        self.written.contains(&part)
            && self.places.get(&part).is_some_and(|place| {
                place.concat == concat && place.start == *start
                    || outer.is_some_and(|outer| {
                        place.concat == outer.concat && place.start == outer.start.clone() + start.clone()
                    })
            })
    }
}

/// Finds a place for each value that can be written straight into a concatenation.
///
/// Later concatenations choose first: in a network where each takes all features so far and some more (DenseNet), all
/// of them become prefixes of the last one.
pub(crate) fn concat_aliases(graph: &Graph, fusion: &Fusion) -> ConcatAliases {
    let mut places: HashMap<ValueId, ConcatAlias> = HashMap::new();
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
            && let Some(place) = prefix(&places, &parts, op.axis)
        {
            places.insert(concat, place);
            continue;
        }
        for (id, start) in parts {
            if !results.contains(&id) && graph.ty(id).dtype == graph.ty(concat).dtype {
                places.entry(id).or_insert(ConcatAlias { concat, axis: op.axis, start });
            }
        }
    }
    ConcatAliases { places, ..ConcatAliases::default() }
}

/// The place of a concatenation whose parts are all adjacent in another one already.
fn prefix(
    places: &HashMap<ValueId, ConcatAlias>,
    parts: &[(ValueId, Dim)],
    axis: usize,
) -> Option<ConcatAlias> {
    let first = places.get(&parts.first()?.0)?.clone();
    let together = parts.iter().all(|(id, start)| {
        places.get(id).is_some_and(|place| {
            place.concat == first.concat
                && place.axis == axis
                && place.start == first.start.clone() + start.clone()
        })
    });
    together.then_some(first)
}
