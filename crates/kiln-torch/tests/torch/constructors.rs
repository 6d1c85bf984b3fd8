//! What constructors make of parameters and buffers through views of them, beside PyTorch
//! (`tests/oracles/constructor_oracles.py`), and what is refused.

use std::path::Path;

use kiln_graph::Def;
use kiln_torch::{ImportOptions, Imported, import_text};
use serde_json::Value;

const HEAD: &str =
    "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\nclass Net(nn.Module):\n";

fn indented(code: &str) -> String {
    code.lines().map(|line| format!("        {line}\n")).collect()
}

fn import(init: &str, forward: &str) -> Result<Imported, String> {
    let source = format!(
        "{HEAD}    def __init__(self):\n        super().__init__()\n{}\n    def forward(self, x):\n{}",
        indented(init),
        indented(forward)
    );
    let options = ImportOptions { inputs: vec!["5".into()], ..ImportOptions::default() };
    import_text(&source, Path::new("net.py"), &options).map_err(|error| error.report())
}

/// What is wrong with a case.
fn check(case: &Value) -> Result<(), String> {
    let imported = import(case["init"].as_str().expect("a program"), "return self.a(x)")?;
    let graph = imported.graph;
    for (name, wanted) in case["state"].as_object().expect("a state dict") {
        let state = graph.states().iter().map(|id| graph.value(*id)).find(|value| value.name == *name);
        let Some(Def::State(found)) = state.map(|value| &value.def) else {
            return Err(format!("there is no `{name}`"));
        };
        let wanted: Vec<f64> = wanted.as_array().expect("numbers").iter().filter_map(Value::as_f64).collect();
        if found.to_f64() != wanted {
            return Err(format!("`{name}` is {:?}, not {wanted:?}", found.to_f64()));
        }
    }
    Ok(())
}

#[test]
fn constructors_write_through_views_as_in_pytorch() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/fixtures/constructors.json");
    let text = std::fs::read_to_string(path).expect("the file is committed");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|message| format!("{}: {message}", case["name"])))
        .collect();
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

/// The constructor and `forward` of models that are refused, with words of the message.
const REFUSED: &[(&str, &str, &str)] = &[
    // PyTorch would change the weights in every step.
    ("", "self.a.weight.data.clamp_(0, 1)\nreturn self.a(x)", "cannot be changed in `forward`"),
    ("", "self.a.weight.data.clamp_(0, 1)\nreturn x", "cannot be changed in `forward`"),
    ("", "self.a.bias.detach().zero_()\nreturn self.a(x)", "cannot be changed in `forward`"),
    (
        "",
        "with torch.no_grad():\n    self.a.weight[0] = 1\nreturn self.a(x)",
        "cannot be changed in `forward`",
    ),
    (
        "",
        "with torch.no_grad():\n    self.a.weight.div_(2)\nreturn self.a(x)",
        "cannot be changed in `forward`",
    ),
    ("", "self.a.weight.data *= 2\nreturn self.a(x)", "cannot be changed in `forward`"),
    ("", "self.a.weight.data.view(-1)[0] = 2\nreturn self.a(x)", "cannot be changed in `forward`"),
    ("", "w = self.a.weight.detach()[1:].T\nw.mul_(2)\nreturn self.a(x)", "cannot be changed in `forward`"),
    ("", "w = self.a.weight.contiguous()\nF.relu_(w)\nreturn self.a(x)", "cannot be changed in `forward`"),
    ("", "nn.init.zeros_(self.a.weight)\nreturn self.a(x)", "cannot be changed in `forward`"),
    (
        "",
        "for p in self.parameters():\n    p.data.mul_(0.9)\nreturn self.a(x)",
        "cannot be changed in `forward`",
    ),
    (
        "self.b = nn.BatchNorm1d(4)",
        "self.b.running_mean.zero_()\nreturn self.a(x)",
        "cannot be changed in `forward`",
    ),
    (
        "self.w = self.a.weight.data.view(-1)",
        "self.w.mul_(0.5)\nreturn self.a(x)",
        "cannot be changed in `forward`",
    ),
    // A step would have to change both.
    (
        "self.b = nn.Linear(5, 4)\nself.b.weight.data = self.a.weight.data",
        "return self.a(x)",
        "shares the memory",
    ),
    ("self.p = nn.Parameter(self.a.weight)", "return self.a(x)", "shares the memory"),
    ("self.p = nn.Parameter(self.a.weight.detach()[0])", "return self.a(x)", "shares the memory"),
    ("self.a.weight.data[:1].expand(4, 5).add_(1)", "return self.a(x)", "cannot be written to"),
    (
        "self.a.requires_grad_(False)",
        "self.a.requires_grad_(True)\nreturn self.a(x)",
        "switched on in `forward`",
    ),
    ("self.d = nn.Dropout()", "self.d.train()\nreturn self.d(self.a(x))", "in evaluation, too"),
    ("self.d = nn.RReLU()", "self.d.train()\nreturn self.d(self.a(x))", "in evaluation, too"),
    ("", "return F.rrelu(self.a(x), training=True)", "in evaluation, too"),
    ("", "return F.alpha_dropout(self.a(x), training=True)", "in evaluation, too"),
    ("", "return F.batch_norm(self.a(x), None, None)", "needs `running_mean` and `running_var`"),
    ("", "return F.instance_norm(x.view(-1, 1, 5), use_input_stats=False)", "needs `running_mean`"),
    (
        "self.b = nn.BatchNorm1d(1)",
        "return F.instance_norm(x.view(-1, 1, 5), self.b.running_mean, self.b.running_var)",
        "running statistics are not supported",
    ),
];

