//! `kiln dump --stage kernels`: which kernel was chosen for each group of layers, from what, and why.

use kiln::CompiledProgram;
use serde_json::{Value, json};

use crate::inspect::fused;

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
pub(super) fn json(program: &CompiledProgram, target: &str) -> Value {
    let groups: Vec<Value> = program.selections.iter().map(fused::selection).collect();
    json!({ "program": program.name, "target": target, "groups": groups })
}
