"""Training with 16-bit floats as PyTorch does it, and the scale of its loss.

`fixtures/precision.json` has

- "loss_scale": for each case the steps of which gradients are not finite, and the scale and the count of good steps that
  `torch.amp.GradScaler` has after each step; runs of the same are written once, with their length;
- "traces": what `trace_oracles.py` has, for networks whose activations and gradients are rounded to 16 bits
  (`x.half()`) where Kiln keeps them in memory, with the loss times 65,536 and gradients divided by it. All else is
  computed with double precision: PyTorch's own half precision rounds sums and weights, too.
"""

import itertools
import json
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

from networks import NETWORKS
from trace_oracles import OPTIMIZERS, STEPS, batch, loaded, summary

SCALE = 65_536.0

# Steps that overflow, and how many steps there are.
OVERFLOWS = {
    "none": (set(), 4_003),
    "first": ({0, 1}, 2_010),
    "just before it grows": ({1_999}, 4_002),
    "just after": ({2_000, 2_001}, 4_005),
    "falls": (set(range(20)), 24),
}


def loss_scale(overflows, steps):
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    scaler = torch.amp.GradScaler("cpu")
    found = []
    for step in range(steps):
        optimizer.zero_grad()
        factor = float("inf") if step in overflows else 1.0
        scaler.scale((weight * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        found.append((scaler.get_scale(), int(scaler._get_growth_tracker())))
    scales = [[scale, len(list(run))] for scale, run in itertools.groupby(scale for scale, _ in found)]
    return {"overflows": sorted(overflows), "steps": steps, "scales": scales, "good_steps": found[-1][1]}


class Forward(torch.autograd.Function):
    """Rounds what lies between two kernels."""

    @staticmethod
    def forward(_, x):
        return x.half().double()

    @staticmethod
    def backward(_, gradient):
        return gradient


class Backward(torch.autograd.Function):
    """Rounds its gradient."""

    @staticmethod
    def forward(_, x):
        return x.view_as(x)

    @staticmethod
    def backward(_, gradient):
        return gradient.half().double()


def rounds(module):
    """Rounds what a network of layers, tanh and pooling keeps. The scores at its end are not rounded."""
    forward, backward = Forward.apply, Backward.apply
    layers = [m for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))]
    normalized = any(isinstance(m, nn.BatchNorm2d) for m in layers)
    last = [layer for layer in layers if isinstance(layer, nn.Linear)][-1]
    for layer in layers:
        if layer is last:
            continue
        # The input of a batch normalization is read several times.
        both = normalized and isinstance(layer, nn.Conv2d)
        layer.register_forward_hook(lambda *a, both=both: backward(forward(a[-1])) if both else backward(a[-1]))


class Functions:
    """`torch.tanh`, `F.relu` and `F.max_pool2d` that round, in place of those of a network."""

    def __enter__(self):
        self.old = torch.tanh, torch.relu, F.relu, F.max_pool2d
        tanh, relu, f_relu, pool = self.old
        torch.tanh = lambda x: Forward.apply(tanh(x))
        torch.relu = lambda x: Forward.apply(relu(x))
        F.relu = lambda x, inplace=False: Forward.apply(f_relu(x))
        F.max_pool2d = lambda *a, **k: Backward.apply(pool(*a, **k))

    def __exit__(self, *_):
        torch.tanh, torch.relu, F.relu, F.max_pool2d = self.old


# Directory of the model, and the network it was exported from.
TRACED = {"net": "net", "net_batch_norm-preserve": "net_batch_norm", "mlp": "mlp"}


def trace(directory, network):
    result = {"gradients": None, "optimizers": {}}
    for name in ("sgd", "momentum", "adam"):
        classes = loaded(directory, network)[0].eval()(batch(0, network.input, 1)[0]).shape[1]
        module, known = loaded(directory, network)
        rounds(module)
        optimizer = OPTIMIZERS[name](module.parameters())
        losses = []
        for step in range(STEPS):
            x, y = batch(step, network.input, classes)
            optimizer.zero_grad()
            with Functions():
                loss = F.cross_entropy(module(x), y)
            (loss * SCALE).backward()
            for parameter in module.parameters():
                parameter.grad /= SCALE
            if result["gradients"] is None:
                result["gradients"] = {n: summary(p.grad) for n, p in module.named_parameters()}
            optimizer.step()
            losses.append(loss.item())
        state = {n: summary(t) for n, t in module.state_dict().items() if n in known and t.is_floating_point()}
        result["optimizers"][name] = {"losses": losses, "state": state}
    return result


def main():
    fixtures = Path(__file__).parent / "fixtures"
    networks = {network.name: network for network in NETWORKS}
    found = {
        "loss_scale": {name: loss_scale(*case) for name, case in OVERFLOWS.items()},
        "traces": {name: trace(fixtures / name, networks[network]) for name, network in TRACED.items()},
    }
    (fixtures / "precision.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
