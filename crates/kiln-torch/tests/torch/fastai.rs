//! Networks as a book about fastai writes them, and star imports that nobody can read.

use std::path::Path;

use kiln_torch::{ImportOptions, Imported, import_text};

fn read(text: &str, input: &str) -> Result<Imported, String> {
    let options = ImportOptions { inputs: vec![input.into()], ..ImportOptions::default() };
    import_text(text, Path::new("net.py"), &options).map_err(|error| error.report())
}

fn model(text: &str, input: &str) -> Imported {
    read(text, input).unwrap_or_else(|report| panic!("{report}"))
}

/// The names of all states, and the shape of the output.
fn described(model: &Imported) -> (Vec<String>, String) {
    let graph = &model.graph;
    let states = graph.states().iter().map(|id| graph.value(*id).name.clone()).collect();
    (states, graph.ty(graph.outputs()[0].value).to_string())
}

#[test]
fn names_behind_the_star_mean_what_fastai_means() {
    let conv = "
from fastai.vision.all import *

def conv(ni, nf, act=True):
    layer = nn.Conv2d(ni, nf, 3, stride=2, padding=1)
    return sequential(layer, nn.ReLU()) if act else layer

net = sequential(conv(1, 8), conv(8, 16), conv(16, 2, act=False), partial(F.avg_pool2d, kernel_size=2), Flatten())
";
    let (states, output) = described(&model(conv, "1,16,16"));
    assert_eq!(states, ["0.0.weight", "0.0.bias", "1.0.weight", "1.0.bias", "2.weight", "2.bias"]);
    assert_eq!(output, "f32[N, 2]");

    let residual = "
from fastbook import *
from fastai.vision.all import *

class Block(Module):
    def __init__(self, ni, nf, stride=1):
        self.convs = nn.Sequential(ConvLayer(ni, nf, stride=stride), ConvLayer(nf, nf, act_cls=None, norm_type=NormType.BatchZero))
        self.shortcut = noop if ni == nf else ConvLayer(ni, nf, 1, act_cls=None)
        self.pool = noop if stride == 1 else nn.AvgPool2d(2, ceil_mode=True)

    def forward(self, x):
        return F.relu(self.convs(x) + self.shortcut(self.pool(x)))

net = nn.Sequential(ConvLayer(3, 4, 5), Block(4, 8, 2), Block(8, 8), nn.AdaptiveAvgPool2d(1), Flatten(), LinBnDrop(8, 5, p=0.1))
";
    let model_ = model(residual, "3,9,9");
    let (states, output) = described(&model_);
    assert_eq!(output, "f32[N, 5]");
    for name in [
        "0.0.weight",
        "0.1.weight",
        "1.convs.1.1.bias",
        "1.shortcut.0.weight",
        "5.0.running_mean",
        "5.2.weight",
    ] {
        assert!(states.iter().any(|state| state == name), "{name} is not in {states:?}");
    }
    // Convolutions in front of a normalization have no bias, and the last normalization of a block begins with zeros.
    assert!(!states.iter().any(|state| state == "0.0.bias" || state == "5.2.bias"));
    let value = |name: &str| {
        let id = model_.graph.states().iter().find(|id| model_.graph.value(**id).name == name).expect(name);
        match &model_.graph.value(*id).def {
            kiln_graph::Def::State(tensor) => tensor.to_f64(),
            other => panic!("{name} is {other:?}"),
        }
    };
    assert_eq!(value("1.convs.1.1.weight"), [0.0; 8]);
    assert_eq!(value("1.convs.0.1.weight"), [1.0; 8]);
    assert!(value("1.convs.0.1.bias").iter().all(|x| (x - 1e-3).abs() < 1e-9));

    for (net, input, shape) in [
        ("SimpleCNN([3, 8, 16])", "3,16,16", "f32[N, 16]"),
        ("nn.Sequential(ResBlock(4, 2, 2, stride=2), PoolFlatten())", "8,8,8", "f32[N, 8]"),
        ("nn.Sequential(AdaptiveConcatPool2d(), Flatten(), SigmoidRange(0, 5))", "2,4,4", "f32[N, 4]"),
        (
            "nn.Sequential(ConvLayer(2, 3, 2, stride=2, transpose=True, norm_type=None, act_cls=nn.Tanh))",
            "2,4,4",
            "f32[N, 3, 8, 8]",
        ),
        (
            "sequential(SEBlock(1, 16, 16, reduction=8), SeparableBlock(1, 16, 8, reduction=4, stride=2), Cat([Identity(), one(8)]))",
            "16,8,8",
            "f32[N, 16, 4, 4]",
        ),
        ("TimeDistributed(ConvLayer(3, 4))", "5,3,8,8", "f32[N, 5, 4, 8, 8]"),
        ("PixelShuffle_ICNR(8, 4, norm_type=None, blur=True)", "8,4,4", "f32[N, 4, 8, 8]"),
        ("create_head(20, 2, y_range=(0, 5))", "20,4,4", "f32[N, 2]"),
        ("xresnet50(n_out=10, c_in=1)", "1,64,64", "f32[N, 10]"),
        ("EmbeddingDotBias(5, 9, 7, y_range=(0, 5.5))", "i64:2", "f32[N]"),
        ("EmbeddingNN([(9, 4), (9, 3)], [10, 5])", "i64:2", "f32[N, 1]"),
    ] {
        let text =
            format!("from fastai.vision.all import *\ndef one(n): return nn.Conv2d(n, n, 1)\nnet = {net}\n");
        assert_eq!(described(&model(&text, input)).1, shape, "{net}");
    }
}

