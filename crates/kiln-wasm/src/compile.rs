//! From the bytes of a model to those of a plan.

use kiln::torch::state_dict::StateDict;
use kiln::{Compiled, Error, Metadata, Model, Options, compile_training};
use serde_json::json;

use crate::Request;

/// A plan, and what is said of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The plan's file.
    pub plan: Vec<u8>,
    /// What a page may want to show, as JSON.
    pub report: String,
}

/// Compiles a model for a request, which is JSON. Weights are a state dict; none if there are no bytes. Errors are texts in
/// the terms of whoever made the file.
pub fn compile(model: Vec<u8>, weights: Vec<u8>, request: &[u8]) -> Result<Answer, String> {
    let request = Request::parse(request)?;
    let (model, notes) = read(model, weights, &request)?;
    let options = request.options(&model.graph)?;
    let compiled = compiled(&model, &request, options)?;
    let plan = compiled.plan.to_bytes().map_err(|error| error.to_string())?;
    let symbols = compiled.plan.symbols.iter();
    let report = json!({
        "target": compiled.plan.target,
        "dispatches": compiled.plan.programs.iter().map(|program| program.dispatches.len()).sum::<usize>(),
        "kernels": compiled.plan.shaders.len(),
        "weightBytes": compiled.memory.weights,
        "activationBytes": compiled.memory.activations,
        "symbols": symbols.map(|s| (s.name.clone(), s.max)).collect::<std::collections::BTreeMap<_, _>>(),
        "untrained": model.untrained,
        "notes": notes,
    });
    Ok(Answer { plan, report: report.to_string() })
}

fn read(bytes: Vec<u8>, weights: Vec<u8>, request: &Request) -> Result<(Model, Vec<String>), String> {
    let options = request.model_options()?;
    if bytes.starts_with(b"KILNPLAN") {
        return Err("the file is a plan already: `load` takes it as it is".into());
    }
    let name = if request.name.is_empty() { "model.onnx" } else { &request.name };
    let path = name.as_ref();
    let mut model = if kiln::model::is_source(path) {
        let text =
            String::from_utf8(bytes).map_err(|_| format!("`{name}` is not Python: its text is not UTF-8"))?;
        Model::from_source(&text, path, &options.source)
    } else {
        Model::from_onnx(&bytes, &options.onnx)
    }
    .map_err(said)?;
    let mut notes = model.warnings.clone();
    if !weights.is_empty() {
        let file = if request.weights_name.is_empty() { "the weights" } else { &request.weights_name };
        let dict = StateDict::from_bytes(&weights).map_err(|error| format!("`{file}`: {error}"))?;
        drop(weights);
        let fit = model
            .load_state_dict(&dict, request.partial_weights)
            .map_err(|error| format!("`{file}`: {error}"))?;
        notes.extend(fit.notes.iter().cloned());
        if !fit.is_perfect() {
            notes.push(format!("only the weights of `{file}` that fit were loaded\n{fit}"));
        }
    }
    if !request.metadata.is_empty() {
        let mut properties = model.metadata.to_properties();
        properties.extend(request.metadata.clone());
        model.metadata = Metadata::from_properties(&properties).map_err(|error| error.to_string())?;
    }
    Ok((model, notes))
}

fn compiled(model: &Model, request: &Request, options: Options) -> Result<Compiled, String> {
    let mut compiled = match &request.train {
        Some(train) => {
            let training = train.training(&model.graph, request)?;
            let training = model.training(training, &train.unfreeze).map_err(said)?;
            compile_training(&model.graph, &training, &options)
        }
        None => kiln::compile(&model.graph, &options),
    }
    .map_err(|error| error.to_string())?;
    compiled.plan.metadata.clone_from(&model.metadata);
    Ok(compiled)
}

/// Errors of source show the line.
fn said(error: Error) -> String {
    match error {
        Error::Source(error) => error.report().trim_end().to_owned(),
        other => other.to_string(),
    }
}
