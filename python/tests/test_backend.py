"""ONNX's own backend tests, by the package's own runner. Those that are refused are the ones that `scripts/conformance` names.

Every tenth case of the node tests is run; with KILN_ALL=1 all cases of all kinds are.
"""

from __future__ import annotations

import os
import re
import unittest
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.backend.test import BackendTest

import kiln
import kiln.backend

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads the list of expectations")

EXPECTATIONS = Path(__file__).parents[2] / "tests" / "onnx-expectations.toml"
EVERY = 1 if os.environ.get("KILN_ALL") else 10
KINDS = {
    "OnnxBackendNodeModelTest": "node",
    "OnnxBackendSimpleModelTest": "simple",
    "OnnxBackendPyTorchConvertedModelTest": "pytorch-converted",
    "OnnxBackendPyTorchOperatorModelTest": "pytorch-operator",
}


def expected() -> dict[str, str]:
    """For each case that is not expected to pass a part of its message."""
    groups = tomllib.loads(EXPECTATIONS.read_text())["fails"]
    return {case: group["says"] for group in groups for case in group["cases"]}


def cases() -> list[tuple[str, unittest.TestCase]]:
    """The cases by name, without those of real models, which are downloads."""
    found = []
    for group in BackendTest(kiln.backend, __name__).test_suite:
        for case in group if isinstance(group, unittest.TestSuite) else [group]:
            kind = KINDS.get(type(case).__name__)
            name = case.id().rpartition(".")[2]
            if kind and name.endswith("_cpu"):
                found.append((f"{kind}/{name.removesuffix('_cpu')}", case))
    found.sort(key=lambda pair: pair[0])
    return found if EVERY == 1 else [pair for pair in found if pair[0].startswith("node/")][::EVERY]


FAILS = expected()
INPUTS = ("which is no element type of a plan", "is no array", "the model has no input called")


@pytest.mark.parametrize(("name", "case"), [pytest.param(*pair, id=pair[0]) for pair in cases()])
def test_case(name: str, case: unittest.TestCase) -> None:
    if name not in FAILS:
        case.debug()
        return
    with pytest.raises(Exception) as error:
        case.debug()
    # Answers that differ are compared by NumPy here, whose words are others, and inputs are refused before models where they
    # are no arrays of a plan's types.
    if isinstance(error.value, kiln.Error):
        assert any(says in str(error.value) for says in (FAILS[name], *INPUTS))


def test_models_run_by_order_and_by_name(double: bytes) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    prepared = kiln.backend.prepare(onnx.load_from_string(double))
    for inputs in (x, [x], (x,), {"x": x}):
        outputs = prepared.run(inputs)
        np.testing.assert_array_equal(outputs[0], 2 * x)
        np.testing.assert_array_equal(outputs.y, 2 * x)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(kiln.backend.run_model(onnx.load_from_string(double), [x])[0], 2 * x)
    with pytest.raises(kiln.InputError, match="takes 1 inputs, 2 are given"):
        prepared.run([x, x])
    assert kiln.backend.supports_device("CPU")


def test_a_node_runs_by_itself() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    node = onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])
    (y,) = kiln.backend.run_node(node, [x, np.asarray([3, 2], np.int64)])
    np.testing.assert_array_equal(y, x.reshape(3, 2))


def test_what_is_not_supported_is_refused_when_it_is_prepared() -> None:
    node = onnx.helper.make_node("StringNormalizer", ["x"], ["y"])
    info = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.STRING, [3])
    graph = onnx.helper.make_graph([node], "g", [info], [onnx.ValueInfoProto(name="y")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    with pytest.raises(kiln.ModelError, match=re.escape("elements of type string")):
        kiln.backend.KilnRep(model.SerializeToString(), {})
