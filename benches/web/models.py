#!/usr/bin/env python3
"""Makes the models of the comparison in a browser: ONNX files with random weights, an input and PyTorch's answer as raw f32.

    models.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torchvision.models

folder = Path(sys.argv[1])
sys.path.insert(0, str(Path(__file__).parents[2] / "models"))

from fastai import simple_cnn  # noqa: E402
from lenet5 import LeNet5  # noqa: E402
from net import Net  # noqa: E402

large = [3, 224, 224]
models = {
    "resnet18": (lambda: torchvision.models.resnet18(), large),
    "mobilenet_v2": (lambda: torchvision.models.mobilenet_v2(), large),
    "squeezenet1_1": (lambda: torchvision.models.squeezenet1_1(), large),
    "net": (Net, [3, 32, 32]),
    "lenet5": (LeNet5, [1, 28, 28]),
    "simple_cnn": (simple_cnn, [1, 28, 28]),
}
for name, (make, shape) in models.items():
    torch.manual_seed(0)
    model = make().eval()
    x = torch.rand(1, *shape)
    to = folder / name
    to.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(model, x, to / "model.onnx", input_names=["input"], output_names=["output"], opset_version=17, dynamo=False)
    x.numpy().astype("<f4").tofile(to / "input.bin")
    with torch.no_grad():
        np.asarray(model(x)).astype("<f4").tofile(to / "expected.bin")
    (to / "shape.json").write_text(str([1, *shape]))
