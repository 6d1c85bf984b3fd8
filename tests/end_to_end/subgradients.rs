//! The gradient where there is no derivative, at ties, borders, zeros and infinities: beside PyTorch's
//! (`tests/oracles/subgradient_cases.py`), by the evaluator with double precision and on the device with single, and as
//! the table in `docs/subgradients.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use kiln::graph::ops::{Reduce, ReduceKind};
use kiln::graph::{Graph, Op, Precision, Tensor, evaluate};
use kiln::torch::{ImportOptions, import_text};
use kiln::{Options, Session};
use serde_json::Value;

use crate::machine::{Machine, answers, text};

/// What differs from PyTorch, with the reason.
const KNOWN: &[(&str, &str)] = &[
    ("F.hardtanh(x, -2.0, 2.0)", "NaN is within no limits, as for `clamp` in PyTorch"),
    ("F.relu6(x, inplace=False)", "NaN is within no limits, as for `clamp` in PyTorch"),
    ("F.hardswish(x, inplace=False)", "the slope is that of NaN"),
    ("x.abs()", "the sign of NaN is NaN"),
    ("torch.max(x)", "NaN is equal to no element, as for `amax` in PyTorch"),
    ("x % y", "the quotient is infinite, and so is its floor"),
    ("torch.prod(x)", "the product of the others is the product divided by the element, which is finite"),
];

const NAMES: [&str; 3] = ["x", "y", "z"];

/// An expression, a point, and what PyTorch makes of it.
struct Case {
    part: String,
    code: String,
    inputs: Vec<Tensor>,
    double: Answer,
    single: Answer,
}

/// The elements of the output and of the gradient with respect to each input.
struct Answer {
    output: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

fn numbers(value: &Value) -> Vec<f64> {
    let number = |value: &Value| match value {
        Value::String(word) => word.parse().expect("inf, -inf or nan"),
        other => other.as_f64().expect("a number"),
    };
    value.as_array().expect("numbers").iter().map(number).collect()
}

fn answer(value: &Value) -> Answer {
    let gradients = value["gradients"].as_array().expect("gradients");
    Answer { output: numbers(&value["output"]), gradients: gradients.iter().map(numbers).collect() }
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/fixtures/subgradients.json");
    let file = std::fs::read_to_string(path).expect("the file is committed");
    let all: Vec<Value> = serde_json::from_str(&file).expect("JSON");
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    let cases = all.iter().map(|case| {
        let input = |input: &Value| {
            let shape: Vec<usize> = numbers(&input["shape"]).into_iter().map(|n| n as usize).collect();
            let values = numbers(&input["values"]).into_iter().map(|x| x as f32).collect();
            Tensor::f32(shape, values).expect("as many as the shape says")
        };
        Case {
            part: case["part"].as_str().expect("a part of the table").to_owned(),
            code: case["code"].as_str().expect("an expression").to_owned(),
            inputs: case["inputs"].as_array().expect("inputs").iter().map(input).collect(),
            double: answer(case),
            single: answer(case.get("single").unwrap_or(case)),
        }
    });
    cases.filter(|case| case.code.contains(&only)).collect()
}

impl Case {
    /// A module whose parameters are the point.
    fn source(&self) -> String {
        let mut code = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\nclass Net(nn.Module):\n    \
                        def __init__(self):\n        super().__init__()\n"
            .to_owned();
        for (name, tensor) in NAMES.iter().zip(&self.inputs) {
            writeln!(code, "        self.{name} = nn.Parameter(torch.zeros({:?}))", tensor.shape())
                .expect("a string");
        }
        code += "\n    def forward(self, unused):\n";
        for (name, _) in NAMES.iter().zip(&self.inputs) {
            writeln!(code, "        {name} = self.{name}").expect("a string");
        }
        writeln!(code, "        return {}", self.code).expect("a string");
        code
    }

