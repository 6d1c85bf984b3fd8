//! A plan as text and as JSON: memory, tensors, dispatches.

use kiln::Plan;
use serde_json::{Value, json};

use crate::metadata;
use crate::table::{Align, Table, bytes, shorten};

/// Characters of a name outside of tables.
const MOST_NAME: usize = 200;

/// For people; tables are at most `most` characters wide.
pub(crate) fn text(plan: &Plan, most: Option<usize>) -> String {
    let text = |expr: &kiln::Expr| expr.text(&plan.symbols);
    let mut out =
        format!("plan {} by {}\n", shorten(&plan.name, MOST_NAME), shorten(&plan.producer, MOST_NAME));
    for symbol in &plan.symbols {
        out += &format!("{} from 1 to {}\n", shorten(&symbol.name, MOST_NAME), symbol.max);
    }
    let needs = needs(plan);
    if !needs.is_empty() {
        out += &format!("needs a device with {}\n", needs.join(", "));
    }
    for (what, known) in metadata::lines(&plan.metadata) {
        out += &format!("{what}: {known}\n");
    }
    out += "\n";
    let mut buffers = Table::new(&[("buffer", Align::Left), ("for", Align::Left), ("size", Align::Right)]);
    for buffer in &plan.buffers {
        buffers.row([buffer.name.clone(), format!("{:?}", buffer.kind).to_lowercase(), bytes(buffer.size)]);
    }
    out += &format!("{}\n", buffers.lines(most));
    for program in &plan.programs {
        out += &format!("program {}\n\n", shorten(&program.name, MOST_NAME));
        let mut dispatches = Table::new(&[
            ("", Align::Right),
            ("layers", Align::Left),
            ("kernel", Align::Left),
            ("workgroups", Align::Whole),
            ("reads and writes", Align::Sentence),
        ]);
        for (n, dispatch) in program.dispatches.iter().enumerate() {
            let groups: Vec<String> = dispatch.workgroups.iter().map(text).filter(|n| n != "1").collect();
            let bindings: Vec<String> = dispatch
                .bindings
                .iter()
                .map(|range| {
                    let buffer = plan.buffers.get(range.buffer).map_or("?", |b| b.name.as_str());
                    format!("{buffer}+{:#x}", range.offset)
                })
                .collect();
            let shader = plan.shaders.get(dispatch.shader).map_or("?", |s| s.name.as_str());
            let groups = if groups.is_empty() { "1".into() } else { groups.join(" x ") };
            dispatches.row([
                n.to_string(),
                dispatch.name.clone(),
                shader.to_owned(),
                groups,
                bindings.join(", "),
            ]);
        }
        out += &dispatches.lines(most);
        if !program.repeats.is_empty() {
            let mut repeats =
                Table::new(&[("loop", Align::Left), ("dispatches", Align::Left), ("steps", Align::Left)]);
            for repeat in &program.repeats {
                let range = repeat.dispatches();
                let last = range.end.saturating_sub(1);
                repeats.row([repeat.name.clone(), format!("{} to {last}", range.start), text(&repeat.steps)]);
            }
            out += &format!("\n{}", repeats.lines(most));
        }
    }
    out
}

/// Features that not every device has.
fn needs(plan: &Plan) -> Vec<String> {
    let needs = &plan.requirements;
    let subgroups = needs.subgroup_size.map(|size| format!("subgroups of {size}"));
    let features = [
        (needs.shader_f16, "16-bit floats in kernels"),
        (needs.shader_int64, "64-bit integers in kernels"),
        (needs.shader_float64, "64-bit floats in kernels"),
    ];
    let features = features.into_iter().filter(|(needed, _)| *needed).map(|(_, what)| what.to_owned());
    subgroups.into_iter().chain(features).collect()
}

/// For programs.
pub(crate) fn json(plan: &Plan) -> Value {
    let text = |expr: &kiln::Expr| expr.text(&plan.symbols);
    let tensors: Vec<_> = plan
        .tensors
        .iter()
        .map(|t| {
            json!({
                "name": t.name, "dtype": t.dtype.name(), "storage": t.storage.name(), "shape": t.shape.iter().map(text).collect::<Vec<_>>(),
                "order": t.layout.order, "lanes": t.layout.lanes,
                "buffer": t.place.buffer, "offset": t.place.offset, "size": t.place.size,
            })
        })
        .collect();
    let programs: Vec<_> = plan
        .programs
        .iter()
        .map(|p| {
            let dispatches: Vec<_> = p
                .dispatches
                .iter()
                .map(|d| {
                    json!({
                        "name": d.name,
                        "shader": d.shader,
                        "workgroups": d.workgroups.iter().map(text).collect::<Vec<_>>(),
                        "bindings": d.bindings.iter().map(|r| json!([r.buffer, r.offset, r.size])).collect::<Vec<_>>(),
                        "writes": d.writes,
                        "flops": text(&d.flops),
                    })
                })
                .collect();
            let output = |o: &kiln::plan::OutputRef| {
                let sizes: Vec<_> = o.sizes.iter().map(|s| json!({ "axis": s.axis, "tensor": s.tensor })).collect();
                json!({ "name": o.name, "tensor": o.tensor, "sizes": sizes })
            };
            let outputs: Vec<_> = p.outputs.iter().map(output).collect();
            let repeats: Vec<_> = p
                .repeats
                .iter()
                .map(|r| json!({ "name": r.name, "first": r.first, "count": r.count, "steps": text(&r.steps) }))
                .collect();
            json!({
                "name": p.name, "inputs": p.inputs, "outputs": outputs, "dispatches": dispatches, "repeats": repeats,
            })
        })
        .collect();
    json!({
        "name": plan.name,
        "producer": plan.producer,
        "needs": needs(plan),
        "metadata": plan.metadata.to_properties(),
        "symbols": plan.symbols.iter().map(|s| json!({ "name": s.name, "max": s.max })).collect::<Vec<_>>(),
        "buffers": plan.buffers.iter().map(|b| json!({ "name": b.name, "kind": format!("{:?}", b.kind).to_lowercase(), "size": b.size })).collect::<Vec<_>>(),
        "tensors": tensors,
        "shaders": plan.shaders.iter().map(|s| s.name.clone()).collect::<Vec<_>>(),
        "programs": programs,
    })
}
