//! Every layer, function, tensor method and option beside what PyTorch computes with it
//! (`tests/oracles/layer_cases`).

use std::collections::BTreeMap;
use std::path::Path;

use kiln_graph::{DType, Data, Precision, Tensor, compare, evaluate};
use kiln_torch::{ImportOptions, import_text};
use serde_json::Value;

use crate::numbers::{noise, with_weights};

/// What is refused, with words of the message: each is a decision or a gap that is known.
const REFUSED: &[(&str, &str)] = &[
    ("conv_transpose2d_size", "no argument `output_size`"),
    ("instance_norm2d_tracked", "`track_running_stats=True` is not supported"),
    // A sum is a product with a triangle, which only numbers with a point have.
    ("bits_whole", "for boolean tensors"),
    ("bits_not_whole", "for boolean tensors"),
    // The batch is a symbol: a fraction of it is no size, and how many elements there are is not known.
    ("size_mixed", "is not possible with the size"),
    ("roll_flat", "needs `dims`"),
    ("index_tensor_batch", "should be a number"),
    // The size of the result depends on the values.
    ("index_mask", "gives a size that depends on the data"),
    // Views do not see each other's changes, so that reading them afterwards is refused.
    ("view_changed", "changed in place through a view"),
    ("view_of_changed", "changed in place through a view"),
    ("view_transposed", "changed in place through a view"),
    ("view_part", "changed in place through a view"),
    ("view_squeeze", "changed in place through a view"),
];

const HEAD: &str = "import math\nimport torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\nclass Net(nn.Module):\n";

fn cases() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/fixtures/layers.json");
    let text = std::fs::read_to_string(path).expect("the file is committed");
    serde_json::from_str(&text).expect("JSON")
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect("a string")
}

fn indented(code: &str) -> String {
    code.lines().map(|line| format!("        {line}\n")).collect()
}

/// The file that `source` in `layer_oracles.py` makes.
fn source(case: &Value) -> String {
    let (init, forward) = (text(case, "init"), text(case, "forward"));
    let inputs = if case["inputs"].as_array().expect("inputs").len() == 2 { "x, y" } else { "x" };
    let init = match init {
        "" => String::new(),
        init if init.starts_with("self.") => indented(init),
        init => indented(&format!("self.layer = {init}")),
    };
    let forward = match forward.contains("return ") {
        true => indented(&forward.replace("; ", "\n")),
        false => indented(&format!("return {forward}")),
    };
    format!(
        "{HEAD}    def __init__(self):\n        super().__init__()\n{init}\n    def forward(self, {inputs}):\n{forward}"
    )
}

/// An input, from the shape of one sample.
fn input(place: usize, shape: &str, batch: usize) -> Tensor {
    let (dtype, sizes) = shape.split_once(':').unwrap_or(("f32", shape));
    let sizes = sizes.split(',').map(|size| size.parse::<usize>().expect("a size"));
    let shape: Vec<usize> = std::iter::once(batch).chain(sizes).collect();
    let values = noise(7 + place as u64, shape.iter().product()).into_iter().map(|x| x as f32);
    let data = match dtype {
        "i64" => Data::I64(values.map(|x| ((f64::from(x) + 1.0) / 2.0 * 6.0).floor() as i64).collect()),
        _ => Data::F32(values.collect()),
    };
    Tensor::new(shape, data).expect("as many as the shape says")
}