#[test]
fn what_cannot_be_said_is_refused() {
    let mut wrong = vec![];
    for (init, forward, words) in REFUSED {
        match import(&format!("self.a = nn.Linear(5, 4)\n{init}"), forward) {
            Ok(_) => wrong.push(format!("`{init}`, `{forward}`: is listed as refused, but works")),
            Err(message) if message.contains(words) => {}
            Err(message) => wrong.push(format!("`{init}`, `{forward}`: {message}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The mean of all steps is no mean of the last ones: known to training only.
#[test]
fn batch_normalization_without_momentum_computes_but_does_not_train() {
    let source = format!(
        "{HEAD}    def __init__(self):\n        super().__init__()\n        self.b = nn.BatchNorm1d(5, momentum=None)\n\n    def forward(self, x):\n        return self.b(x)\n"
    );
    let import = |training| {
        let options = ImportOptions { inputs: vec!["5".into()], training, ..ImportOptions::default() };
        import_text(&source, Path::new("net.py"), &options)
    };
    assert!(import(false).expect("a model").asks_for_training);
    let error = import(true).expect_err("no model").report();
    assert!(error.contains("`momentum=None` (a mean of all steps) is not supported in training"), "{error}");
}

/// What a constructor has put into evaluation stays there, with a word about it; where a program has the whole model
/// evaluate something, it is trained nevertheless.
#[test]
fn layers_that_stay_in_evaluation_are_named() {
    let body = "self.a = nn.Linear(5, 4)\nself.b = nn.BatchNorm1d(4)\nself.c = nn.BatchNorm1d(4)";
    let frozen = |init: &str| {
        let imported =
            import(&format!("{body}\n{init}"), "return self.c(self.b(self.a(x)))").expect("a model");
        let norms = imported.graph.nodes().iter().filter_map(|node| match &node.op {
            kiln_graph::Op::BatchNorm(op) => Some(op.frozen),
            _ => None,
        });
        (norms.collect::<Vec<_>>(), imported.warnings.join("\n"))
    };
    assert_eq!(frozen(""), (vec![false, false], String::new()));
    let (norms, warnings) = frozen("self.b.eval()");
    assert_eq!(norms, [true, false]);
    assert!(warnings.starts_with("`b` had `eval()` called on it"), "{warnings}");
    assert!(frozen("for m in self.children(): m.eval()").1.starts_with("`b` and 1 more had"));
    assert_eq!(frozen("self.eval()"), (vec![false, false], String::new()));
    assert_eq!(frozen("self.b.eval()\nself.b.train()"), (vec![false, false], String::new()));
}
