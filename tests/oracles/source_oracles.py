"""What PyTorch makes of the files in `models/`: outputs, gradients and five steps of training.

`fixtures/source/CASE.json` has

- "model" and "args": the file, the class or function in it, and the arguments that it is called with; "trace_args" are
  those for training, which differ where dropout has to be off so that there is something to compare with;
- "input": the shape of one sample; "parameters": how many numbers are learned, those of a shared module once;
- "keys": the names of `state_dict()` with shapes, without `num_batches_tracked`;
- "output" in evaluation mode, of `noise(7, ..)` as a batch of 3: all of it up to 64 values;
- "gradients" of the first step and "optimizers" (of most cases), as in `fixtures/traces`: batches of 8, inputs
  `noise(100 + step)`, targets from `noise(200 + step)`, classes for the "loss" "cross_entropy" or values for "mse".
  "momentum" is SGD with this file's "lr", "momentum_value" and "weight_decay"; "adam" has the rate 0.001, the usual
  betas, and weight decay 0.01.
- "tolerance": three times what PyTorch itself is off when it computes with single precision, at least 1e-4.

All is computed with double precision. The weights come from a formula, so that no file has to be kept. With element i of
the tensor NAME, in row-major order, goes

    u = (splitmix64((crc32(NAME) << 32) + i) >> 40) / 2^23 - 1        between -1 and 1

    1.2 sqrt(3 / fan_in) u    with two dimensions or more; fan_in is the product of all but the first
    1 + 0.5 u                 where NAME ends in running_var
    0.2 u                     where it ends in running_mean
    1 + 0.3 u                 where it ends in weight
    0.1 u                     otherwise

rounded to single precision. A module that is there under several names counts under the first.
"""

import importlib.util
import json
import math
import sys
import warnings
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import trace_oracles
from trace_oracles import BATCH, MOST_ELEMENTS, STEPS

MODELS = Path(__file__).resolve().parents[2] / "models"
noise = lru_cache(maxsize=64)(trace_oracles.noise)

# Numbers of all tensors' summaries together, about; deep networks have fewer of each tensor.
ELEMENTS = 600
# Below this a gradient is zero but for rounding, and what an optimizer makes of it is chance.
NOTHING = 1e-12


@dataclass(frozen=True)
class Case:
    name: str
    model: str
    input: tuple
    args: dict = field(default_factory=dict)
    trace_args: dict = field(default_factory=dict)
    loss: str = "cross_entropy"
    lr: float = 0.02
    # Where an optimizer divides small gradients by their size, a unit that rounding switches is a visible step.
    smooth: bool = False
    traced: bool = True


BIRD, DIGIT = (3, 32, 32), (1, 28, 28)
# Small ends for the networks that are made for large images and a thousand classes.
TEN = {"num_classes": 10}
SMALL = {**TEN, "hidden": 64, "grid": 1}

