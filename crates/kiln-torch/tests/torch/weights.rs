//! State dicts and the models they are for.

use kiln_graph::{Graph, Tensor};
use kiln_torch::state_dict::StateDict;
use kiln_torch::{ImportOptions, Imported, import_text};

const SOURCE: &str = "\
import torch.nn as nn

# kiln: --input 3,8,8
class Net(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU())
        self.blocks = nn.Sequential(*(2 * [block]))
        self.fc = nn.Linear(3 * 8 * 8, classes)

    def forward(self, x):
        return self.fc(self.blocks(x).flatten(1))
";

fn import(classes: usize) -> Imported {
    let options = ImportOptions { args: vec![format!("classes={classes}")], ..ImportOptions::default() };
    import_text(SOURCE, "net.py".as_ref(), &options).unwrap_or_else(|e| panic!("{}", e.report()))
}

fn value<'a>(graph: &'a Graph, name: &str) -> &'a Tensor {
    let id = graph.states().iter().find(|id| graph.value(**id).name == name).expect("a state");
    match &graph.value(*id).def {
        kiln_graph::Def::State(tensor) => tensor,
        _ => panic!("{name} is no state"),
    }
}

#[test]
fn a_block_that_is_used_twice_has_two_names_in_a_state_dict() {
    let model = import(2);
    let names: Vec<&str> =
        model.graph.states().iter().map(|id| model.graph.value(*id).name.as_str()).collect();
    assert_eq!(
        names,
        [
            "blocks.0.0.weight",
            "blocks.0.1.weight",
            "blocks.0.1.bias",
            "fc.weight",
            "fc.bias",
            "blocks.0.1.running_mean",
            "blocks.0.1.running_var"
        ]
    );
    let dict = StateDict::of(&model.graph, &model.names);
    assert_eq!(dict.len(), 12);
    assert_eq!(dict.get("blocks.1.0.weight"), dict.get("blocks.0.0.weight"));
    let mut again = import(2);
    let fit = dict.load_into(&mut again.graph, &again.names, false).expect("weights that fit");
    assert!(fit.is_perfect());
}

#[test]
fn what_pytorch_counts_is_read_over() {
    let mut model = import(2);
    let mut dict = StateDict::of(&model.graph, &model.names);
    dict.insert("blocks.0.1.num_batches_tracked", Tensor::ints([7]).reshaped([]).expect("one element"));
    assert!(dict.load_into(&mut model.graph, &model.names, false).expect("weights that fit").is_perfect());
}

#[test]
fn all_that_does_not_fit_is_said_at_once_and_nothing_changes() {
    let other = import(5);
    let mut dict = StateDict::of(&other.graph, &other.names);
    dict = dict
        .into_iter()
        .filter(|(name, _)| !name.starts_with("blocks.0.1") && !name.starts_with("blocks.1.1"))
        .collect();
    dict.insert("head.weight", Tensor::scalar(1.0));
    let mut model = import(2);
    let before = value(&model.graph, "blocks.0.0.weight").clone();
    let error = dict.load_into(&mut model.graph, &model.names, false).expect_err("weights of another model");
    assert_eq!(
        error.to_string(),
        "the weights do not fit the model\n\
         missing in the weights:\n  \
           blocks.0.1.weight f32[3]\n  \
           blocks.0.1.bias f32[3]\n  \
           blocks.0.1.running_mean f32[3]\n  \
           blocks.0.1.running_var f32[3]\n\
         unknown to the model:\n  \
           head.weight\n\
         of another shape:\n  \
           fc.weight is [5, 192], the model has [2, 192]\n  \
           fc.bias is [5], the model has [2]"
    );
    assert_eq!(*value(&model.graph, "blocks.0.0.weight"), before);
}

