#!/usr/bin/env python3
"""Makes the one file that every engine in the comparison reads, bent until wonnx takes it: batch fixed at 1, all shapes
inferred, constants as initializers, no transposed weights in Gemm. The input is written as raw f32 next to it.

    prepare_models.py ORACLE_DIR OUT_DIR NAME...

ORACLE_DIR holds test-data directories as tests/oracles/make_oracles.py writes them. For each NAME this writes
OUT_DIR/NAME/model.onnx, input.bin and expected.npy.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper


def fix_batch(value):
    for dimension in value.type.tensor_type.shape.dim:
        if dimension.HasField("dim_param"):
            dimension.dim_value = 1


def constants_to_initializers(graph):
    """`Constant` nodes become initializers of the same name: wonnx looks for the bounds of Clip there."""
    kept = []
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            tensor = graph.initializer.add()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def untranspose_gemm(graph):
    """`x B'` with the transpose written into the weights."""
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        flag = next((a for a in node.attribute if a.name == "transB"), None)
        if node.op_type == "Gemm" and flag is not None and flag.i == 1 and node.input[1] in initializers:
            tensor = initializers[node.input[1]]
            transposed = np.ascontiguousarray(numpy_helper.to_array(tensor).T)
            tensor.CopyFrom(numpy_helper.from_array(transposed, tensor.name))
            flag.i = 0


def prepare(source, target):
    target.mkdir(parents=True, exist_ok=True)
    model = onnx.load(source / "model.onnx")
    for value in (*model.graph.input, *model.graph.output):
        fix_batch(value)
    constants_to_initializers(model.graph)
    untranspose_gemm(model.graph)
    del model.graph.value_info[:]
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    onnx.save(model, target / "model.onnx")
    read = lambda name: numpy_helper.to_array(onnx.load_tensor(source / "test_data_set_0" / name))
    read("input_0.pb").astype("<f4").tofile(target / "input.bin")
    np.save(target / "expected.npy", read("output_0.pb"))


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    oracles, out = Path(sys.argv[1]), Path(sys.argv[2])
    for name in sys.argv[3:]:
        prepare(oracles / name, out / name)


if __name__ == "__main__":
    main()
