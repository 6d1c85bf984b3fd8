//! Models whose sizes are open: one plan for several sizes, what it assumes of them, and what it says where they do not fit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln::graph::{DType, Graph, Precision, Tensor, evaluate};
use kiln::onnx::ImportOptions;
use kiln::test_data::{self, Folder};
use kiln::{HostTensor, ModelOptions, Options};

use crate::machine::{Machine, answers};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures/open_sizes").join(name)
}

fn guards(graph: &Graph) -> Vec<String> {
    let guards = graph.guards();
    let list = guards.list().iter().map(|guard| format!("{}: {guard}", guard.node));
    list.chain(guards.unified().iter().map(|u| format!("{}: {} is {}", u.node, u.symbol, u.dim))).collect()
}

/// Every data set of a fixture from one plan; returns what the model assumes.
fn verify(machine: &Machine, name: &str, options: &ImportOptions) -> Vec<String> {
    let path = fixture(name);
    let folder = Folder::open(&path).expect(name);
    let graph = kiln::onnx::import(&path.join("model.onnx"), options).expect(name).graph;
    let sets = folder.data_sets(&graph).expect(name);
    let max = test_data::largest_symbols(&graph, &sets).expect(name);
    let options = Options { target: machine.target.clone(), max, ..Options::default() };
    let mut session = machine.load(&kiln::compile(&graph, &options).expect(name)).expect(name);
    for set in &sets {
        let found =
            answers(&mut session, set.inputs.iter().map(|(name, tensor)| (name, tensor))).expect(name);
        for (output, expected) in &set.outputs {
            let difference = test_data::difference(expected, &found[output]);
            let difference =
                difference.unwrap_or_else(|| panic!("{name}: {} of another shape", found[output].ty()));
            assert!(difference.relative < 1e-5, "{name}, {}: {difference:?}", set.name);
        }
    }
    guards(&graph)
}

#[test]
fn one_plan_serves_all_sizes() {
    let machine = Machine::open();
    let open = ImportOptions::default();
    let cases: [(&str, &[&str]); 9] = [
        ("dim_minus_one", &[]),
        ("expand_class_token", &[]),
        ("expand_where_equal", &[]),
        (
            "fpn_dynamic_hw",
            &["Add_4: 2*floor((H+3)/4) == floor((H+1)/2)", "Add_4: 2*floor((W+3)/4) == floor((W+1)/2)"],
        ),
        ("maxpool_same_symbolic", &[]),
        ("range_of_float_shape", &[]),
        ("slice_to_1e9", &["Slice_1: 1000000000 >= N"]),
        ("unnamed_batch_of_two_inputs", &[]),
        ("reshape_unknown_height", &[]),
    ];
    for (name, expected) in cases {
        let found = verify(&machine, name, &open);
        if !expected.is_empty() {
            assert_eq!(found, expected, "{name}");
        }
    }
    let lenient = ImportOptions { lenient: true, ..ImportOptions::default() };
    verify(&machine, "declared_output_rank", &lenient);
    let four = ImportOptions { dims: [("T".to_owned(), 4.into())].into(), ..ImportOptions::default() };
    assert_eq!(verify(&machine, "if_squeeze_symbolic", &four), [""; 0]);
}

const U_NET: &str = "
import torch
import torch.nn as nn
import torch.nn.functional as F

def block(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())

class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([block(3, 4), block(4, 6), block(6, 8)])
        self.bottom = block(8, 8)
        self.up = nn.ModuleList([block(16, 6), block(12, 4), block(8, 4)])
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        skipped = []
        for down in self.down:
            x = down(x)
            skipped.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for up in self.up:
            x = F.interpolate(x, scale_factor=2)
            x = up(torch.cat([x, skipped.pop()], dim=1))
        return self.head(x)
";

/// A model of an open height and width, compiled up to the maxima.
fn open_model(machine: &Machine, source: &str, max: &[(&str, u32)]) -> (kiln::Model, kiln::Session) {
    // Tests share a process in some runners.
    let folder = std::env::temp_dir().join(format!("kiln-open-sizes-{}-{:p}", std::process::id(), source));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("net.py");
    std::fs::write(&file, source).expect("a file");
    let mut options = ModelOptions::default();
    options.source.inputs = vec!["3,H,W".into()];
    let model = kiln::Model::read(&file, &options).expect("a model");
    std::fs::remove_dir_all(&folder).expect("it is there");
    let max = max.iter().map(|(name, most)| ((*name).to_owned(), *most)).collect();
    let options = Options { target: machine.target.clone(), max, ..Options::default() };
    let compiled = kiln::compile(&model.graph, &options).expect("a plan");
    let session = machine.load(&compiled).expect("it loads");
    (model, session)
}

/// Holds what a plan answers for an image of a shape `[N, C, H, W]` against the evaluation in 64 bits.
fn agrees(model: &kiln::Model, session: &mut kiln::Session, shape: [usize; 4]) {
    let data: Vec<f32> = (0..shape.iter().product()).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
    let x = Tensor::f32(shape, data).expect("as many numbers");
    let inputs = BTreeMap::from([("x".to_owned(), x)]);
    let found = answers(session, &inputs).expect("an answer");
    let expected = evaluate(&model.graph, &inputs, Precision::F64).expect("an answer");
    let (output, expected) = &expected.outputs()[0];
    // The evaluation holds its results in 64 bits.
    let dims = expected.shape().to_vec();
    let expected = Tensor::of_numbers(dims, &expected.to_f64(), DType::F32).expect("as many numbers");
    let difference = test_data::difference(&expected, &found[output]).expect("one shape");
    assert!(difference.relative < 1e-5, "{shape:?}: {difference:?}");
}

#[test]
fn a_u_net_takes_multiples_of_eight_and_says_so() {
    let machine = Machine::open();
    let (model, mut session) = open_model(&machine, U_NET, &[("N", 2), ("H", 512), ("W", 512)]);
    for (n, [height, width]) in [(1, [64, 64]), (2, [96, 160]), (1, [8, 24])] {
        agrees(&model, &mut session, [n, 3, height, width]);
    }
    let mut wrong = |height: usize, width: usize| {
        let x = HostTensor::zeros(kiln::DType::F32, [1, 3, height, width]);
        session.run(&[("x", &x)]).expect_err("it does not fit").to_string()
    };
    assert_eq!(wrong(333, 500), "`cat` needs `H` to be a multiple of 8; 333 is not, 328 and 336 are");
    assert_eq!(wrong(336, 500), "`cat` needs `W` to be a multiple of 8; 500 is not, 496 and 504 are");
    assert_eq!(wrong(4, 8), "`cat` needs `H` to be a multiple of 8; 4 is not, 8 is");
}

/// A branch that only some sizes take: the sizes of the other branch are refused, not run through this one.
#[test]
fn a_branch_on_a_size_holds_for_the_sizes_that_take_it() {
    let source = "import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
    def forward(self, x):
        y = self.conv(x)
        h = x.shape[2]
        if h // 2 * 2 == h:
            return y * 3
        return y
";
    let machine = Machine::open();
    let (model, mut session) = open_model(&machine, source, &[("N", 1), ("H", 16), ("W", 16)]);
    agrees(&model, &mut session, [1, 3, 8, 5]);
    let x = HostTensor::zeros(kiln::DType::F32, [1, 3, 9, 5]);
    let error = session.run(&[("x", &x)]).expect_err("it does not fit").to_string();
    assert!(error.contains("needs `H` to be a multiple of 2; 9 is not, 8 and 10 are"), "{error}");
}
