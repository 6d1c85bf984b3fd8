//! Who reads what, for passes that only change what nobody else reads.

use kiln_graph::Graph;

/// How often each value is read, by nodes and as a result.
pub(super) fn uses(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.values().len()];
    for input in graph.nodes().iter().flat_map(|node| &node.inputs).copied().chain(graph.results()) {
        uses[input.index()] += 1;
    }
    uses
}
