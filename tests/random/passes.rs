//! Every pass by itself keeps the meaning, all of them one after the other do, and so does fusion.

use std::collections::HashSet;

use kiln::Graph;
use kiln::fuse::{FuseLimits, fuse};
use kiln::graph::{Def, Op, Precision, ValueId, compare, evaluate};
use kiln::passes;

use crate::recipe::Case;

/// Of the largest element. What runs is f64, but folded weights are stored as f32: that rounding is what is seen here.
const TOLERANCE: f64 = 1e-5;

pub(crate) fn check(case: &Case) -> Result<(), String> {
    let inference = passes::INFERENCE.iter();
    for (name, pass) in inference.chain(passes::TRAINING) {
        let after = pass(&case.graph).map_err(|error| format!("{name}: {error}"))?;
        same(case, &after).map_err(|message| format!("{name} alone: {message}"))?;
    }
    for (list, passes) in [("inference", passes::INFERENCE), ("training", passes::TRAINING)] {
        let mut graph = case.graph.clone();
        for (name, pass) in passes {
            graph = pass(&graph).map_err(|error| format!("{name}: {error}"))?;
            same(case, &graph).map_err(|message| format!("{name}, for {list}: {message}"))?;
        }
        in_groups(&graph).map_err(|message| format!("fusion, for {list}: {message}"))?;
    }
    Ok(())
}

/// Whether a graph gives the answers that it should.
fn same(case: &Case, graph: &Graph) -> Result<(), String> {
    graph.verify().map_err(|error| error.to_string())?;
    let found = evaluate(graph, &case.inputs, Precision::F64).map_err(|error| error.to_string())?;
    for answer in &case.answers {
        let found = found.output(&answer.name).ok_or_else(|| format!("`{}` is gone", answer.name))?;
        if found.shape() != answer.double.shape() || found.dtype() != answer.double.dtype() {
            return Err(format!("`{}` is {}, but was {}", answer.name, found.ty(), answer.double.ty()));
        }
        let (found, expected) = (found.to_f64(), answer.double.to_f64());
        let allowed = TOLERANCE * compare::largest(&expected, 0.1) + 3.0 * answer.doubt();
        let apart = compare::farthest(&expected, &found);
        if apart > allowed {
            return Err(format!("`{}` is off by {apart:e}", answer.name));
        }
    }
    Ok(())
}

/// Whether the groups can run one after the other: each reads what was given or left by groups before it, and of what
/// it makes nothing is read later but its outputs.
fn in_groups(graph: &Graph) -> Result<(), String> {
    let fusion = fuse(graph, &FuseLimits::default());
    let given = |id: &ValueId| !matches!(graph.value(*id).def, Def::Node { .. });
    let mut there: HashSet<ValueId> = graph.value_ids().filter(given).collect();
    let mut nodes = 0;
    for group in &fusion.groups {
        let mut inside = HashSet::new();
        for id in group.prologue.iter().chain(&group.anchor).chain(&group.nodes) {
            let node = graph.node(*id);
            nodes += usize::from(!matches!(node.op, Op::Size(_)));
            let missing = node.inputs.iter().find(|input| {
                let size = kiln::fuse::is_size(graph, **input);
                !there.contains(*input) && !inside.contains(*input) && !size
            });
            if let Some(missing) = missing {
                return Err(format!("`{}` reads `{}` too early", node.name, graph.value(*missing).name));
            }
            inside.extend(node.outputs.iter().copied());
        }
        if let Some(output) = group.outputs.iter().find(|output| !inside.contains(*output)) {
            return Err(format!("`{}` does not make `{}`", group.name, graph.value(*output).name));
        }
        there.extend(group.outputs.iter().copied());
    }
    // Sizes need no group: they are parameters of whoever reads them.
    let all = graph.nodes().iter().filter(|node| !matches!(node.op, Op::Size(_))).count();
    if nodes < all {
        return Err(format!("{} nodes are in no group", all - nodes));
    }
    let missing = graph.results().find(|id| !there.contains(id));
    missing.map_or(Ok(()), |id| Err(format!("`{}` stays within a group", graph.value(id).name)))
}