    /// The graph of the output and its gradients, with the point as its inputs: what is known would be computed ahead.
    fn graph(&self) -> Result<Graph, String> {
        let options = ImportOptions { inputs: vec!["1".into()], ..ImportOptions::default() };
        let model = import_text(&self.source(), Path::new("net.py"), &options).map_err(|e| e.report())?.graph;
        let mut graph = Graph::new("subgradient");
        let mut new = BTreeMap::new();
        for id in model.value_ids() {
            let value = model.value(id);
            let source = match &value.def {
                kiln::graph::Def::Input => continue,
                kiln::graph::Def::State(_) => {
                    graph.input(value.name.clone(), value.ty.clone()).map_err(text)?
                }
                kiln::graph::Def::Constant(tensor) => graph.constant(value.name.clone(), tensor.clone()),
                kiln::graph::Def::Node { .. } => continue,
            };
            new.insert(id, source);
        }
        for node in model.nodes() {
            let inputs: Vec<_> = node.inputs.iter().map(|id| new[id]).collect();
            let outputs = graph.apply(node.name.clone(), node.op.clone(), &inputs).map_err(text)?;
            new.extend(node.outputs.iter().copied().zip(outputs));
        }
        let output = new[&model.outputs()[0].value];
        graph.output("output", output).map_err(text)?;
        let axes: Vec<usize> = (0..graph.ty(output).rank()).collect();
        let total = Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keep_dims: false });
        let loss = graph.apply1("loss", total, &[output]).map_err(text)?;
        graph.output("loss", loss).map_err(text)?;
        let names = &NAMES[..self.inputs.len()];
        kiln::differentiate::differentiate(&graph, "loss", names).map_err(text)
    }

    fn at(&self) -> BTreeMap<String, Tensor> {
        NAMES.iter().map(|name| (*name).to_owned()).zip(self.inputs.iter().cloned()).collect()
    }

    fn evaluated(&self, graph: &Graph) -> Result<Answer, String> {
        let found = evaluate(graph, &self.at(), Precision::F64).map_err(text)?;
        let found: BTreeMap<String, Tensor> = found.outputs().iter().cloned().collect();
        Ok(self.answer(&found))
    }

    fn on_device(&self, graph: &Graph, machine: &Machine) -> Result<Answer, String> {
        let options = Options { target: machine.target.clone(), max: BTreeMap::new(), ..Options::default() };
        let mut session: Session = machine.load(&kiln::compile(graph, &options).map_err(text)?)?;
        let found = answers(&mut session, &self.at())?;
        Ok(self.answer(&found))
    }

    fn answer(&self, found: &BTreeMap<String, Tensor>) -> Answer {
        let gradients = NAMES[..self.inputs.len()].iter().map(|name| found[&format!("{name}.grad")].to_f64());
        Answer { output: found["output"].to_f64(), gradients: gradients.collect() }
    }
}

/// The first gradient that is not as it should be: infinities and NaN are what they are, and everything else is so to
/// rounding. Of the output only what is finite is compared, to see that both mean the same function.
fn differs(found: &Answer, wanted: &Answer, rounding: f64) -> Option<String> {
    let near = |a: f64, b: f64| a == b || (a - b).abs() <= rounding * b.abs().max(1.0);
    let same_output = |(a, b): (&f64, &f64)| !b.is_finite() || near(*a, *b);
    let same = |(a, b): (&f64, &f64)| a.is_nan() && b.is_nan() || b.is_finite() && near(*a, *b) || a == b;
    let outputs = found.output.iter().zip(&wanted.output);
    if found.output.len() != wanted.output.len() || !outputs.clone().all(same_output) {
        return Some(format!("the output is {:?}, not {:?}", found.output, wanted.output));
    }
    for ((name, found), wanted) in NAMES.iter().zip(&found.gradients).zip(&wanted.gradients) {
        if found.len() != wanted.len() || !found.iter().zip(wanted).all(same) {
            return Some(format!("the gradient of {name} is {found:?}, not {wanted:?}"));
        }
    }
    None
}

