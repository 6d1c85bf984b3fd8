//! The step in which the backward pass reads copies of what is not kept.

use std::collections::{BTreeSet, HashMap};

use kiln_graph::{Graph, GraphError, NodeId, Rewriter, ValueId};

/// The graph whose backward pass computes again what it reads of the forward pass and what is not in `kept`, right before the
/// first node that reads it, and the nodes that it computes again.
pub(super) fn recomputed(
    graph: &Graph,
    is_forward: &[bool],
    kept: &[bool],
) -> Result<(Graph, Vec<NodeId>), GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    let mut copies: HashMap<ValueId, ValueId> = HashMap::new();
    let mut again = Vec::new();
    let is_missing =
        |id: ValueId| graph.producer(id).is_some_and(|maker| is_forward[maker.index()]) && !kept[id.index()];
    for id in graph.node_ids() {
        let node = graph.node(id);
        if is_forward[id.index()] {
            rewriter.copy(id)?;
            continue;
        }
        let missing = |copies: &HashMap<_, _>, id: &ValueId| is_missing(*id) && !copies.contains_key(id);
        let mut makers = BTreeSet::new();
        let mut open: Vec<ValueId> = node.inputs.clone();
        while let Some(value) = open.pop() {
            if !missing(&copies, &value) {
                continue;
            }
            let Some(maker) = graph.producer(value).filter(|maker| !makers.contains(&maker.index())) else {
                continue;
            };
            makers.insert(maker.index());
            open.extend(&graph.node(maker).inputs);
        }
        // In the order of the nodes, each comes after what it reads.
        for maker in graph.node_ids().filter(|maker| makers.contains(&maker.index())) {
            let old = graph.node(maker);
            let inputs = inputs(&mut rewriter, &copies, old.inputs.as_slice())?;
            let outputs = rewriter.graph.apply(old.name.clone(), old.op.clone(), &inputs)?;
            copies.extend(old.outputs.iter().copied().zip(outputs));
            again.push(maker);
        }
        let inputs = inputs(&mut rewriter, &copies, &node.inputs)?;
        let outputs = rewriter.graph.apply(node.name.clone(), node.op.clone(), &inputs)?;
        for (old, new) in node.outputs.iter().zip(outputs) {
            rewriter.map(*old, new);
        }
    }
    Ok((rewriter.finish()?, again))
}

/// The values that a node reads: copies, where there are some.
fn inputs(
    rewriter: &mut Rewriter<'_>,
    copies: &HashMap<ValueId, ValueId>,
    old: &[ValueId],
) -> Result<Vec<ValueId>, GraphError> {
    old.iter().map(|id| copies.get(id).map_or_else(|| rewriter.get(*id), |copy| Ok(*copy))).collect()
}
