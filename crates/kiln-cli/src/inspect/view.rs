//! All that is known between a model and its plans, for the page of `kiln view`.

use std::collections::HashMap;

use kiln::graph::text::SHOWN_ELEMENTS;
use kiln::{Compiled, CompiledProgram, Model, Plan, Profile};
use serde_json::{Value, json};

use super::graph::graph;
use super::passes::Ran;
use super::{fused, passes};

/// The kernels of all plans, each text once.
#[derive(Default)]
pub(crate) struct Kernels {
    by_text: HashMap<String, usize>,
    all: Vec<Value>,
}

impl Kernels {
    fn number(&mut self, name: &str, wgsl: &str) -> usize {
        if let Some(number) = self.by_text.get(wgsl) {
            return *number;
        }
        self.all.push(json!({ "name": name, "wgsl": wgsl }));
        self.by_text.insert(wgsl.to_owned(), self.all.len() - 1);
        self.all.len() - 1
    }

    /// As JSON.
    pub(crate) fn into_json(self) -> Value {
        Value::Array(self.all)
    }
}

/// What was measured of a program, and on which device.
pub(crate) struct Measured {
    /// The times.
    pub profile: Profile,
    /// The device.
    pub device: String,
}

/// The stages before there are kernels: as read, and behind each pass.
pub(crate) fn first_stages(model: &Model, read: &kiln::Graph, ran: &[Ran]) -> Vec<Value> {
    let mut stages = vec![json!({
        "name": "import", "title": "As read", "about": "The model in core operators, unchanged.",
        "graph": graph(&model.graph, SHOWN_ELEMENTS),
    })];
    let document = passes::json(read, ran, SHOWN_ELEMENTS);
    for pass in document["passes"].as_array().into_iter().flatten() {
        // What has not changed is on the page once.
        let changed = pass.get("graph");
        let name = pass["name"].as_str().unwrap_or_default();
        stages.push(json!({
            "name": name,
            "title": format!("Pass {name}"),
            "about": "The graph behind this pass of an inference plan.",
            "changed": changed.is_some(),
            "graph": changed,
            "removed": pass["removed"], "added": pass["added"],
        }));
    }
    stages
}

/// A graph without kernels.
pub(crate) fn graph_stage(name: &str, title: &str, about: &str, of: &kiln::Graph) -> Value {
    json!({ "name": name, "title": title, "about": about, "graph": graph(of, SHOWN_ELEMENTS) })
}

/// A program with its kernels, dispatches and memory.
pub(crate) fn program_stage(
    [name, title, about]: [&str; 3],
    compiled: &Compiled,
    program: &CompiledProgram,
    kernels: &mut Kernels,
    measured: Option<&Measured>,
) -> Value {
    let plan = &compiled.plan;
    let mut stage = fused::program(program, &[], SHOWN_ELEMENTS);
    stage["name"] = json!(name);
    stage["title"] = json!(title);
    stage["about"] = json!(about);
    let selections = fused::selections(program);
    if let Some(groups) = stage["groups"].as_array_mut() {
        for (group, selection) in groups.iter_mut().zip(selections) {
            group["selection"] = selection.map_or(Value::Null, fused::selection);
        }
    }
    if let Some(launches) = stage["launches"].as_array_mut() {
        for (shown, launch) in launches.iter_mut().zip(&program.schedule.launches) {
            let kernel = compiled.kernels.get(launch.kernel);
            shown["kernel"] = kernel.map_or(Value::Null, |k| json!(kernels.number(&k.name, &k.wgsl)));
        }
    }
    let listed = plan.program(&program.name).map(|program| &program.dispatches[..]).unwrap_or_default();
    if let Some(dispatches) = stage["dispatches"].as_array_mut() {
        for (shown, dispatch) in dispatches.iter_mut().zip(listed) {
            let kernel = plan.shaders.get(dispatch.shader);
            shown["kernel"] = kernel.map_or(Value::Null, |k| json!(kernels.number(&k.name, &k.wgsl)));
            shown["name"] = json!(dispatch.name);
        }
    }
    memory(&mut stage, plan, program);
    if let Some(Measured { profile, device }) = measured {
        let mut times = profile.kernels.iter().peekable();
        // A dispatch of a loop without steps has no time.
        let time = |dispatch: &kiln::plan::Dispatch| {
            times.next_if(|time| time.name == dispatch.name).map_or(0.0, |time| time.seconds)
        };
        let seconds: Vec<f64> = listed.iter().map(time).collect();
        stage["profile"] = json!({ "device": device, "seconds": seconds });
    }
    stage
}

fn memory(stage: &mut Value, plan: &Plan, program: &CompiledProgram) {
    let arenas = plan
        .buffers
        .iter()
        .enumerate()
        .filter(|(_, buffer)| matches!(buffer.kind, kiln::plan::BufferKind::Arena));
    stage["arenas"] =
        arenas.map(|(n, buffer)| json!({ "index": n, "name": buffer.name, "size": buffer.size })).collect();
    let live = program.schedule.memory.iter().map(|live| {
        json!({
            "name": live.name, "buffer": live.buffer, "offset": live.offset, "size": live.size,
            "first": live.first, "last": live.last,
        })
    });
    stage["memory"] = live.collect();
}
