"""Losses and their gradients as PyTorch computes them, on numbers from a formula: `fixtures/losses.json`."""

import json

import torch
import torch.nn.functional as F

from trace_oracles import noise

WEIGHTS = [0.5, 2.0, 1.0]
CLASSES = [2, 0, 1, 1]
# With a class that does not count.
IGNORING = [2, -1, 1, 0]


def scores():
    return torch.tensor(3 * noise(1, 12).reshape(4, 3), requires_grad=True)


def values():
    return torch.tensor(2 * noise(2, 12).reshape(4, 3), requires_grad=True)


def cross_entropy(classes=CLASSES, weight=None, **settings):
    x = scores()
    weight = torch.tensor(weight, dtype=torch.float64) if weight else None
    return x, F.cross_entropy(x, torch.tensor(classes), weight=weight, **settings)


def nll(classes=CLASSES, weight=None, **settings):
    x = scores()
    weight = torch.tensor(weight, dtype=torch.float64) if weight else None
    return x, F.nll_loss(x, torch.tensor(classes), weight=weight, **settings)


def compared(function, **settings):
    x = values()
    return x, function(x, torch.tensor(noise(3, 12).reshape(4, 3)), **settings)


def bent(function, **settings):
    """Beside targets of zero, with differences at which losses bend."""
    x = ((torch.arange(12, dtype=torch.float64).reshape(4, 3) - 6) / 4).requires_grad_()
    return x, function(x, torch.zeros_like(x), **settings)


def bce():
    x = values()
    with torch.no_grad():
        x[0, 0] = 0.0
    return x, F.binary_cross_entropy_with_logits(x, torch.tensor((noise(3, 12) > 0).astype(float).reshape(4, 3)))


CASES = {
    "cross_entropy": lambda: cross_entropy(),
    "cross_entropy_weights": lambda: cross_entropy(weight=WEIGHTS),
    "cross_entropy_smoothing": lambda: cross_entropy(label_smoothing=0.1),
    "cross_entropy_ignore": lambda: cross_entropy(IGNORING, ignore_index=-1),
    "cross_entropy_all": lambda: cross_entropy(IGNORING, WEIGHTS, ignore_index=-1, label_smoothing=0.2),
    "nll": lambda: nll(),
    "nll_all": lambda: nll(IGNORING, WEIGHTS, ignore_index=-1),
    "mse": lambda: compared(F.mse_loss),
    "l1": lambda: compared(F.l1_loss),
    "smooth_l1": lambda: compared(F.smooth_l1_loss),
    "smooth_l1_beta": lambda: compared(F.smooth_l1_loss, beta=0.3),
    "l1_bends": lambda: bent(F.l1_loss),
    "smooth_l1_bends": lambda: bent(F.smooth_l1_loss),
    "smooth_l1_beta_bends": lambda: bent(F.smooth_l1_loss, beta=0.5),
    "smooth_l1_zero_bends": lambda: bent(F.smooth_l1_loss, beta=0.0),
    "bce": bce,
}


def write_all(directory):
    """Writes the file; returns how many losses are in it."""
    result = {}
    for name, case in CASES.items():
        x, loss = case()
        (gradient,) = torch.autograd.grad(loss, x)
        result[name] = {"input": x.reshape(-1).tolist(), "loss": loss.item(), "gradient": gradient.reshape(-1).tolist()}
    (directory / "losses.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
    return len(result)
