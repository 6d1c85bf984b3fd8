"""What tests share: models made on the spot, and a loud word where PyTorch is not there."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

HAS_TORCH = importlib.util.find_spec("torch") is not None and importlib.util.find_spec("onnxscript") is not None

collect_ignore = [] if HAS_TORCH else ["test_torch.py", "test_dynamo.py", "test_parallel.py", "test_examples.py"]


def pytest_report_header() -> str:
    """Says what is not tested."""
    if HAS_TORCH:
        return "PyTorch: here"
    return "PyTorch: MISSING. NOT TESTED: " + ", ".join(collect_ignore)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says it again where it is seen."""
    if not HAS_TORCH:
        terminalreporter.section("PyTorch is missing", sep="!", red=True)
        terminalreporter.line("not tested: " + ", ".join(collect_ignore))


def model(
    nodes: list[Any], inputs: dict[str, Any], outputs: list[str] | dict[str, Any], weights: dict[str, Any] | None = None
) -> bytes:
    """An ONNX file in memory: inputs by name with element type and sizes, outputs with or without."""
    infos = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    graph = helper.make_graph(
        nodes,
        "test",
        infos,
        [helper.make_tensor_value_info(name, *of) for name, of in outputs.items()]
        if isinstance(outputs, dict)
        else [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(made.SerializeToString())


@pytest.fixture
def double() -> bytes:
    """``y = x + x`` for rows of three numbers."""
    rows = (TensorProto.FLOAT, ["N", 3])
    return model([helper.make_node("Add", ["x", "x"], ["y"])], {"x": rows}, {"y": rows})


@pytest.fixture
def linear() -> bytes:
    """Scores of three classes of four numbers."""
    weights = {
        "fc.weight": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
        "fc.bias": np.asarray([0.5, 0.0, -0.5], np.float32),
    }
    node = helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["scores"], transB=1)
    return model([node], {"x": (TensorProto.FLOAT, ["N", 4])}, ["scores"], weights)
