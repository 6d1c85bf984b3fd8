//! `kiln dump --stage kernels`: which kernel was chosen for each group of layers, from what, and why.

use kiln::{Candidate, CompiledProgram, Selection};
use serde_json::{Value, json};

/// For people: each group with all candidates, the chosen one first.
pub(super) fn text(program: &CompiledProgram, target: &str) -> String {
    let mut out = format!(
        "program {} for {target}: {} groups of layers; * is the chosen kernel, times are estimates for comparison\n",
        program.name,
        program.selections.len()
    );
    for selection in &program.selections {
        out += &format!("\n{selection}");
    }
    out
}

/// For programs.
pub(super) fn json(program: &CompiledProgram, target: &str) -> String {
    let groups: Vec<Value> = program.selections.iter().map(selection).collect();
    format!("{:#}\n", json!({ "program": program.name, "target": target, "groups": groups }))
}

fn selection(selection: &Selection) -> Value {
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