fn check(run: impl Fn(&Case, &Graph) -> Result<Answer, String>, precision: Precision) {
    let mut wrong = vec![];
    for case in cases() {
        let known = KNOWN.iter().any(|(code, _)| *code == case.code);
        let (wanted, rounding) = match precision {
            Precision::F64 => (&case.double, 1e-6),
            Precision::F32 => (&case.single, 1e-5),
        };
        let found = case.graph().and_then(|graph| run(&case, &graph));
        let complaint = match found {
            Ok(found) => differs(&found, wanted, rounding),
            Err(error) => Some(error),
        };
        match (complaint, known) {
            (Some(complaint), false) => wrong.push(format!("{}: {complaint}", case.code)),
            (None, true) if precision == Precision::F64 => {
                wrong.push(format!("{}: is as it should be, but listed", case.code));
            }
            (None, _) | (Some(_), true) => {}
        }
    }
    assert!(wrong.is_empty(), "{} are not as PyTorch has them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn subgradients_are_those_of_pytorch() {
    check(Case::evaluated, Precision::F64);
}

#[test]
fn subgradients_on_the_device() {
    let machine = Machine::open();
    check(|case, graph| case.on_device(graph, &machine), Precision::F32);
}

/// The lines between which the page is generated.
const MARKS: [&str; 2] = ["<!-- made by KILN_WRITE=1 cargo test subgradients -->", "<!-- end -->"];

#[test]
fn the_table_of_subgradients_is_up_to_date() {
    if std::env::var_os("KILN_ONLY").is_some() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/subgradients.md");
    let page = std::fs::read_to_string(&path).expect("docs/subgradients.md is committed");
    let [begin, end] = MARKS;
    let parts = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?)));
    let (before, (made, after)) = parts.expect("docs/subgradients.md has the marks between which it is made");
    let wanted = table();
    if made == wanted {
        return;
    }
    if std::env::var_os("KILN_WRITE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{wanted}{end}{after}"))
            .expect("docs/subgradients.md can be written");
        return;
    }
    panic!("docs/subgradients.md is not what this run gives; with KILN_WRITE set the test writes it");
}

fn table() -> String {
    let mut text = String::new();
    let mut part = String::new();
    for case in cases() {
        if case.part != part {
            part.clone_from(&case.part);
            let head = "| expression | at | gradient in PyTorch | in Kiln |\n| --- | --- | --- | --- |";
            writeln!(text, "\n## {part}\n\n{head}").expect("a string");
        }
        let graph = case.graph().unwrap_or_else(|e| panic!("{}: {e}", case.code));
        let found = case.evaluated(&graph).unwrap_or_else(|e| panic!("{}: {e}", case.code));
        let values = |all: &[Vec<f64>]| {
            let named = NAMES.iter().zip(&case.inputs).zip(all).map(|((name, input), values)| {
                let values = nested(input.shape(), values);
                if case.inputs.len() == 1 { values } else { format!("{name}: {values}") }
            });
            named.collect::<Vec<_>>().join("; ")
        };
        let at: Vec<Vec<f64>> = case.inputs.iter().map(Tensor::to_f64).collect();
        let mut own = "the same".to_owned();
        if differs(&found, &case.double, 1e-6).is_some() {
            let reason = KNOWN.iter().find(|(code, _)| *code == case.code).map_or("", |(_, reason)| reason);
            own = format!("{}: {reason}", values(&found.gradients));
        }
        let (at, wanted) = (values(&at), values(&case.double.gradients));
        writeln!(text, "| `{}` | {at} | {wanted} | {own} |", case.code).expect("a string");
    }
    format!("\n{text}\n")
}

/// Numbers as they are nested in Python, without the outermost brackets.
fn nested(shape: &[usize], values: &[f64]) -> String {
    let Some((count, inner)) = shape.split_first() else {
        return values.iter().map(|x| short(*x)).collect();
    };
    let size = inner.iter().product::<usize>();
    let parts = (0..*count).map(|i| {
        let part = nested(inner, &values[i * size..(i + 1) * size]);
        if inner.is_empty() { part } else { format!("[{part}]") }
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// A number in at most five digits behind the point.
fn short(x: f64) -> String {
    match x {
        x if x.is_nan() => "nan".into(),
        x if x == 0.0 && x.is_sign_negative() => "-0".into(),
        x if x != 0.0 && (x.abs() < 1e-4 || x.abs() >= 1e6) && x.is_finite() => {
            let text = format!("{x:.4e}");
            let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        x if x.is_finite() => {
            let text = format!("{x:.5}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        x => x.to_string(),
    }
}
