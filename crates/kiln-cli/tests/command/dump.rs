//! What `kiln dump` writes for programs: a graph can be built from its JSON again, the example in the documentation reads it,
//! and fusion says why.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use super::{command, kiln, words};

fn dumped(arguments: &str) -> Value {
    let output = kiln(&format!("dump {arguments}"));
    assert!(output.status.success(), "{arguments}: {}", words(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn items<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// The text form of a graph from its JSON, which knows nothing else.
fn rebuilt(graph: &Value) -> String {
    let mut out = format!("graph {:?}\n", text(&graph["name"]));
    let mark = |name: &Value| {
        let value = items(graph, "values").iter().find(|value| value["name"] == *name).expect("a value");
        let stored = matches!(value["from"].as_str(), Some("constant" | "state"));
        format!("{}{:?}", if stored { '@' } else { '%' }, text(name))
    };
    let marks = |names: &[Value]| names.iter().map(mark).collect::<Vec<_>>().join(", ");
    let ty = |value: &Value| format!("{}{}", text(&value["type"]), text(&value["shape"]));
    let mut nodes = items(graph, "nodes").iter();
    for value in items(graph, "values") {
        let name = mark(&value["name"]);
        let original =
            value.get("original").map(|name| format!(" name={:?}", text(name))).unwrap_or_default();
        match value["from"].as_str() {
            Some("input") => out += &format!("input {name}{original} : {}\n", ty(value)),
            Some(from @ ("constant" | "state")) => {
                let word = if from == "state" { "state" } else { "const" };
                out += &format!("{word} {name}{original} : {} = {}\n", ty(value), text(&value["data"]));
            }
            _ if nodes.as_slice().first().is_some_and(|node| node["outputs"][0] == value["name"]) => {
                let node = nodes.next().expect("a node");
                let attributes = node["attributes"].as_object().expect("attributes").iter();
                let attributes =
                    attributes.filter(|(_, value)| **value != Value::Bool(false)).map(|(name, value)| {
                        if *value == Value::Bool(true) {
                            format!(" {name}")
                        } else {
                            format!(" {name}={}", text(value))
                        }
                    });
                out += &format!(
                    "{} = {}({}){} name={:?}\n",
                    marks(items(node, "outputs")),
                    text(&node["operator"]),
                    marks(items(node, "inputs")),
                    attributes.collect::<String>(),
                    text(&node["layer"]),
                );
            }
            _ => {}
        }
    }
    for output in items(graph, "outputs") {
        out += &format!("output {:?} = {}\n", text(&output["name"]), mark(&output["value"]));
    }
    for update in items(graph, "updates") {
        out += &format!("update {} = {}\n", mark(&update["state"]), mark(&update["value"]));
    }
    out
}

#[test]
fn graphs_are_built_again_from_their_json() {
    for (arguments, nodes) in [
        ("tests/oracles/fixtures/net/model.onnx", 10),
        ("tests/oracles/fixtures/net_res_deep-preserve/model.onnx", 10),
        ("tests/oracles/fixtures/lenet5/model.onnx --stage fused", 8),
        ("tests/oracles/fixtures/net_batch_norm/model.onnx --stage step", 60),
    ] {
        let dump = dumped(&format!("{arguments} --format json --data"));
        assert_eq!((&dump["format"], &dump["version"]), (&"kiln-dump".into(), &1.into()), "{arguments}");
        let graph =
            kiln::graph::text::parse(&rebuilt(&dump["graph"])).unwrap_or_else(|e| panic!("{arguments}: {e}"));
        assert!(graph.nodes().len() >= nodes, "{arguments}: {} nodes", graph.nodes().len());
        let again = kiln(&format!("dump {arguments}"));
        // As text, a fused graph is shown by kernels.
        if !arguments.contains("--stage") {
            assert_eq!(graph.to_string(), String::from_utf8_lossy(&again.stdout), "{arguments}");
        }
        let names: Vec<_> = graph.values().iter().zip(items(&dump["graph"], "values")).collect();
        for (value, said) in names {
            let shape: Vec<String> = value.ty.shape.iter().map(ToString::to_string).collect();
            let said: Vec<String> = items(said, "shape").iter().map(text).collect();
            assert_eq!(shape, said, "{arguments}: {}", value.name);
        }
    }
}

#[test]
fn the_example_reads_a_dump() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = root.join("docs/examples/read_dump.py");
    let shown = std::fs::read_to_string(root.join("docs/dump.md")).expect("the page");
    let source = std::fs::read_to_string(&script).expect("the example");
    assert!(shown.contains(source.trim_end()), "docs/dump.md shows another script");
    let dump = kiln("dump tests/oracles/fixtures/net/model.onnx --format json");
    let python = std::process::Command::new("python3")
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else {
        super::skip::skipped("there is no python3");
        return;
    };
    python.stdin.take().expect("a pipe").write_all(&dump.stdout).expect("the dump is read");
    let output = python.wait_with_output().expect("the example ends");
    assert!(output.status.success());
    let said = words(&output.stdout);
    assert!(said.contains("conv(input: f32['N', 3, 32, 32], conv1.weight: f32[16, 3, 3, 3])"), "{said}");
}

#[test]
fn fusion_says_why_it_ends() {
    let said = words(&kiln("dump models/resnet.py:resnet18 --stage fused --why --target portable").stdout);
    for reason in [
        "`layer1.0.conv2` (conv) reads its operands from memory",
        "`layer1.0.add` (add) is in the kernel `layer1.0.conv2 + bn2 + add + relu` already",
    ] {
        assert!(said.contains(reason), "{reason} is missing in {said}");
    }
    let step =
        dumped("tests/oracles/fixtures/net_batch_norm/model.onnx --stage step --target gpu --format json");
    let groups = items(&step, "groups");
    let reasons: Vec<&str> = groups.iter().filter_map(|group| group["ends"]["reason"].as_str()).collect();
    for reason in ["reads_memory", "several_kernels", "result"] {
        assert!(reasons.contains(&reason), "no group ends for {reason}: {reasons:?}");
    }
    // Each launch is in one dispatch, and some share one.
    let mut launches: Vec<u64> = items(&step, "dispatches")
        .iter()
        .flat_map(|d| items(d, "launches"))
        .filter_map(Value::as_u64)
        .collect();
    launches.sort_unstable();
    assert_eq!(launches, (0..items(&step, "launches").len() as u64).collect::<Vec<_>>());
    assert!(items(&step, "dispatches").len() < launches.len());
}

#[test]
fn passes_say_what_they_change() {
    let dump =
        dumped("tests/oracles/fixtures/net_batch_norm-preserve/model.onnx --stage passes --format json");
    let affine = items(&dump, "passes").iter().find(|pass| pass["name"] == "affine").expect("the pass");
    let lines = |field: &str| items(affine, field).iter().map(text).collect::<Vec<_>>().join("\n");
    // Batch normalization is two of these when the pass comes to it.
    assert!(lines("removed").contains(" = mul("), "{}", lines("removed"));
    assert!(!lines("added").contains(" = mul("), "{}", lines("added"));
    let said = words(&kiln("dump models/net.toml --stage passes --train sgd").stdout);
    assert!(said.contains("recompute") && !said.contains("freeze"), "{said}");
}

#[test]
fn pictures_have_operators_attributes_and_clusters() {
    let dot = words(&kiln("dump tests/oracles/fixtures/net/model.onnx --stage fused --format dot").stdout);
    for part in ["subgraph cluster_0", "conv1 + tanh", "pads=[[1, 1], [1, 1]]", "fillcolor=\"#cfe2ff\""] {
        assert!(dot.contains(part), "{part} is missing in {dot}");
    }
}

#[test]
fn flags_that_change_nothing_are_refused() {
    for (arguments, said) in [
        ("--why", "`--why` is for the stages fused and step as text"),
        ("--stage fused --why --format json", "their JSON has the reasons anyway"),
        ("--data", "`--data` is for `--format json`"),
        ("--stage passes --format onnx", "the passes are several graphs"),
    ] {
        let output =
            command(&format!("dump models/net.toml {arguments}")).output().expect("the command starts");
        assert_eq!(output.status.code(), Some(1), "{arguments}");
        assert!(words(&output.stderr).contains(said), "{arguments}: {}", words(&output.stderr));
    }
}
