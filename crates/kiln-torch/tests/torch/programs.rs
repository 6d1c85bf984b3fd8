//! Whole programs: what fails on the way to the model, what is deleted behind it, files beside the file.

use std::path::Path;

use kiln_torch::{ImportOptions, Imported, import, import_text};

const HEAD: &str = "import torch\nimport torch.nn as nn\nfrom nowhere import data, train, download\n\n";

fn options(model: &str, input: &str) -> ImportOptions {
    ImportOptions { model: Some(model.into()), inputs: vec![input.into()], ..ImportOptions::default() }
}

fn read(text: &str, model: &str, input: &str) -> Result<Imported, String> {
    import_text(&format!("{HEAD}{text}"), Path::new("net.py"), &options(model, input))
        .map_err(|error| error.report())
}

fn parameters(model: &Imported) -> usize {
    let sizes =
        model.graph.states().iter().map(|id| model.graph.ty(*id).static_shape().expect("a state's shape"));
    sizes.map(|shape| shape.iter().product::<usize>()).sum()
}

/// A program that goes on behind what failed would be another network: with a layer less, or with an older value. Such
/// names stand for the reason.
#[test]
fn what_a_failed_statement_would_have_changed_is_not_known() {
    for text in [
        // A layer less.
        "layers = []\nfor size in [8, 4]:\n    layers.append(nn.Linear(data.width, size))\nlayers.append(nn.Linear(4, 4))\nnet = nn.Sequential(*layers)",
        "layers = [nn.Linear(4, 4)]\nlayers += [nn.Linear(4, data.classes)]\nnet = nn.Sequential(*layers)",
        "layers = {}\nlayers['first'] = nn.Linear(4, data.classes)\nlayers['last'] = nn.Linear(4, 4)\nnet = nn.Sequential(*layers.values())",
        "net = nn.Sequential(nn.Linear(4, 4))\nnet.add_module('last', nn.Linear(4, data.classes))",
        "net = nn.Sequential(nn.Linear(4, 4))\nnet.append(nn.Linear(4, data.classes))",
        "layers = [nn.Linear(4, 4)]\n[layers.append(nn.Linear(4, n)) for n in data]\nnet = nn.Sequential(*layers)",
        // The head that was to be replaced.
        "net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())\nnet[1] = nn.Linear(4, data.classes)",
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(4, 4)\n    def forward(self, x):\n        return self.fc(x)\nnet = Net()\nnet.fc = nn.Linear(4, data.classes)",
        // An older value.
        "width = 4\nwidth = data.width\nnet = nn.Linear(4, width)",
        "width, depth = 4, 1\n(width, depth) = data.sizes()\nnet = nn.Linear(4, width)",
        "width = 4\nif data.is_wide:\n    width = 8\nnet = nn.Linear(4, width)",
        "width = 4\nwhile data.more():\n    width += 1\nnet = nn.Linear(4, width)",
        "width = 4\ntry:\n    width = data.width()\nexcept ValueError:\n    width = 5\nnet = nn.Linear(4, width)",
        "width = 4\nwidth = width + data.width\nnet = nn.Linear(4, width)",
        "net = nn.Linear(4, 4)\nnet = nn.Sequential(nn.Linear(4, data.classes))",
        "words = {}\nfor word in data:\n    words[word] = len(words)\nnet = nn.Linear(4, 1 + len(words))",
        "kernel = torch.zeros(4, 4)\nkernel[0] = data.row()\nnet = nn.Linear(4, 4)\nnet.weight = nn.Parameter(kernel)",
        "class Config:\n    width = 4\nconfig = Config()\nconfig.width = data.width()\nnet = nn.Linear(4, config.width)",
        "def build(n):\n    return nn.Linear(4, n)\nbuild = data.decorate(build)\nnet = build(4)",
    ] {
        match read(text, "net", "4") {
            Ok(model) => panic!("{text}\n{} parameters", parameters(&model)),
            Err(report) => assert!(report.contains("comes from `nowhere`"), "{text}\n{report}"),
        }
    }
}

/// What has nothing to do with the network is passed over.
#[test]
fn training_and_plots_do_no_harm() {
    for (text, count) in [
        (
            "net = nn.Linear(4, 2)\ntrain(net, data)\nfor x, y in data:\n    net.train()\n    loss = net(x)",
            10,
        ),
        ("net = nn.Linear(4, 2)\nlosses = []\nfor x, y in data:\n    losses.append(net(x))\n", 10),
        (
            "net = nn.Linear(4, 2)\nnet.class_names = data.classes()\ntorch.backends.cudnn.benchmark = data.fast()",
            10,
        ),
        ("net = nn.Linear(4, 2)\nnet = net.to(data.device())\nnet = net.eval().cuda(data.device())", 10),
        ("net = nn.Linear(4, 2)\nresults = train(net)\ndel results, net", 10),
        ("net = nn.Linear(4, 2)\ntrain(net)\ndel net\nother = nn.Linear(4, 3)", 10),
        ("first = nn.Linear(4, 2)\nnet = nn.Sequential(first, nn.ReLU())\nfirst = data.first()", 10),
    ] {
        let model = read(text, "net", "4").unwrap_or_else(|report| panic!("{text}\n{report}"));
        assert_eq!(parameters(&model), count, "{text}");
        assert!(model.warnings.is_empty(), "{text}: {:?}", model.warnings);
    }
    // What may have changed the network is said.
    for line in
        ["net = train(net, data)", "net, best = train(net, data)", "net = nn.Sequential(net, data.head())"]
    {
        let model = read(&format!("net = nn.Linear(4, 2)\n{line}\n"), "net", "4").expect("it is a layer");
        let wanted = format!("`{line}` (net.py:6) is skipped: `net` is used as it was before");
        assert_eq!(model.warnings, [wanted]);
    }
}