CASES = [
    Case("net", "net.py:Net", BIRD, smooth=True),
    Case("net_module", "net.py:NetModule", BIRD),
    Case("net_sequential", "net.py:net_sequential", BIRD),
    Case("net_width", "net_variants.py:NetWidth", BIRD, smooth=True),
    Case("net_width_24", "net_variants.py:NetWidth", BIRD, {"n_chans1": 24}),
    Case("net_dropout", "net_variants.py:NetDropout", BIRD, trace_args={"p": 0.0}),
    Case("net_batch_norm", "net_variants.py:NetBatchNorm", BIRD, smooth=True),
    Case("net_depth", "net_variants.py:NetDepth", BIRD),
    Case("net_res", "net_variants.py:NetRes", BIRD),
    Case("net_res_deep", "net_variants.py:NetResDeep", BIRD, lr=0.002),
    Case("fleuret", "fleuret.py:Net", DIGIT),
    Case("fleuret_dropout", "fleuret.py:NetDropout", DIGIT, trace_args={"p": 0.0}),
    Case("fleuret_resnet", "fleuret.py:ResNet", DIGIT, {"nb_blocks": 4}, lr=0.005),
    Case("lenet5", "lenet5.py:LeNet5", DIGIT, smooth=True),
    Case("alexnet", "alexnet.py:alexnet", (3, 64, 64), SMALL, {"dropout": 0.0}),
    # Of deep networks, these sizes and rates: with others a unit switches, or a maximum changes places, at the least
    # rounding, and all steps after it are different.
    Case("vgg11", "vgg.py:vgg11", (3, 32, 32), SMALL, {"dropout": 0.0}, lr=0.002),
    Case("vgg11_bn", "vgg.py:vgg11_bn", (3, 36, 36), SMALL, {"dropout": 0.0}, lr=0.002),
    Case("vgg16", "vgg.py:vgg16", (3, 44, 44), SMALL, {"dropout": 0.0}, lr=0.002),
    Case("resnet18", "resnet.py:resnet18", (3, 56, 56), {**TEN, "width": 8}, lr=0.002),
    Case("resnet18_full", "resnet.py:resnet18", (3, 64, 64), traced=False),
    Case("resnet34", "resnet.py:resnet34", (3, 56, 56), {**TEN, "width": 4}, lr=0.002),
    Case("resnet50", "resnet.py:resnet50", (3, 56, 56), {**TEN, "width": 4}, lr=1e-6),
    Case("resnet50_full", "resnet.py:resnet50", (3, 64, 64), traced=False),
    Case("simple_net", "fastai.py:simple_net", (784,), loss="mse"),
    Case("simple_cnn", "fastai.py:simple_cnn", DIGIT),
    Case("simple_cnn_bn", "fastai.py:simple_cnn_bn", DIGIT),
    Case("fastai_resnet", "fastai.py:resnet", (3, 32, 32), {"layers": [2, 1, 1], "width": 16}, lr=0.002),
    Case("raff_simple_cnn", "inside_deep_learning.py:simple_cnn", DIGIT, smooth=True),
    Case("raff_deep_cnn", "inside_deep_learning.py:deep_cnn", DIGIT),
    Case("raff_batch_norm_cnn", "inside_deep_learning.py:batch_norm_cnn", DIGIT, lr=0.005),
    Case("raff_skip_net", "inside_deep_learning.py:SkipNet", DIGIT, lr=0.005),
    Case("raff_residual_net", "inside_deep_learning.py:ResidualNet", DIGIT, trace_args={"dropout": 0.0}, lr=0.002),
    Case("row_reader", "sequences.py:RowReader", DIGIT, smooth=True),
    Case("row_reader_layers", "sequences.py:RowReader", DIGIT, {"layers": 2, "dropout": 0.5}, traced=False),
    Case("patch_encoder", "sequences.py:PatchEncoder", DIGIT, trace_args={"dropout": 0.0}, smooth=True),
    Case("moons", "mlp.py:Moons", (2,), smooth=True),
    Case("regression", "mlp.py:Regression", (1,), loss="mse", smooth=True),
]


def summary(tensor, most=MOST_ELEMENTS):
    # A norm in single precision is itself off by 1e-4 where there are millions of elements.
    return trace_oracles.summary(tensor.double(), most)


