//! A part of a model: what lies before some of its nodes.

use std::collections::HashSet;

use super::order::{each_read, order};
use crate::error::ImportError;
use crate::names::Namer;
use crate::proto::{GraphProto, ValueInfoProto};

/// Takes the nodes that `names` name away, and everything that is computed from them. A name is that of a node or of a
/// value; of a value, whatever reads it goes. The values at the cut become outputs, behind those outputs of the model that
/// are left.
pub(crate) fn cut(graph: &mut GraphProto, names: &[String]) -> Result<(), ImportError> {
    if names.is_empty() {
        return Ok(());
    }
    let order = order(&graph.node)?;
    let made: HashSet<&str> = graph.node.iter().flat_map(|node| &node.output).map(String::as_str).collect();
    // What messages call nodes.
    let mut namer = Namer::new(&graph.node);
    let mut called = vec![String::new(); graph.node.len()];
    for index in &order {
        if let (Some(node), Some(called)) = (graph.node.get(*index), called.get_mut(*index)) {
            *called = namer.name(node, None);
        }
    }
    for name in names {
        let is_node =
            graph.node.iter().zip(&called).any(|(node, called)| node.name == *name || called == name);
        let is_value = made.contains(name.as_str()) || graph.input.iter().any(|input| input.name == *name);
        if name.is_empty() || !is_node && !is_value {
            return Err(ImportError::UnknownCut { name: name.clone() });
        }
    }
    // Names of values that are not computed any more, and values that the host goes on with.
    let (mut gone, mut kept, mut at_cut) = (HashSet::new(), vec![false; graph.node.len()], Vec::new());
    for index in order {
        let Some(node) = graph.node.get(index) else { continue };
        let mut reads = Vec::new();
        each_read(node, &mut |name| reads.push(name));
        let called = called.get(index).map(String::as_str).unwrap_or_default();
        let is_cut = names.iter().any(|name| node.name == *name || called == name || reads.contains(&name.as_str()))
            // A node without a name goes by its first output.
            || node.name.is_empty() && node.output.first().is_some_and(|output| names.contains(output));
        if is_cut || reads.iter().any(|name| gone.contains(name)) {
            gone.extend(node.output.iter().map(String::as_str).filter(|name| !name.is_empty()));
            at_cut.extend(reads);
        } else if let Some(kept) = kept.get_mut(index) {
            *kept = true;
        }
    }
    let mut outputs: Vec<ValueInfoProto> =
        graph.output.iter().filter(|output| !gone.contains(output.name.as_str())).cloned().collect();
    for name in at_cut {
        let is_new = outputs.iter().all(|output| output.name != name);
        if is_new && made.contains(name) && !gone.contains(name) {
            let known = graph.value_info.iter().find(|info| info.name == name).cloned();
            outputs.push(known.unwrap_or_else(|| ValueInfoProto { name: name.into(), ..Default::default() }));
        }
    }
    let mut kept = kept.into_iter();
    graph.node.retain(|_| kept.next().unwrap_or(true));
    graph.output = outputs;
    Ok(())
}
