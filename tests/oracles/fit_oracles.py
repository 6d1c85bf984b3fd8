"""Whole trainings by PyTorch's usual loop: batches that are accumulated, with a rest at the end of an epoch, schedules,
targets that do not count, class weights; `fixtures/fit.json`.

The loop is that of the documentation of Hugging Face Accelerate ("Performing gradient accumulation with Accelerate",
the plain PyTorch version) and of PyTorch Lightning's `accumulate_grad_batches`, which both divide each loss by the number
of batches of a full step and step once more for the rest of an epoch. Schedules step with the optimizer or with the
epoch. PyTorch computes in double precision.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from trace_oracles import noise

sys.path.insert(0, str(Path(__file__).resolve().parent / "fixtures"))
from fit import columns, linear, pixels  # noqa: E402

# The sizes of the networks in `fixtures/fit.py`.
SAMPLES, FEATURES, CLASSES, SIDE = 10, 4, 3, 3
IGNORED = -100
WEIGHTS = [0.5, 2.0, 1.0]


def numbers(seed, *shape):
    count = 1
    for size in shape:
        count *= size
    return torch.from_numpy(noise(seed, count)).reshape(shape)


def labels(seed, *shape):
    return ((numbers(seed, *shape) + 1) / 2 * CLASSES).long()


def network(make):
    module = make().double()
    for number, parameter in enumerate(module.parameters()):
        parameter.data = numbers(10 + number, *parameter.shape) * 0.5
    return module


# Of the ten samples, batches of four: the second has no target that counts, the third is the rest.
SOME = labels(2, SAMPLES)
SOME[[1, 4, 5, 6, 7, 9]] = IGNORED
PLACES = labels(3, SAMPLES, SIDE, SIDE)
PLACES[:, 0] = IGNORED
PLACES[2] = IGNORED

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}


def case(make=linear, x=None, y=None, loss=None, optimizer="sgd", accumulate=1, schedule=None, batch=4, epochs=3):
    x = numbers(1, SAMPLES, FEATURES) if x is None else x
    y = labels(2, SAMPLES) if y is None else y
    loss = loss or {}
    module = network(make)
    if optimizer == "sgd":
        rule = torch.optim.SGD(module.parameters(), **SGD)
    else:
        rule = torch.optim.Adam(module.parameters(), lr=0.05)
    weight = torch.tensor(loss["weight"], dtype=torch.float64) if "weight" in loss else None
    settings = {**loss, "weight": weight}
    batches = -(-SAMPLES // batch)
    steps = -(-batches // accumulate) * epochs
    course = {
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(rule, steps),
        "step": lambda: torch.optim.lr_scheduler.StepLR(rule, 1, 0.5),
    }
    scheduler = course[schedule]() if schedule else None

    def compare(output, y):
        return F.cross_entropy(output, y, **settings) if make is not columns else F.mse_loss(output, y)

    first = {name: value.tolist() for name, value in module.state_dict().items()}
    rates = []
    for _ in range(epochs):
        for i in range(batches):
            output = module(x[i * batch : (i + 1) * batch])
            (compare(output, y[i * batch : (i + 1) * batch]) / accumulate).backward()
            if (i + 1) % accumulate == 0 or i + 1 == batches:
                rates.append(rule.param_groups[0]["lr"])
                rule.step()
                rule.zero_grad()
                if schedule == "cosine":
                    scheduler.step()
        if schedule == "step":
            scheduler.step()
    with torch.no_grad():
        output = module(x)
        counts = y != IGNORED if make is not columns else torch.ones(SAMPLES)
        result = {"first": first, "rates": rates, "loss": compare(output, y).item()}
        if make is not columns:
            right = ((output.argmax(1) == y) & counts).sum().item()
            result["right"], result["counted"] = right, counts.sum().item()
    result["last"] = {name: value.tolist() for name, value in module.state_dict().items()}
    return result


CASES = {
    "rest": lambda: case(accumulate=2),
    "rest_adam": lambda: case(accumulate=2, optimizer="adam"),
    "too_few": lambda: case(accumulate=5),
    "cosine": lambda: case(accumulate=2, schedule="cosine"),
    "step": lambda: case(accumulate=2, schedule="step", batch=3),
    "ignored": lambda: case(y=SOME),
    "ignored_accumulate": lambda: case(y=SOME, accumulate=2, optimizer="adam"),
    "weights": lambda: case(loss={"weight": WEIGHTS}),
    "weights_ignored": lambda: case(y=SOME, loss={"weight": WEIGHTS, "label_smoothing": 0.2}),
    "pixels": lambda: case(pixels, numbers(1, SAMPLES, 2, SIDE, SIDE), PLACES),
    "pixels_weights": lambda: case(pixels, numbers(1, SAMPLES, 2, SIDE, SIDE), PLACES, {"weight": WEIGHTS}),
    "numbers": lambda: case(columns, y=(labels(2, SAMPLES) * 7).double()[:, None], batch=3),
}


def write_all(directory):
    """Writes the file; returns how many trainings are in it."""
    result = {name: make() for name, make in CASES.items()}
    (directory / "fit.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    return len(result)