def splitmix64(z):
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def formula(name, shape):
    first = np.uint64(zlib.crc32(name.encode()) << 32)
    mixed = splitmix64(first + np.arange(math.prod(shape), dtype=np.uint64))
    u = (mixed >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    if len(shape) >= 2:
        values = u * math.sqrt(3 / math.prod(shape[1:])) * 1.2
    elif name.endswith("running_var"):
        values = 1 + 0.5 * u
    elif name.endswith("running_mean"):
        values = 0.2 * u
    elif name.endswith("weight"):
        values = 1 + 0.3 * u
    else:
        values = 0.1 * u
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def tensors(module):
    """Parameters and running statistics, each once under its first name."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor for name, tensor in named if tensor.is_floating_point()}


def build(case, args, dtype):
    file, name = case.model.split(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, MODELS / file)
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    module = getattr(source, name)(**args).to(dtype)
    with torch.no_grad():
        for name, tensor in tensors(module).items():
            tensor.copy_(formula(name, tuple(tensor.shape)))
    return module


def rounded(count, seed, shape, dtype):
    values = noise(seed, count * math.prod(shape)).astype(np.float32).reshape(count, *shape)
    return torch.from_numpy(values).to(dtype)


def output(case, dtype):
    module = build(case, case.args, dtype).eval()
    with torch.no_grad():
        return module, module(rounded(3, 7, case.input, dtype))


def steps(case, optimizer, dtype, shape, most):
    """Losses and states of one optimizer, and the gradients of its first step."""
    module = build(case, {**case.args, **case.trace_args}, dtype).train()
    losses, gradients = [], None
    step_of = {
        "momentum": lambda p: torch.optim.SGD(p, lr=case.lr, momentum=0.9, weight_decay=0.01),
        "adam": lambda p: torch.optim.Adam(p, lr=0.001, weight_decay=0.01),
    }[optimizer](module.parameters())
    for step in range(STEPS):
        x = rounded(BATCH, 100 + step, case.input, dtype)
        step_of.zero_grad()
        if case.loss == "mse":
            loss = F.mse_loss(module(x), rounded(BATCH, 200 + step, shape, dtype))
        else:
            classes = ((noise(200 + step, BATCH) + 1) / 2 * shape[0]).astype(np.int64)
            loss = F.cross_entropy(module(x), torch.from_numpy(classes))
        loss.backward()
        if gradients is None:
            gradients = {n: summary(p.grad, most) for n, p in module.named_parameters()}
        step_of.step()
        losses.append(loss.item())
    return gradients, {"losses": losses, "state": {n: summary(t, most) for n, t in tensors(module).items()}}


def apart(found, wanted, least):
    largest = max([least, *map(abs, wanted["elements"])])
    worst = max(abs(a - b) / largest for a, b in zip(found["elements"], wanted["elements"]))
    return max(worst, abs(found["norm"] - wanted["norm"]) / max(wanted["norm"], least))


def off(optimizer, found, wanted):
    """How far one trace is from another, with the exceptions that the test makes."""
    (gradients, result), (true_gradients, true_result) = found, wanted
    yield from (abs(a - b) / abs(b) for a, b in zip(result["losses"], true_result["losses"]))
    largest = max(g["norm"] for g in true_gradients.values())
    nothing = {n for n, g in true_gradients.items() if g["norm"] < NOTHING}
    yield from (apart(g, true_gradients[n], 1e-3 * largest) for n, g in gradients.items())
    for name, state in result["state"].items():
        drifts = optimizer == "adam" and nothing and name.endswith("running_mean")
        if name not in nothing and not drifts:
            yield apart(state, true_result["state"][name], 1e-6)


def singles(answer, *arguments):
    """What single precision makes of it, by two ways to convolve."""
    yield answer(*arguments)
    with warnings.catch_warnings(action="ignore"), torch.backends.mkldnn.flags(enabled=False):
        yield answer(*arguments)


def followed(case, shape, most):
    """The steps of training as the JSON has them, and how far single precision is from them."""
    result, worst = {"gradients": {}, "optimizers": {}}, 0.0
    if not case.traced:
        return result, worst
    for optimizer in ("momentum", "adam") if case.smooth else ("momentum",):
        wanted = steps(case, optimizer, torch.float64, shape, most)
        for found in singles(steps, case, optimizer, torch.float32, shape, most):
            worst = max([worst, *off(optimizer, found, wanted)])
        result["gradients"], result["optimizers"][optimizer] = wanted
    return result, worst


def tolerance(worst):
    """Three times as much, rounded up to one digit."""
    if 3 * worst <= 1e-4:
        return 1e-4
    unit = 10.0 ** math.floor(math.log10(3 * worst))
    return float(f"{math.ceil(3 * worst / unit) * unit:.1g}")


def oracle(case):
    module, wanted = output(case, torch.float64)
    most = min(MOST_ELEMENTS, max(4, ELEMENTS // len(tensors(module))))
    trace, worst = followed(case, tuple(wanted.shape[1:]), most)
    for _, found in singles(output, case, torch.float32):
        worst = max(worst, apart(summary(found, 64), summary(wanted, 64), 1e-6))
    keys = {n: list(t.shape) for n, t in module.state_dict().items() if not n.endswith("num_batches_tracked")}
    return worst, {
        "model": case.model,
        "args": case.args,
        "trace_args": {**case.args, **case.trace_args},
        "input": case.input,
        "parameters": sum(p.numel() for p in module.parameters()),
        "keys": keys,
        "output": {"shape": list(wanted.shape), **summary(wanted, 64)},
        "loss": case.loss,
        "lr": case.lr,
        "momentum_value": 0.9,
        "weight_decay": 0.01,
        "tolerance": tolerance(worst),
        **trace,
    }


def brief(value):
    """Eight digits: what is compared is far less exact."""
    if isinstance(value, dict):
        return {k: brief(v) for k, v in value.items()}
    if isinstance(value, list):
        return [brief(v) for v in value]
    return float(f"{value:.8g}") if isinstance(value, float) else value


def write_all(directory, only=None):
    """Writes all cases, or those with names in `only`; returns how many."""
    torch.set_num_threads(1)
    target = directory / "source"
    target.mkdir(parents=True, exist_ok=True)
    cases = [case for case in CASES if only is None or case.name in only]
    for case in cases:
        worst, result = oracle(case)
        text = json.dumps(brief(result), separators=(",", ":"))
        (target / f"{case.name}.json").write_text(text + "\n")
        print(f"{case.name}: single precision is off by {worst:.1e}", file=sys.stderr)
    return len(cases)
