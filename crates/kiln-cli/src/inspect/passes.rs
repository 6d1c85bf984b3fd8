//! What each pass changes.

use std::collections::HashMap;

use kiln::Precision;
use kiln::graph::Graph;
use kiln::passes::{HALVES, INFERENCE, Pass, TRAINING, run};
use miette::{IntoDiagnostic, Result};
use serde_json::{Value, json};

use super::graph::graph;

/// A pass that has run.
pub(crate) struct Ran {
    /// Its name.
    pub name: &'static str,
    /// The graph behind it.
    pub after: Graph,
    /// Lines of the text form that are gone.
    pub removed: Vec<String>,
    /// Those that are new.
    pub added: Vec<String>,
}

/// Runs the passes of an inference plan, or those of a training step, one by one.
pub(crate) fn each(graph: &Graph, precision: Precision, training: bool) -> Result<Vec<Ran>> {
    let mut passes: Vec<(&'static str, Pass)> = if training { TRAINING } else { INFERENCE }.to_vec();
    if precision == Precision::F16 && !training {
        passes.extend(HALVES);
    }
    let mut before = graph.clone();
    let mut ran = Vec::with_capacity(passes.len());
    for (name, pass) in passes {
        let after = run(&[(name, pass)], &before).into_diagnostic()?;
        let (removed, added) = difference(&before, &after);
        before = after.clone();
        ran.push(Ran { name, after, removed, added });
    }
    Ok(ran)
}

/// Lines that only one of the graphs has. A line names what it defines, so their order says nothing.
fn difference(before: &Graph, after: &Graph) -> (Vec<String>, Vec<String>) {
    let lines = |graph: &Graph| graph.to_string().lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(before), lines(after));
    (only(&before, &after), only(&after, &before))
}

fn only(these: &[String], those: &[String]) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for line in those {
        *counts.entry(line).or_default() += 1;
    }
    let mut own = Vec::new();
    for line in these {
        match counts.get_mut(line.as_str()) {
            Some(count) if *count > 0 => *count -= 1,
            Some(_) | None => own.push(line.clone()),
        }
    }
    own
}

/// For people: what was removed behind `-`, what is new behind `+`.
pub(crate) fn text(graph: &Graph, ran: &[Ran]) -> String {
    let mut out = format!("read: {} nodes\n", graph.nodes().len());
    let mut nodes = graph.nodes().len();
    for pass in ran {
        let now = pass.after.nodes().len();
        if pass.removed.is_empty() && pass.added.is_empty() {
            out += &format!("\n{}: changes nothing\n", pass.name);
            continue;
        }
        out += &format!("\n{}: {nodes} nodes become {now}\n", pass.name);
        nodes = now;
        out.extend(pass.removed.iter().map(|line| format!("- {line}\n")));
        out.extend(pass.added.iter().map(|line| format!("+ {line}\n")));
    }
    out
}

/// For programs: the graph as it was read, and behind each pass that changed something.
pub(crate) fn json(read: &Graph, ran: &[Ran], most: usize) -> Value {
    let pass = |pass: &Ran| {
        let mut shown = json!({ "name": pass.name, "removed": pass.removed, "added": pass.added });
        if !(pass.removed.is_empty() && pass.added.is_empty()) {
            shown["graph"] = graph(&pass.after, most);
        }
        shown
    };
    json!({ "graph": graph(read, most), "passes": ran.iter().map(pass).collect::<Vec<_>>() })
}