/// A number of the file, where infinities are strings.
fn number(value: &Value) -> f64 {
    match value {
        Value::String(word) => word.parse().expect("inf, -inf or nan"),
        other => other.as_f64().expect("a number"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("numbers").iter().map(number).collect()
}

/// What is wrong with an output.
fn differs(dtype: DType, found: &Tensor, wanted: &Value) -> Option<String> {
    let kind = match dtype {
        DType::F32 | DType::F64 => "float",
        DType::F16 => "float16",
        DType::I64 => "int64",
        DType::I32 => "int32",
        DType::U8 => "uint8",
        DType::I8 => "int8",
        DType::U16 => "uint16",
        DType::I16 => "int16",
        DType::U32 => "uint32",
        DType::Bool => "bool",
    };
    if kind != wanted["type"] {
        return Some(format!("it is {kind}, not {}", wanted["type"]));
    }
    let shape: Vec<f64> = found.shape().iter().map(|n| *n as f64).collect();
    if shape != numbers(&wanted["shape"]) {
        return Some(format!("its shape is {:?}, not {}", found.shape(), wanted["shape"]));
    }
    let values = found.to_f64();
    let (mut compared, mut expected) = (values.clone(), vec![]);
    match wanted.get("values") {
        Some(wanted) => expected.extend(numbers(wanted)),
        None => {
            let every = number(&wanted["every"]) as usize;
            compared = values.iter().copied().step_by(every).collect();
            compared.push(values.iter().map(|x| x * x).sum::<f64>().sqrt());
            expected.extend(numbers(&wanted["elements"]));
            expected.push(number(&wanted["norm"]));
        }
    }
    let largest = compare::largest(&expected, 0.0);
    let tolerance = if dtype.is_float() { 1e-5 * largest.max(1e-3) } else { 1e-7 * largest };
    let same = |(found, expected): (&f64, &f64)| compare::is_near(*expected, *found, tolerance, 0.0);
    let wrong = compared.iter().zip(&expected).position(|pair| !same(pair));
    match wrong {
        _ if compared.len() != expected.len() => Some("it has another number of elements".into()),
        Some(at) => Some(format!("{} instead of {} (number {at})", compared[at], expected[at])),
        None => None,
    }
}

/// What is wrong with a case.
fn check(case: &Value) -> Result<(), String> {
    let shapes: Vec<&str> =
        case["inputs"].as_array().expect("inputs").iter().filter_map(Value::as_str).collect();
    let batch = number(&case["batch"]) as usize;
    let options = ImportOptions {
        inputs: shapes.iter().map(|shape| (*shape).to_owned()).collect(),
        ..ImportOptions::default()
    };
    let imported = import_text(&source(case), Path::new("net.py"), &options).map_err(|e| e.report())?;
    let graph = with_weights(imported.graph);
    graph.verify().map_err(|e| e.to_string())?;
    // The network may not read all of its inputs.
    let names = ["x", "y"].into_iter().zip(&shapes).enumerate();
    let inputs: BTreeMap<String, Tensor> =
        names.map(|(place, (name, shape))| (name.to_owned(), input(place, shape, batch))).collect();
    let answers = evaluate(&graph, &inputs, Precision::F64).map_err(|e| e.to_string())?;
    let wanted = case["outputs"].as_array().expect("outputs");
    if graph.outputs().len() != wanted.len() {
        return Err(format!("there are {} outputs, not {}", graph.outputs().len(), wanted.len()));
    }
    for (output, wanted) in graph.outputs().iter().zip(wanted) {
        let found = answers.output(&output.name).expect("an output");
        if let Some(wrong) = differs(graph.ty(output.value).dtype, found, wanted) {
            return Err(wrong);
        }
    }
    Ok(())
}

#[test]
fn layers_and_functions_compute_as_in_pytorch() {
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    let mut wrong = vec![];
    for case in cases() {
        let name = text(&case, "name").to_owned();
        if !name.contains(&only) {
            continue;
        }
        let refused = REFUSED.iter().find(|(refused, _)| *refused == name);
        match (check(&case), refused) {
            (Ok(()), None) => {}
            (Err(message), Some((_, words))) if message.contains(words) => {}
            (Ok(()), Some(_)) => wrong.push(format!("{name} is listed as refused, but works")),
            (Err(message), _) => wrong.push(format!("{name} (`{}`): {message}", text(&case, "forward"))),
        }
    }
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether a program has `name` behind one of the words `homes`, or behind any other word for a method.
fn calls(program: &str, name: &str, home: Option<&str>) -> bool {
    let found = program.match_indices(&format!(".{name}(")).any(|(at, _)| {
        let word =
            program[..at].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        match home {
            Some(home) => word == home,
            None => !["nn", "F", "torch", "special"].contains(&word),
        }
    });
    found || home == Some("torch") && program.contains(&format!("torch.special.{name}("))
}

#[test]
fn every_layer_and_function_has_a_case() {
    let programs: Vec<String> = cases().iter().map(source).collect();
    let all = programs.join("\n");
    // Losses are outside of models, first values are random, and the rest only answers or does nothing.
    let other = |name: &str| {
        let parts = [
            "nn.init.",
            "torch.cuda.",
            "torch.jit.",
            "torch.amp.",
            "torch.backends.",
            "torch.compiler.",
            "torch.fx.",
            "Loss",
            "_loss",
            "entropy",
            "torch.Size",
        ];
        parts.iter().any(|part| name.contains(part))
    };
    const RANDOM_OR_NOTHING: &[&str] = &[
        "torch.rand",
        "torch.randn",
        "torch.randperm",
        "torch.manual_seed",
        "torch.autocast",
        "torch.set_float32_matmul_precision",
        "torch.set_printoptions",
        // What only calls a module or holds parameters: `language.py`, `weights.rs`.
        "torch.compile",
        "torch.utils.checkpoint.checkpoint",
        "torch.utils.checkpoint.checkpoint_sequential",
        "nn.DataParallel",
        "nn.parallel.DistributedDataParallel",
        "nn.ParameterDict",
        "torch.set_default_dtype",
        "torch.device",
        "torch.enable_grad",
        "torch.inference_mode",
        "torch.set_grad_enabled",
        "torch.is_grad_enabled",
        "Tensor.normal_",
        "Tensor.uniform_",
        "Tensor.cuda",
        "Tensor.requires_grad_",
        "Tensor.item",
        "Tensor.tolist",
    ];
    let mut missing = vec![];
    for name in kiln_torch::supported() {
        if other(&name) || RANDOM_OR_NOTHING.contains(&name.as_str()) {
            continue;
        }
        let (home, plain) = name.split_once('.').expect("names have homes");
        let home = if home == "Tensor" { None } else { Some(home) };
        let is_there = calls(&all, plain, home) || name == "nn.Module";
        // What works in place in another way than `plain` with a `_` behind it is there under its own name.
        if !is_there {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "no case in tests/oracles/layer_cases has {missing:?}");
}
