//! `kiln check`

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use miette::{IntoDiagnostic, Result, bail};
use serde_json::json;

use crate::definition::{is_recipe, refuse_plan};
use crate::model::ModelArguments;
use crate::sizes;
use crate::table::{Align, Table};
use crate::terminal;

/// Arguments of `kiln check`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kiln check net.onnx
  kiln check net.py:Net --input 3,32,32
  kiln check net.onnx --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Rows of what is not supported.
const MOST_ROWS: usize = 200;

/// Lists a model's operators and which of them are not supported; status 1 if there are any.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let model = &arguments.model;
    refuse_plan(&model.model)?;
    if is_recipe(&model.model) {
        bail!(
            "`{}` is a recipe, not a model; give the model that its `model` key names",
            model.model.display()
        );
    }
    if kiln::model::is_source(&model.model) {
        return check_source(arguments);
    }
    let report = kiln::onnx::check(&model.model, &model.import_options()?).into_diagnostic()?;
    let status = if report.unsupported.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) };
    if arguments.json {
        let unsupported: Vec<_> = report
            .unsupported
            .iter()
            .map(|u| json!({ "node": u.node, "operator": u.operator, "opset": u.opset, "reason": u.reason }))
            .collect();
        let conditions = report.graph.as_ref().map(sizes::conditions_json);
        let value = json!({
            "opset": report.opset, "operators": report.operators, "unsupported": unsupported, "sizes": conditions,
        });
        terminal::show_json("check", value)?;
        return Ok(status);
    }
    let mut table = Table::new(&[("operator", Align::Left), ("nodes", Align::Right)]);
    for (operator, count) in &report.operators {
        table.row([operator.clone(), count.to_string()]);
    }
    show!("{table}")?;
    showln!()?;
    if report.unsupported.is_empty() {
        if let Some(graph) = &report.graph {
            sizes::show_conditions(graph)?;
        }
        showln!("operator set {}: everything is supported", report.opset)?;
        return Ok(status);
    }
    let mut table = Table::new(&[
        ("node", Align::Left),
        ("operator", Align::Left),
        ("why it is not supported", Align::Sentence),
    ]);
    for item in report.unsupported.iter().take(MOST_ROWS) {
        table.row([item.node.clone(), item.operator.clone(), item.reason.clone()]);
    }
    show!("{table}")?;
    if let Some(more @ 1..) = report.unsupported.len().checked_sub(MOST_ROWS) {
        showln!("and {more} more (--json lists all)")?;
    }
    showln!("\noperator set {}: {} not supported", report.opset, report.unsupported.len())?;
    Ok(status)
}

/// Source is supported as a whole or reports what is not.
fn check_source(arguments: &Arguments) -> Result<ExitCode> {
    let graph = arguments.model.read()?.graph;
    let mut operators: BTreeMap<&str, usize> = BTreeMap::new();
    for node in graph.nodes() {
        *operators.entry(node.op.name()).or_default() += 1;
    }
    if arguments.json {
        let conditions = sizes::conditions_json(&graph);
        let value = json!({ "operators": operators, "unsupported": [], "sizes": conditions });
        terminal::show_json("check", value)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&[("core operator", Align::Left), ("nodes", Align::Right)]);
    for (operator, count) in operators {
        table.row([operator.to_owned(), count.to_string()]);
    }
    show!("{table}")?;
    showln!()?;
    sizes::show_conditions(&graph)?;
    showln!("everything is supported")?;
    Ok(ExitCode::SUCCESS)
}