#[test]
fn a_new_head_on_a_trained_body() {
    let trained = import_text(
        SOURCE,
        "net.py".as_ref(),
        &ImportOptions { args: vec!["classes=5".into()], seed: 7, ..ImportOptions::default() },
    )
    .unwrap_or_else(|e| panic!("{}", e.report()));
    let dict = StateDict::of(&trained.graph, &trained.names);
    let mut model = import(2);
    let head = value(&model.graph, "fc.weight").clone();
    let fit = dict.load_into(&mut model.graph, &model.names, true).expect("some of it fits");
    assert_eq!(fit.misshapen.len(), 2);
    assert_eq!(value(&model.graph, "blocks.0.0.weight"), value(&trained.graph, "blocks.0.0.weight"));
    assert_eq!(*value(&model.graph, "fc.weight"), head);
}

/// The entries under other names, and more of them.
fn renamed(dict: &StateDict, rename: impl Fn(&str) -> String, more: &[&str]) -> StateDict {
    let entries = dict.iter().map(|(name, tensor)| (rename(name), tensor.clone()));
    entries.chain(more.iter().map(|name| ((*name).to_owned(), Tensor::scalar(1.0)))).collect()
}

#[test]
fn what_wraps_a_model_is_left_out_or_added_with_a_note() {
    let trained =
        import_text(SOURCE, "net.py".as_ref(), &ImportOptions { seed: 3, ..ImportOptions::default() })
            .unwrap_or_else(|e| panic!("{}", e.report()));
    let dict = StateDict::of(&trained.graph, &trained.names);
    let loads = |dict: &StateDict| {
        let mut model = import(2);
        let fit = dict.load_into(&mut model.graph, &model.names, false).expect("weights that fit");
        assert!(fit.is_perfect());
        assert_eq!(value(&model.graph, "fc.weight"), value(&trained.graph, "fc.weight"));
        fit.notes
    };
    assert!(loads(&dict).is_empty());
    let note = loads(&renamed(&dict, |name| format!("model.{name}"), &[]));
    assert_eq!(note, ["its names begin with `model.`, which the model's do not; it was removed"]);
    let note = loads(&renamed(&dict, |name| format!("net.model.{name}"), &["loss.weight", "n_averaged"]));
    assert_eq!(
        note,
        [
            "the names of the model's weights begin with `net.model.` in it, which was removed; `loss.weight`, `n_averaged` were ignored"
        ]
    );

    // Twice: which one is meant?
    let mut twice = renamed(&dict, |name| format!("student.{name}"), &[]);
    twice.extend(renamed(&dict, |name| format!("teacher.{name}"), &[]));
    let mut model = import(2);
    let error = twice.load_into(&mut model.graph, &model.names, false).expect_err("two of them").to_string();
    assert!(error.contains("several times, under `student.`, `teacher.`"), "{error}");

    // The source wraps what the file does not, and the other way.
    let wrapped = format!("{SOURCE}\n\nmodel = nn.DataParallel(Net())  # kiln: --input 3,8,8\n");
    for (source, prefix) in [
        (wrapped.clone(), "module."),
        (wrapped.replace("nn.DataParallel(Net())", "nn.Sequential(Net())"), "0."),
        (
            wrapped
                .replace("nn.DataParallel", "torch.compile")
                .replace("import torch.nn", "import torch, torch.nn"),
            "_orig_mod.",
        ),
    ] {
        let options = ImportOptions {
            model: Some("model".into()),
            inputs: vec!["3,8,8".into()],
            ..ImportOptions::default()
        };
        let mut model =
            import_text(&source, "net.py".as_ref(), &options).unwrap_or_else(|e| panic!("{}", e.report()));
        let fit = dict.load_into(&mut model.graph, &model.names, false).expect("weights that fit");
        assert_eq!(fit.notes.len(), usize::from(prefix == "0."));
        let name = format!("{prefix}fc.weight");
        assert_eq!(value(&model.graph, &name), value(&trained.graph, "fc.weight"));
        // As PyTorch names them.
        assert!(StateDict::of(&model.graph, &model.names).get(&name).is_some());
    }
}