#[test]
fn refusals_name_what_works_instead() {
    for (text, words) in [
        ("from torchvision import models\nnet = models.resnet18(weights='DEFAULT')", "`models/resnet.py`"),
        (
            "import torchvision\nnet = torchvision.models.vgg16()\nnet.classifier[6] = nn.Linear(4096, 2)",
            "`torch.onnx.export`",
        ),
        ("import timm\nnet = timm.create_model('resnet18')", "`torch.onnx.export`"),
        (
            "from torchtext.datasets import AG_NEWS\ntrain_set, test_set = AG_NEWS()\nnet = nn.Embedding(len(train_set), 4)",
            "`--arg` gives",
        ),
        ("import random\nnet = nn.Linear(4, random.randint(1, 9))", "`random.randint` draws a random number"),
        (
            "def net(x):\n    return x @ torch.ones(4, 4)",
            "one that computes with tensors is the `forward` of a class",
        ),
        (
            "class P(torch.Tensor):\n    def __new__(cls, x):\n        return torch.Tensor._make_subclass(cls, x, True)\nnet = nn.Sequential(P(torch.ones(3)))",
            "`nn.Parameter(x)` makes a parameter",
        ),
    ] {
        let report = read(text, "net", "4").expect_err(text);
        assert!(report.contains(words), "{text}\n{report}");
    }
    let text = "from fastai.vision.all import *\ndls = ImageDataLoaders.from_folder(path)\nnet = nn.Linear(4, dls.c)";
    let report = read(text, "net", "4").expect_err(text);
    assert!(report.contains("10 instead of `dls.c`"), "{report}");
}

/// A network around which Lightning's methods stand.
#[test]
fn modules_of_lightning_are_modules() {
    let text = "
import pytorch_lightning as pl
from pkg_resources import parse_version
from torchmetrics import __version__ as metrics

class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.classes = 2 if parse_version(metrics) > parse_version('0.8') else 3
        self.model = nn.Linear(4, self.classes)

    def forward(self, x):
        return self.model(x)

    if parse_version(pl.__version__) >= parse_version('2.0'):
        def on_training_epoch_end(self):
            self.log('loss', 0)
    else:
        def training_epoch_end(self, outs):
            self.log('loss', 0)

net = Net()
trainer = pl.Trainer(max_epochs=10)
trainer.fit(model=net)
";
    assert_eq!(parameters(&read(text, "net", "4").unwrap_or_else(|report| panic!("{report}"))), 10);
}

/// What a constructor registers beside parameters is a state of the model, but nothing that is counted or trained.
#[test]
fn buffers_are_no_parameters() {
    let text = "
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
        self.unused = nn.BatchNorm1d(3)
        self.register_buffer('scale', torch.ones(4))

    def forward(self, x):
        return self.fc(x * self.scale)

net = Net()
";
    let mut buffers = read(text, "net", "4").unwrap_or_else(|report| panic!("{report}")).buffers;
    buffers.sort();
    assert_eq!(buffers, ["scale", "unused.running_mean", "unused.running_var"]);
}

/// What `forward` leaves for its next call is gone in a plan, which is said; what it only looks at or sets is no matter.
#[test]
fn what_is_carried_from_run_to_run_is_said() {
    let net = |init: &str, forward: &str| {
        format!(
            "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(4, 4)\n        self.h = {init}\n\n    def forward(self, x):\n        {forward}\n\nnet = Net()\n"
        )
    };
    for (init, forward, is_carried) in [
        ("0", "self.h = self.fc(x + self.h); return self.h", true),
        ("torch.zeros(4)", "y = self.fc(x + self.h); self.h = y.detach(); return y", true),
        ("[torch.zeros(4)]", "y = self.fc(x + self.h[0]); self.h = [y]; return y", true),
        ("0.5", "return self.fc(x) * self.h", false),
        ("0", "self.h = self.fc(x); return self.h * 2", false),
        ("0", "self.h += 1; return self.fc(x) * self.h", false),
        ("None", "self.h = torch.ones(4) if self.h is None else self.h; return self.fc(x) + self.h", false),
    ] {
        let model =
            read(&net(init, forward), "net", "4").unwrap_or_else(|report| panic!("{forward}\n{report}"));
        let wanted = "`forward` stores a tensor in `h`, which it has read before";
        let said = model.warnings.iter().any(|warning| warning.starts_with(wanted));
        assert_eq!(said, is_carried, "{forward}: {:?}", model.warnings);
    }
}

/// `python -m package.train` runs from the folder around the package.
#[test]
fn neighbours_of_a_package_are_found() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("neighbours");
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    write("part/__init__.py", "");
    write(
        "part/model.py",
        "from shared.blocks import block\nfrom part.sizes import WIDTH\nnet = block(WIDTH)\n",
    );
    write("part/sizes.py", "WIDTH = 4\n");
    write("shared/__init__.py", "");
    write("shared/blocks.py", "import torch.nn as nn\ndef block(n):\n    return nn.Linear(n, n)\n");
    // Without `__init__.py` it is a file in a folder, and Python would not look around it.
    write("loose/model.py", "from shared.blocks import block\nnet = block(4)\n");
    let read = |path: &str| {
        let options = ImportOptions { root: Some(root.clone()), ..options("net", "4") };
        import(&root.join(path), &options).map_err(|error| error.report())
    };
    assert_eq!(parameters(&read("part/model.py").expect("its neighbour is there")), 20);
    let report = read("loose/model.py").expect_err("it is no package");
    assert!(report.contains("`block` comes from `shared.blocks`"), "{report}");
}