/// What fastai 2.8.4 itself counts.
#[test]
fn networks_have_as_many_parameters_as_fastai_s() {
    for (net, input, wanted) in [
        ("ResBlock(1, 8, 16, stride=2)", "8,8,8", 3_680),
        ("ResBlock(4, 4, 8, stride=2)", "16,8,8", 1_632),
        ("ResBlock(1, 8, 8, reduction=4)", "8,8,8", 1_328),
        ("SEResNeXtBlock(4, 32, 64)", "128,8,8", 96_528),
        ("SeparableBlock(1, 16, 32, reduction=8, stride=2)", "16,8,8", 20_328),
        ("create_head(20, 2)", "20,4,4", 22_608),
        ("create_head(512 * 2, 2, ps=0.5)", "1024,4,4", 1_054_720),
        ("create_head(8, 3, lin_first=True, y_range=(0, 5))", "8,4,4", 10_755),
        ("xresnet18(n_out=10)", "3,64,64", 11_200_874),
        ("xse_resnext18(n_out=10)", "3,64,64", 13_138_026),
        ("xresnet18_deep(n_out=10)", "3,256,256", 14_281_066),
        ("EmbeddingDotBias(5, 9, 7)", "i64:2", 96),
    ] {
        let graph = model(&format!("from fastai.vision.all import *\nnet = {net}\n"), input).graph;
        let of = |id: &kiln_graph::ValueId| {
            graph.ty(*id).static_shape().expect("a shape").iter().product::<usize>()
        };
        // Running statistics are states, but no parameters.
        let is_parameter = |id: &&kiln_graph::ValueId| !graph.value(**id).name.contains("running_");
        assert_eq!(graph.states().iter().filter(is_parameter).map(of).sum::<usize>(), wanted, "{net}");
    }
}

#[test]
fn star_imports_are_read_or_named() {
    for text in [
        "from torch.nn import *\nnet = Sequential(Conv2d(3, 4, 3), ReLU())\n",
        "from torch.nn import *\nfrom torch.nn.functional import *\nclass Net(Module):\n    def forward(self, x):\n        return relu(x)\n",
        "import torch.nn as nn\nfrom math import *\nnet = nn.Conv2d(3, floor(sqrt(17)), 1)\n",
        // Not needed, so no harm.
        "import torch.nn as nn\nfrom nowhere import *\nnet = nn.Conv2d(3, 4, 1)\n",
    ] {
        model(text, "3,8,8");
    }
    let missing = "import torch.nn as nn\nfrom nowhere.layers import *\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.c = SpecialConv(3)\n    def forward(self, x):\n        return self.c(x)\n";
    let report = read(missing, "3,8,8").expect_err("nobody knows what it is");
    let words = "`SpecialConv` is not defined; `from nowhere.layers import *` on line 2 could not be read";
    assert!(report.contains(words), "{report}");
    let report =
        read("from fastai.vision.all import *\nnet = vision_learner(3)\n", "3").expect_err("no network");
    assert!(report.contains("`vision_learner`"), "{report}");
}
