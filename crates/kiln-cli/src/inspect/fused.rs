//! A program after fusion: its graph, the groups, the launches that these become, and the dispatches that launches share.

use kiln::fuse::Group;
use kiln::graph::Cluster;
use kiln::{Candidate, CompiledProgram, Launched, Selection};
use serde_json::{Value, json};

use super::graph::{Names, dim, graph};

/// The program as JSON; `kernels` are the names of [`Compiled::kernels`](kiln::Compiled::kernels).
pub(crate) fn program(program: &CompiledProgram, kernels: &[String], most: usize) -> Value {
    let names = Names::of(&program.graph);
    let selections = selections(program);
    let groups: Vec<Value> = program
        .fusion
        .groups
        .iter()
        .zip(&selections)
        .enumerate()
        .map(|(n, (one, selection))| group(program, n, one, *selection, &names))
        .collect();
    let launches: Vec<Value> =
        program.schedule.launches.iter().map(|launch| launched(launch, kernels)).collect();
    let dispatches: Vec<Value> = program
        .schedule
        .dispatches
        .iter()
        .map(|one| json!({ "launches": one.launches, "sharing": one.sharing.name() }))
        .collect();
    json!({
        "program": program.name,
        "graph": graph(&program.graph, most),
        "groups": groups,
        "launches": launches,
        "dispatches": dispatches,
    })
}

/// The selection of each group that has one: groups that only make views have none, and those of loops' bodies are not among
/// the groups.
pub(crate) fn selections(program: &CompiledProgram) -> Vec<Option<&Selection>> {
    let mut of = vec![None; program.fusion.groups.len()];
    for selection in program.selections.iter().filter(|selection| !selection.dispatches.is_empty()) {
        if let Some(place) = of.get_mut(selection.place) {
            *place = Some(selection);
        }
    }
    of
}

fn group(
    program: &CompiledProgram,
    number: usize,
    group: &Group,
    selection: Option<&Selection>,
    names: &Names,
) -> Value {
    let graph = &program.graph;
    let mut shown = json!({
        "name": group.name,
        "anchor": group.anchor.map(|id| names.node(graph, id)),
        "prologue": names.nodes(graph, &group.prologue),
        "nodes": names.nodes(graph, &group.nodes),
        "inputs": names.values(&group.inputs),
        "outputs": names.values(&group.outputs),
        // None: its result is another way to read what is there.
        "launches": selection.map_or(0..0, |selection| selection.dispatches.clone()).collect::<Vec<_>>(),
    });
    if let Some(apart) = program.fusion.apart(number) {
        shown["ends"] = json!({
            "reason": apart.reason.name(),
            "node": names.node(graph, apart.node),
            "reader": apart.reader.map(|id| names.node(graph, id)),
            "words": apart.display(&program.fusion, graph).to_string(),
        });
    }
    shown
}

fn launched(launch: &Launched, kernels: &[String]) -> Value {
    json!({
        "name": launch.name,
        "kernel": kernels.get(launch.kernel),
        "workgroups": launch.workgroups.iter().map(dim).collect::<Vec<_>>(),
        "parameters": launch.parameters,
    })
}

/// The nodes of each group, for pictures and functions.
pub(crate) fn clusters(program: &CompiledProgram) -> Vec<Cluster> {
    let groups = program.fusion.groups.iter();
    groups
        .map(|group| {
            let nodes = group.prologue.iter().chain(&group.anchor).chain(&group.nodes).copied();
            (group.name.clone(), nodes.collect())
        })
        .collect()
}

/// A choice with what it was chosen from.
pub(crate) fn selection(selection: &Selection) -> Value {
    let candidates: Vec<Value> =
        selection.candidates.iter().enumerate().map(|(n, c)| candidate(selection, n, c)).collect();
    json!({
        "name": selection.group,
        "problem": selection.problem.to_string(),
        "chosen": selection.choice().to_string(),
        "reason": selection.reason.to_string(),
        "launches": selection.launches,
        "candidates": candidates,
    })
}

fn candidate(selection: &Selection, number: usize, candidate: &Candidate) -> Value {
    json!({
        "choice": candidate.choice.to_string(),
        "admitted": candidate.refusal.is_none(),
        "estimated_ns": candidate.time,
        "launches": candidate.estimate.launches,
        "invocations": candidate.estimate.invocations,
        "work": candidate.estimate.work,
        "bytes": candidate.estimate.bytes,
        "why": selection.reason_of(number),
    })
}
