"""Which elements PyTorch and ONNX Runtime take for the nearest ones, for all sizes from 1 to 128.

`fixtures/resize.json` is a list of ways to resize: "engine", "coordinates" and "nearest" as the core operator calls them,
and "scales", or null where sizes are given. Of each it has "rows": for every size from 1 to 128 the CRC-32 of the indices
(16 bits, little-endian) of all results, one after the other: those of sizes 1 to 128, or of all scales that give at least
one element. Where a scale gives as many elements as there were, ONNX Runtime copies; such results are left out of its rows.

    /path/to/python tests/oracles/resize_oracles.py        two minutes; needs torch, onnx, onnxruntime
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper

MOST = 128
SCALES = [0.1, 0.25, 0.3, 1 / 3, 0.5, 0.6, 2 / 3, 0.7, 0.75, 0.9, 1.1, 1.3, 4 / 3, 1.5, 1.7, 2.0, 2.3, 2.5, 3.0, 4.0, 7.0, 41.0]
COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
NEAREST = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def session(coordinates, nearest, by_sizes):
    """A model of one Resize whose sizes or scales are an input."""
    node = helper.make_node(
        "Resize", ["x", "", "", "by"] if by_sizes else ["x", "", "by"], ["y"],
        mode="nearest", coordinate_transformation_mode=coordinates, nearest_mode=nearest,
    )  # fmt: skip
    by = helper.make_tensor_value_info("by", TensorProto.INT64 if by_sizes else TensorProto.FLOAT, [4])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 1, "W"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, "V"])
    graph = helper.make_graph([node], "resize", [x, by], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnx_row(session, size, scales):
    x = np.arange(size, dtype=np.float32).reshape(1, 1, 1, size)
    if scales is None:
        given = [np.array([1, 1, 1, to], np.int64) for to in range(1, MOST + 1)]
    else:
        given = [np.array([1, 1, 1, s], np.float32) for s in scales if size * np.float32(s) >= 1]
        given = [by for by in given if math.floor(np.float32(size) * by[3]) != size]
    return [session.run(None, {"x": x, "by": by})[0].ravel() for by in given]


def torch_row(mode, size, scales):
    # An image: of one dimension PyTorch has a path of its own, which differs for 13 of these sizes and 13 of these scales.
    x = torch.arange(size, dtype=torch.float32).reshape(1, 1, size, 1)
    if scales is None:
        ways = [{"size": (to, 1)} for to in range(1, MOST + 1)]
    else:
        ways = [{"scale_factor": (s, 1.0)} for s in scales if math.floor(size * s) >= 1]
    return [torch.nn.functional.interpolate(x, mode=mode, **way).numpy().ravel() for way in ways]


def checksum(row):
    return zlib.crc32(np.concatenate(row).astype("<u2").tobytes())


def cases():
    for coordinates in COORDINATES:
        for nearest in NEAREST:
            for scales in (None, SCALES):
                resize = session(coordinates, nearest, scales is None)
                yield "onnxruntime", coordinates, nearest, scales, lambda size: onnx_row(resize, size, scales)
    for mode, coordinates in (("nearest", "pytorch_nearest"), ("nearest-exact", "pytorch_nearest_exact")):
        for scales in (None, SCALES):
            yield "pytorch", coordinates, "floor", scales, lambda size: torch_row(mode, size, scales)


def main():
    lines = []
    for engine, coordinates, nearest, scales, row in cases():
        rows = [checksum(row(size)) for size in range(1, MOST + 1)]
        case = {"engine": engine, "coordinates": coordinates, "nearest": nearest, "scales": scales, "rows": rows}
        lines.append(json.dumps(case))
    path = Path(__file__).parent / "fixtures" / "resize.json"
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
