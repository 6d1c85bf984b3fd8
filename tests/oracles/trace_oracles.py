"""Five steps of training as PyTorch does them, from the weights in a committed model, on batches from a formula.

`fixtures/traces/NAME.json` has, for each optimizer, the loss of each step and every weight and running statistic after
the last; and the gradients of the first step. Of each tensor there are its norm and some of its elements. PyTorch
computes in double precision, so that its rounding errors are not for others to reproduce.
"""

import json

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper

from networks import NETWORKS

BATCH = 8
STEPS = 5
# Of each tensor, elements 0, k, 2k, ..
MOST_ELEMENTS = 40

# Directory of the model, and the network it was exported from.
TRACED = {
    "net": "net",
    "net_batch_norm-preserve": "net_batch_norm",
    "net_res": "net_res",
    "net_res_deep-preserve": "net_res_deep",
    "fleuret_mnist": "fleuret_mnist",
    "fastai_simple_cnn_bn-preserve": "fastai_simple_cnn_bn",
    "mlp": "mlp",
}

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.02),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=0.01),
    "dampened": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.8, dampening=0.3),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.001, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.001),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.0005),
    "rmsprop_centered": lambda p: torch.optim.RMSprop(p, lr=0.0005, momentum=0.5, centered=True, weight_decay=0.01),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.005, lr_decay=0.1),
}


# Traced for smooth networks only: where an optimizer divides small gradients by their size, a unit that rounding switches
# on or off in one engine and not in the other is a visible step.
SMOOTH = ("net", "net_batch_norm-preserve", "mlp")
OTHERS = ("dampened", "rmsprop", "rmsprop_centered", "adagrad")


def noise(seed, count):
    """Numbers between -1 and 1 from a linear congruential generator, the same in any language."""
    mask = (1 << 64) - 1
    state = (seed * 0x9E3779B97F4A7C15 + 1) & mask
    out = np.empty(count)
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) & mask
        out[i] = (state >> 33) / (1 << 30) - 1.0
    return out


def batch(step, shape, classes):
    x = noise(100 + step, BATCH * int(np.prod(shape))).astype(np.float32).reshape(BATCH, *shape)
    y = ((noise(200 + step, BATCH) + 1) / 2 * classes).astype(np.int64)
    return torch.from_numpy(x).double(), torch.from_numpy(y)


def summary(tensor, most=MOST_ELEMENTS):
    values = tensor.detach().reshape(-1)
    every = -(-len(values) // most)
    return {"norm": float(values.norm()), "every": every, "elements": [float(f"{x:.9g}") for x in values[::every]]}


def loaded(directory, network):
    torch.manual_seed(0)
    module = network.build().double()
    model = onnx.load(directory / "model.onnx")
    weights = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in model.graph.initializer}
    # A block that is applied several times is there under several names; the file has the first.
    known = {name for name, _ in module.named_parameters()} | {name for name, _ in module.named_buffers()}
    missing = [name for name in known if name not in weights and not name.endswith("num_batches_tracked")]
    assert not missing, missing
    module.load_state_dict({name: weights[name] for name in known if name in weights}, strict=False)
    return module.train(), known


def trace(directory, network, is_smooth):
    result = {"gradients": None, "optimizers": {}}
    for name, make in OPTIMIZERS.items():
        if name in OTHERS and not is_smooth:
            continue
        classes = loaded(directory, network)[0].eval()(batch(0, network.input, 1)[0]).shape[1]
        module, known = loaded(directory, network)
        optimizer = make(module.parameters())
        losses = []
        for step in range(STEPS):
            x, y = batch(step, network.input, classes)
            optimizer.zero_grad()
            loss = F.cross_entropy(module(x), y)
            loss.backward()
            if result["gradients"] is None:
                result["gradients"] = {n: summary(p.grad) for n, p in module.named_parameters()}
            optimizer.step()
            losses.append(loss.item())
        state = {n: summary(t) for n, t in module.state_dict().items() if n in known and t.is_floating_point()}
        result["optimizers"][name] = {"losses": losses, "state": state}
    return result


def write_all(directory):
    """Writes all traces; returns how many."""
    networks = {network.name: network for network in NETWORKS}
    target = directory / "traces"
    target.mkdir(exist_ok=True)
    for name, network in TRACED.items():
        text = json.dumps(trace(directory / name, networks[network], name in SMOOTH), separators=(",", ":"))
        (target / f"{name}.json").write_text(text + "\n")
    return len(TRACED)
