"""What a call from Python costs, and resnet18 beside ONNX Runtime. Prints a table for docs/python.md.

    python benches/python/calls.py target/release/kiln [resnet18.onnx]

The session in Rust is measured by `kiln bench` on the same plan; what Python adds is the difference of the medians.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import kiln


def small() -> bytes:
    """Two layers: hardly any work, so that a call is all overhead."""
    random = np.random.default_rng(0)
    weights = {"a": random.normal(size=(16, 16)), "b": random.normal(size=(16, 4))}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16])],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString())


def median(call: Callable[[], object], runs: int) -> float:
    """The median time of a call in seconds."""
    for _ in range(max(3, runs // 10)):
        call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def in_rust(command: str, plan: kiln.Plan, runs: int) -> float:
    """The same plan by `kiln bench`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.kplan")
        plan.save(path)
        done = subprocess.run([command, "bench", path, "--json", "--runs", str(runs)], capture_output=True, check=True)
    return float(json.loads(done.stdout)["median_ms"]) / 1e3


def main() -> None:
    """Measures and prints."""
    command = sys.argv[1]
    plan = kiln.compile(small())
    session, x = kiln.Session(plan), np.ones((1, 16), np.float32)
    for _ in range(3):
        python, rust = median(lambda: session(x), 2000), in_rust(command, plan, 2000)
        print(f"small: Python {1e6 * python:.1f} us, Rust {1e6 * rust:.1f} us, {1e6 * (python - rust):.1f} us more")
    if len(sys.argv) > 2:
        import onnxruntime

        image = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
        plan = kiln.compile(sys.argv[2], image)
        session = kiln.Session(plan)
        options = onnxruntime.SessionOptions()
        other = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
        name = other.get_inputs()[0].name
        ours, theirs = session(image), other.run(None, {name: image})[0]
        apart = np.abs(ours - theirs).max() / np.abs(theirs).max()
        kiln_time, ort_time = median(lambda: session(image), 20), median(lambda: other.run(None, {name: image}), 20)
        print(f"resnet18: Kiln {1e3 * kiln_time:.1f} ms, ONNX Runtime {1e3 * ort_time:.1f} ms; {apart:.1e} apart")


if __name__ == "__main__":
    main()
