"""A model whose `If` takes its condition from an input, with test data: what `kiln verify` has to be told to read it.

    told_condition.py       writes crates/kiln-cli/tests/fixtures/told_condition, checked with ONNX Runtime
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).resolve().parents[2] / "crates/kiln-cli/tests/fixtures/told_condition"


def branch(name, operator):
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
    return helper.make_graph([helper.make_node(operator, ["x", "one"], [name])], name, [], [output])


graph = helper.make_graph(
    [helper.make_node("If", ["up"], ["y"], then_branch=branch("more", "Add"), else_branch=branch("less", "Sub"))],
    "told_condition",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]), helper.make_tensor_value_info("up", TensorProto.BOOL, [])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    [numpy_helper.from_array(np.float32(1), "one")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
inputs = {"x": np.array([1.5, -2], np.float32), "up": np.array(True)}
session = onnxruntime.InferenceSession(model.SerializeToString())
outputs = dict(zip([o.name for o in graph.output], session.run(None, inputs)))
data = FOLDER / "test_data_set_0"
data.mkdir(parents=True, exist_ok=True)
(FOLDER / "model.onnx").write_bytes(model.SerializeToString())
for kind, tensors in (("input", inputs), ("output", outputs)):
    for number, (name, array) in enumerate(tensors.items()):
        (data / f"{kind}_{number}.pb").write_bytes(numpy_helper.from_array(np.asarray(array), name).SerializeToString())
