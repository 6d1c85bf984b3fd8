#!/usr/bin/env python3
"""Runs exported backward graphs in ONNX Runtime and compares with PyTorch's gradients.

    check_backward.py KILN [NAME...]

KILN is the command; NAMEs are traces under fixtures/traces, all of them if none is given. Each model is exported by
`kiln dump --stage backward --format onnx`, run on the first batch of its trace, and every gradient is compared with the
one that trace_oracles.py has from PyTorch.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from trace_oracles import TRACED, batch

FIXTURES = Path(__file__).resolve().parent / "fixtures"
TOLERANCE = 1e-4


def worst_difference(kiln, name, folder):
    path = Path(folder) / f"{name}.onnx"
    command = [kiln, "dump", FIXTURES / name / "model.onnx", "--stage", "backward", "--format", "onnx", "-o", path]
    subprocess.run(command, check=True, capture_output=True)
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    samples, target = session.get_inputs()
    model = onnx.load(FIXTURES / name / "model.onnx", load_external_data=False)
    classes = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    x, y = batch(0, tuple(samples.shape[1:]), classes)
    feeds = {samples.name: x.numpy().astype(np.float32), target.name: y.numpy().astype(np.int32)}
    found = dict(zip([output.name for output in session.get_outputs()], session.run(None, feeds)))
    trace = json.loads((FIXTURES / "traces" / f"{name}.json").read_text())["gradients"]
    largest = max(gradient["norm"] for gradient in trace.values())
    worst = 0.0
    for parameter, wanted in trace.items():
        gradient = found[f"{parameter}.grad"].reshape(-1).astype(np.float64)
        elements = np.array(wanted["elements"])
        scale = max(np.abs(elements).max(), 1e-3 * largest)
        worst = max(worst, np.abs(gradient[:: wanted["every"]] - elements).max() / scale)
    return worst


def main():
    kiln, *names = sys.argv[1:]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names or TRACED:
            worst = worst_difference(kiln, name, folder)
            wrong += not worst <= TOLERANCE
            print(f"{name}: the gradients differ by {worst:.1e}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
