"""What PyTorch makes of single layers, functions, tensor methods and their options.

`fixtures/layers.json` is a list of modules of a line or two (`layer_cases/`). Of each it has "name", "init", "forward",
"inputs" and "batch" as `source` makes a file of them, and "outputs": "type", "shape", and up to 24 values; of larger
ones the norm and elements 0, k, 2k, .. All is computed with double precision in evaluation mode. Weights are those of
the formula in `source_oracles.py`. Input k is `noise(7 + k)` rounded to single precision; integers are 0 to 5, from the
same noise.
"""

import json
import math
import textwrap
import warnings

import torch

from layer_cases import CASES
from source_oracles import formula, noise
from trace_oracles import summary

MOST_VALUES = 24
# The networks' own are left out: every output has a norm and this many elements.
MOST_ELEMENTS = 12

HEAD = """import math
import torch
import torch.nn as nn
import torch.nn.functional as F


"""


def source(init, forward, count):
    """The file of a module."""
    init = init if not init or init.startswith("self.") else f"self.layer = {init}"
    body = forward.replace("; ", "\n") if "return " in forward else f"return {forward}"
    lines = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [textwrap.indent(init, " " * 8)] if init else []
    lines += ["", f"    def forward(self, {', '.join('xy'[:count])}):", textwrap.indent(body, " " * 8)]
    return HEAD + "\n".join(lines) + "\n"


def value(place, text, batch):
    """An input, from the shape of a sample."""
    dtype, _, shape = text.rpartition(":")
    shape = [batch, *map(int, shape.split(","))]
    values = torch.from_numpy(noise(7 + place, math.prod(shape))).float().double()
    if dtype == "i64":
        values = torch.floor((values + 1) / 2 * 6).long()
    return values.reshape(shape)


def described(tensor):
    kind = {torch.float64: "float", torch.float32: "float"}.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
    result = {"type": kind, "shape": list(tensor.shape)}
    if tensor.numel() <= MOST_VALUES:
        values = tensor.detach().flatten().tolist()
        result["values"] = [json_number(x) for x in values]
    else:
        result |= summary(tensor.double(), MOST_ELEMENTS)
        result["norm"] = json_number(result["norm"])
        result["elements"] = [json_number(x) for x in result["elements"]]
    return result


def json_number(x):
    """Eight digits; JSON has no infinity."""
    if isinstance(x, bool) or isinstance(x, int):
        return int(x)
    return float(f"{x:.8g}") if math.isfinite(x) else str(x)


def oracle(case, batch):
    code = source(case.init, case.forward, len(case.inputs))
    names = {}
    exec(code, names)
    module = names["Net"]().eval()
    with torch.no_grad():
        for name, tensor in module.state_dict(keep_vars=True).items():
            if tensor.is_floating_point():
                tensor.data.copy_(formula(name, tuple(tensor.shape)))
        result = module(*(value(k, text, batch) for k, text in enumerate(case.inputs)))
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    return {
        "name": case.name,
        "init": case.init,
        "forward": case.forward,
        "inputs": list(case.inputs),
        "batch": batch,
        "outputs": [described(output) for output in outputs],
    }


def write_all(directory):
    """Writes the file; returns how many cases are in it."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    # What attention is when gradients are computed; the kernels for when they are not leave other numbers where nothing
    # counts.
    torch.backends.mha.set_fastpath_enabled(False)
    results = []
    for place, case in enumerate(CASES):
        try:
            with warnings.catch_warnings(action="ignore"):
                results.append(oracle(case, 2 + place % 2))
        except Exception as error:
            raise RuntimeError(f"{case.name}: {error}") from error
    torch.set_default_dtype(torch.float32)
    lines = ",\n".join(json.dumps(result, separators=(",", ":")) for result in results)
    (directory / "layers.json").write_text(f"[\n{lines}\n]\n")
    return len(results)
