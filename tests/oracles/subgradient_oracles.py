"""What PyTorch takes for the gradient where there is no derivative: at ties, borders, zeros and infinities.

`fixtures/subgradients.json` is a list: of each expression ("code", in `x`, `y` and `z`, in a "part" of the table) the "inputs" with their "shape" and
"values", and PyTorch's "output" and "gradients", which are those of the sum of the output, once in double and once in single
precision ("single") where they differ by more than rounding. `subgradient_cases.py` has the expressions.
"""

import json
import math
import warnings

import numpy as np
import torch
import torch.nn.functional as F

from subgradient_cases import CASES

NAMES = "xyz"


def json_number(x):
    """JSON has no infinity."""
    return float(f"{x:.9g}") if math.isfinite(x) else str(x)


def described(tensor):
    return [json_number(x) for x in tensor.detach().double().flatten().tolist()]


def computed(code, points, dtype):
    inputs = {name: torch.tensor(point, dtype=dtype, requires_grad=True) for name, point in zip(NAMES, points)}
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    y = eval(code, {"torch": torch, "F": F}, inputs)
    torch.set_default_dtype(default)
    gradients = torch.autograd.grad(y.sum(), list(inputs.values()), allow_unused=True)
    given = [torch.zeros_like(x) if g is None else g for x, g in zip(inputs.values(), gradients)]
    return {"output": described(y), "gradients": [described(g) for g in given]}


def alike(a, b):
    numbers = [np.array([float(x) for x in [*r["output"], *sum(r["gradients"], [])]]) for r in (a, b)]
    return np.allclose(*numbers, rtol=1e-6, atol=0, equal_nan=True)


def oracle(part, code, points):
    result = {"part": part, "code": code, "inputs": []}
    for point in points:
        tensor = torch.tensor(point)
        result["inputs"].append({"shape": list(tensor.shape), "values": described(tensor)})
    with warnings.catch_warnings(action="ignore"):
        double, single = (computed(code, points, dtype) for dtype in (torch.float64, torch.float32))
    return result | double | ({} if alike(double, single) else {"single": single})


def write_all(directory):
    """Writes the file; returns how many cases are in it."""
    lines = []
    for part, code, points in CASES:
        try:
            lines.append(json.dumps(oracle(part, code, points), separators=(",", ":")))
        except Exception as error:
            raise RuntimeError(f"{code}: {error}") from error
    (directory / "subgradients.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    return len(lines)
