#!/usr/bin/env python3
"""Makes the oracles of quantized networks: ONNX Runtime's outputs, into fixtures/quantized.

    quantized_oracles.py                 what is committed
    quantized_oracles.py --large -o DIR  resnet18 and mobilenet_v2 of torchvision with random weights, quantized in each way
    quantized_oracles.py --kiln FILE     then what `kiln quantize` makes of the small networks; FILE is the program

There are models of one node, for the operators of quantized networks (those of the domain `com.microsoft`, too), models
with initializers of types that are widened when they are read (floats of 8 bits, bfloat16, integers of 4 bits), and small
networks that `onnxruntime.quantization` has quantized: statically with QuantizeLinear and DequantizeLinear around floating
point operators (`qdq`), statically with QLinear operators (`operators`), and dynamically (`dynamic`).

Each has the layout of ONNX's test data. Beside it, `step.txt` says by how much an output may differ: by one step of its
quantization, where the last operation rounds to one, since engines that add up in another order may round to the other
side. A step of 0 asks for the usual agreement of floats.

Graph optimizations of ONNX Runtime are off: what a model says is computed, in order.
"""

import argparse
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

from onnx_testdata import fresh_directory, generator, write_data_set

FIXTURES = Path(__file__).resolve().parent / "fixtures" / "quantized"
MICROSOFT = "com.microsoft"


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def write(directory, name, model, feeds, step):
    target = fresh_directory(directory / name)
    onnx.save(model, target / "model.onnx")
    for index, feed in enumerate(feeds):
        answers = run(model, feed)
        write_data_set(target, index, feed, {f"y{i}": value for i, value in enumerate(answers)})
    (target / "step.txt").write_text(f"{step:.9g}\n")


# ---- models of one node ---------------------------------------------------------------------------------------------


def u8(rng, *shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


def i8(rng, *shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def f32(*values):
    return np.array(values if len(values) > 1 else values[0], np.float32)


def zero(value, dtype=np.uint8):
    return np.array(value, dtype)


def scales(rng, *shape):
    return rng.uniform(0.002, 0.02, shape).astype(np.float32)


def node_cases():
    """name -> (domain, operator, {input: array or None}, names of graph inputs, attributes, outputs, step)"""
    rng = generator("quantized", "nodes")
    x8, xi8 = u8(rng, 2, 4, 6, 6), i8(rng, 2, 4, 6, 6)
    xf = (3 * rng.standard_normal((2, 4, 6, 6))).astype(np.float32)
    w8, wi8 = u8(rng, 5, 4, 3, 3), i8(rng, 5, 4, 3, 3)
    a, b, bi = u8(rng, 3, 7), u8(rng, 7, 5), i8(rng, 7, 5)
    bias = rng.integers(-4000, 4000, 5).astype(np.int32)
    weight_zeros = rng.integers(-3, 4, 5).astype(np.int8)
    wide = rng.integers(-30000, 30000, (2, 4, 6)).astype(np.int16)
    one = f32(1.0)
    # Halves, which are rounded to the even neighbour, and numbers out of range.
    halves = np.arange(-12, 12, 0.5, dtype=np.float32).reshape(2, 4, 6) * 0.5
    x_scale, x_zero = f32(0.02), zero(117)
    per_channel = scales(rng, 5)
    conv = dict(pads=[1, 1, 1, 1])
    q = lambda *arrays: {f"x{i}": array for i, array in enumerate(arrays)}
    xs = lambda array, scale=x_scale, zero=x_zero: (array, scale, zero)
    cases = {
        "quantize_halves_uint8": ("", "QuantizeLinear", q(halves, f32(0.5), zero(4)), ["x0"], {}, 1, 1),
        "quantize_saturates_int8": ("", "QuantizeLinear", q(40 * halves, f32(0.5), zero(-4, np.int8)), ["x0"], {}, 1, 1),
        "quantize_axis": ("", "QuantizeLinear", q(xf, scales(rng, 4), u8(rng, 4)), ["x0"], {}, 1, 1),
        "quantize_without_zero": ("", "QuantizeLinear", q(np.abs(xf), f32(0.03)), ["x0"], {}, 1, 1),
        "quantize_int16": ("", "QuantizeLinear", q(xf, f32(0.001), zero(5, np.int16)), ["x0"], {}, 1, 1),
        "quantize_blocks": ("", "QuantizeLinear", q(xf[0, 0], scales(rng, 6, 3), u8(rng, 6, 3)), ["x0"], dict(axis=1, block_size=2), 1, 1),
        "quantize_float16": ("", "QuantizeLinear", q(xf.astype(np.float16), np.float16(0.03), zero(120)), ["x0"], {}, 1, 1),
        "dequantize_uint8": ("", "DequantizeLinear", q(*xs(x8)), ["x0"], {}, 1, 0),
        "dequantize_axis_int8": ("", "DequantizeLinear", q(wi8, per_channel, weight_zeros), ["x0"], dict(axis=0), 1, 0),
        "dequantize_int32": ("", "DequantizeLinear", q(bias, f32(0.0003)), ["x0"], {}, 1, 0),
        "dequantize_int16": ("", "DequantizeLinear", q(wide, f32(0.001), zero(-300, np.int16)), ["x0"], {}, 1, 0),
        "dequantize_blocks": ("", "DequantizeLinear", q(x8[0, 0], scales(rng, 2, 6), u8(rng, 2, 6)), ["x0"], dict(axis=0, block_size=4), 1, 0),
        "dequantize_to_float16": ("", "DequantizeLinear", q(x8, np.float16(0.02), zero(100)), ["x0"], {}, 1, 0),
        "dynamic_quantize": ("", "DynamicQuantizeLinear", q(xf), ["x0"], {}, 3, 1),
        "dynamic_quantize_zeros": ("", "DynamicQuantizeLinear", q(0 * xf), ["x0"], {}, 3, 0),
        "dynamic_quantize_positive": ("", "DynamicQuantizeLinear", q(np.abs(xf) + 1), ["x0"], {}, 3, 1),
        "conv_integer": ("", "ConvInteger", q(x8, wi8, x_zero), ["x0"], conv, 1, 0),
        "conv_integer_weight_zeros": ("", "ConvInteger", q(x8, w8, x_zero, zero(77)), ["x0"], conv, 1, 0),
        "conv_integer_strides_dilations": ("", "ConvInteger", q(x8, w8, zero(3)), ["x0"], dict(strides=[2, 1], dilations=[1, 2], pads=[0, 1, 2, 3]), 1, 0),
        "conv_integer_groups": ("", "ConvInteger", q(x8, i8(rng, 6, 2, 3, 3), x_zero), ["x0"], dict(group=2), 1, 0),
        "conv_integer_depthwise": ("", "ConvInteger", q(x8, i8(rng, 4, 1, 3, 3), x_zero), ["x0"], dict(group=4, pads=[1, 1, 1, 1]), 1, 0),
        "conv_integer_line": ("", "ConvInteger", q(u8(rng, 2, 3, 9), u8(rng, 4, 3, 3), zero(9), zero(130)), ["x0"], dict(pads=[1, 1]), 1, 0),
        # Sums of more than 2^24, which 32-bit floats do not hold.
        "conv_integer_large_sums": ("", "ConvInteger", q(np.full((1, 900, 3, 3), 251, np.uint8), np.full((2, 900, 1, 1), 119, np.uint8) + u8(rng, 2, 900, 1, 1) % 5), ["x0"], {}, 1, 0),
        "mat_mul_integer": ("", "MatMulInteger", q(a, bi, zero(12), zero(0, np.int8)), ["x0"], {}, 1, 0),
        "mat_mul_integer_both_given": ("", "MatMulInteger", q(a, b, zero(12), zero(125)), ["x0", "x1"], {}, 1, 0),
        "mat_mul_integer_column_zeros": ("", "MatMulInteger", q(a, b, zero(12), u8(rng, 5)), ["x0"], {}, 1, 0),
        "mat_mul_integer_batches": ("", "MatMulInteger", q(u8(rng, 2, 3, 6), u8(rng, 2, 6, 4)), ["x0", "x1"], {}, 1, 0),
        "mat_mul_integer_large_sums": ("", "MatMulInteger", q(np.full((2, 1300), 253, np.uint8), u8(rng, 1300, 3) % 7 + 249), ["x0"], {}, 1, 0),
        "q_linear_conv": ("", "QLinearConv", q(*xs(x8), w8, f32(0.004), zero(131), f32(0.11), zero(99)), ["x0"], conv, 1, 1),
        "q_linear_conv_per_channel_bias": ("", "QLinearConv", q(*xs(x8), wi8, per_channel, 0 * weight_zeros, f32(0.21), zero(120), bias), ["x0"], conv, 1, 1),
        "q_linear_conv_int8": ("", "QLinearConv", q(xi8, f32(0.02), zero(-7, np.int8), wi8, f32(0.004), zero(0, np.int8), f32(0.15), zero(3, np.int8), bias), ["x0"], dict(strides=[2, 2]), 1, 1),
        "q_linear_mat_mul": ("", "QLinearMatMul", q(a, f32(0.02), zero(117), b, f32(0.01), zero(99), f32(0.12), zero(101)), ["x0"], {}, 1, 1),
        "q_linear_mat_mul_per_column": ("", "QLinearMatMul", q(a, f32(0.02), zero(117), bi, per_channel, np.zeros(5, np.int8), f32(0.12), zero(101)), ["x0"], {}, 1, 1),
        "q_gemm": (MICROSOFT, "QGemm", q(*xs(a), bi.T, per_channel, np.zeros(5, np.int8), bias // 9, f32(0.09), zero(131)), ["x0"], dict(transB=1), 1, 1),
        "q_gemm_alpha_to_float": (MICROSOFT, "QGemm", q(*xs(a.T.copy()), b, f32(0.01), zero(3), bias), ["x0"], dict(transA=1, alpha=0.5), 1, 0),
        "q_linear_add": (MICROSOFT, "QLinearAdd", q(*xs(x8), *xs(u8(rng, 2, 4, 6, 6), f32(0.05), zero(9)), f32(0.06), zero(80)), ["x0", "x3"], {}, 1, 1),
        "q_linear_add_broadcast": (MICROSOFT, "QLinearAdd", q(*xs(xi8, f32(0.02), zero(3, np.int8)), *xs(i8(rng, 4, 1, 1), f32(0.05), zero(9, np.int8)), f32(0.06), zero(-8, np.int8)), ["x0"], {}, 1, 1),
        "q_linear_mul": (MICROSOFT, "QLinearMul", q(*xs(x8), *xs(u8(rng, 2, 4, 6, 6), f32(0.05), zero(109)), f32(0.06), zero(80)), ["x0", "x3"], {}, 1, 1),
        "q_linear_global_average_pool": (MICROSOFT, "QLinearGlobalAveragePool", q(*xs(x8), f32(0.005), zero(90)), ["x0"], {}, 1, 1),
        "q_linear_global_average_pool_last": (MICROSOFT, "QLinearGlobalAveragePool", q(*xs(x8), f32(0.005), zero(90)), ["x0"], dict(channels_last=1), 1, 1),
        "q_linear_average_pool": (MICROSOFT, "QLinearAveragePool", q(*xs(x8), f32(0.01), zero(100)), ["x0"], dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]), 1, 1),
        "q_linear_average_pool_padding": (MICROSOFT, "QLinearAveragePool", q(*xs(x8), f32(0.01), zero(100)), ["x0"], dict(kernel_shape=[2, 3], pads=[1, 1, 0, 1], count_include_pad=1), 1, 1),
        "q_linear_concat": (MICROSOFT, "QLinearConcat", q(f32(0.03), zero(90), *xs(x8), *xs(u8(rng, 2, 3, 6, 6), f32(0.05), zero(9))), ["x2", "x5"], dict(axis=1), 1, 1),
        "q_linear_leaky_relu": (MICROSOFT, "QLinearLeakyRelu", q(*xs(x8), f32(0.015), zero(40)), ["x0"], dict(alpha=0.2), 1, 1),
        "q_linear_sigmoid": (MICROSOFT, "QLinearSigmoid", q(*xs(x8), f32(1 / 256), zero(0)), ["x0"], {}, 1, 1),
        "q_linear_softmax": (MICROSOFT, "QLinearSoftmax", q(*xs(u8(rng, 3, 10)), f32(1 / 256), zero(0)), ["x0"], dict(axis=-1, opset=13), 1, 1),
        "q_linear_softmax_flat": (MICROSOFT, "QLinearSoftmax", q(*xs(u8(rng, 2, 3, 5)), f32(1 / 256), zero(0)), ["x0"], dict(axis=1, opset=11), 1, 1),
        "q_linear_where": (MICROSOFT, "QLinearWhere", q(rng.integers(0, 2, (2, 4, 6, 6)).astype(bool), *xs(x8), *xs(u8(rng, 2, 4, 6, 6), f32(0.05), zero(9)), f32(0.06), zero(80)), ["x0", "x1", "x4"], {}, 1, 1),
        "dynamic_quantize_mat_mul": (MICROSOFT, "DynamicQuantizeMatMul", q(xf[0, 0], i8(rng, 6, 5), per_channel, np.zeros(5, np.int8), f32(*range(5))), ["x0"], {}, 1, 0),
        "mat_mul_integer_to_float": (MICROSOFT, "MatMulIntegerToFloat", q(a, b, f32(0.02), f32(0.01), zero(12), zero(125), f32(*range(5))), ["x0"], {}, 1, 0),
        "quantize_linear_microsoft": (MICROSOFT, "QuantizeLinear", q(xf, f32(0.03), zero(120)), ["x0"], {}, 1, 1),
        "dequantize_linear_microsoft": (MICROSOFT, "DequantizeLinear", q(w8, per_channel, u8(rng, 5)), ["x0"], dict(axis=0), 1, 0),
        "conv_integer_large_sums_int8": ("", "ConvInteger", q(np.full((1, 700, 3, 3), 251, np.uint8), 127 - np.abs(i8(rng, 5, 700, 1, 1) % 5)), ["x0"], {}, 1, 0),
        "mat_mul_integer_large_sums_int8": ("", "MatMulInteger", q(u8(rng, 9, 1300) % 9 + 240, 127 - np.abs(i8(rng, 1300, 18) % 5)), ["x0"], {}, 1, 0),
    }
    for direction, directions in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
        weights = [i8(rng, directions, 3, 16), i8(rng, directions, 4, 16)]
        inputs = {
            "x": rng.standard_normal((5, 2, 3)).astype(np.float32),
            "w": weights[0],
            "r": weights[1],
            "b": rng.standard_normal((directions, 32)).astype(np.float32),
            "none4": None, "none5": None, "none6": None, "none7": None,
            "ws": scales(rng, directions), "wz": np.zeros(directions, np.int8),
            "rs": scales(rng, directions), "rz": np.zeros(directions, np.int8),
        }
        cases[f"dynamic_quantize_lstm_{direction}"] = (
            MICROSOFT, "DynamicQuantizeLSTM", inputs, ["x"], dict(hidden_size=4, direction=direction), 2, 0)
    return cases


def node_model(name, domain, operator, inputs, given, attributes, outputs):
    names = ["" if array is None else key for key, array in inputs.items()]
    element = lambda array: helper.np_dtype_to_tensor_dtype(np.asarray(array).dtype)
    outs = [f"y{i}" for i in range(outputs)]
    nodes = [helper.make_node(operator, names, outs, name=name, domain=domain, **attributes)]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(key, element(inputs[key]), inputs[key].shape) for key in given],
        [helper.make_tensor_value_info(out, TensorProto.UNDEFINED, None) for out in outs],
        [numpy_helper.from_array(np.asarray(array), key) for key, array in inputs.items() if array is not None and key not in given],
    )
    blocked = "block_size" in attributes or any(np.asarray(a).dtype in (np.int16, np.float16) for a in inputs.values() if a is not None)
    opset = 21 if blocked else 17
    sets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(MICROSOFT, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=sets, ir_version=10 if opset == 21 else 8, producer_name="kiln oracles")


def typed(model, feed):
    """The model with the types of its outputs, which ONNX Runtime wants to know beforehand."""
    kinds = {
        "DynamicQuantizeLinear": [TensorProto.UINT8, TensorProto.FLOAT, TensorProto.UINT8],
        "ConvInteger": [TensorProto.INT32], "MatMulInteger": [TensorProto.INT32],
    }
    node = model.graph.node[0]
    constants = {t.name: t for t in model.graph.initializer}
    inputs = {i.name: i.type.tensor_type.elem_type for i in model.graph.input} | {n: t.data_type for n, t in constants.items()}
    operator = node.op_type
    if operator in kinds:
        types = kinds[operator]
    elif operator == "DequantizeLinear":
        types = [inputs[node.input[1]]]
    elif operator in ("DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"):
        types = [TensorProto.FLOAT] * len(node.output)
    elif operator == "QGemm" and len(node.input) < 8:
        types = [TensorProto.FLOAT]
    elif operator == "QLinearConcat":
        types = [inputs[node.input[1]]]
    elif operator == "QuantizeLinear" and len(node.input) < 3:
        types = [TensorProto.UINT8]
    else:
        # The zero point of the result: the last input, but for a bias.
        zeros = {"QLinearConv": 7, "QGemm": 8}.get(operator, len(node.input) - 1)
        types = [inputs[node.input[zeros]]]
    for out, kind in zip(model.graph.output, types):
        out.type.tensor_type.elem_type = kind
    answers = run(model, feed)
    for out, kind, answer in zip(model.graph.output, types, answers):
        out.CopyFrom(helper.make_tensor_value_info(out.name, kind, answer.shape))
    return model


def write_nodes(directory):
    for name, (domain, operator, inputs, given, attributes, outputs, step) in node_cases().items():
        try:
            model = node_model(name, domain, operator, inputs, given, attributes, outputs)
            feed = {key: inputs[key] for key in given}
            write(directory, name, typed(model, feed), [feed], step)
        except Exception as problem:
            raise SystemExit(f"{name}: {problem}") from problem


# ---- initializers of types that are widened -------------------------------------------------------------------------


def write_narrow(directory):
    """All values of 8-bit floats, some of bfloat16, and integers of 4 bits, as initializers that a sum is made with."""
    bits = {
        "float8e4m3fn": (TensorProto.FLOAT8E4M3FN, np.arange(256, dtype=np.uint8)),
        "float8e4m3fnuz": (TensorProto.FLOAT8E4M3FNUZ, np.arange(256, dtype=np.uint8)),
        "float8e5m2": (TensorProto.FLOAT8E5M2, np.arange(256, dtype=np.uint8)),
        "float8e5m2fnuz": (TensorProto.FLOAT8E5M2FNUZ, np.arange(256, dtype=np.uint8)),
        "bfloat16": (TensorProto.BFLOAT16, np.arange(0, 1 << 16, 251, dtype=np.uint16)),
    }
    for name, (kind, values) in bits.items():
        weight = helper.make_tensor("w", kind, values.shape, values.tobytes(), raw=True)
        nodes = [
            helper.make_node("Cast", ["w"], ["wide"], name="cast", to=TensorProto.FLOAT),
            helper.make_node("Add", ["wide", "x"], ["y0"], name="add"),
        ]
        narrow_model(directory, f"initializer_{name}", nodes, [weight], values.shape, np.zeros(values.shape, np.float32))
    for name, kind, zero in (("int4", TensorProto.INT4, 0x03), ("uint4", TensorProto.UINT4, 0x07)):
        packed = np.arange(0, 256, 17, dtype=np.uint8) ^ 0x5A
        weight = helper.make_tensor("w", kind, (3, 10), packed[:15].tobytes(), raw=True)
        scale = numpy_helper.from_array(np.array([0.5, 0.25, 2.0], np.float32), "s")
        zeros = helper.make_tensor("z", kind, (3,), bytes([zero | zero << 4, zero]), raw=True)
        nodes = [
            helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wide"], name="dequantize", axis=0),
            helper.make_node("Add", ["wide", "x"], ["y0"], name="add"),
        ]
        narrow_model(directory, f"initializer_{name}", nodes, [weight, scale, zeros], (3, 10), np.zeros((3, 10), np.float32))


def narrow_model(directory, name, nodes, initializers, shape, x):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, name, [info("x", TensorProto.FLOAT, shape)], [info("y0", TensorProto.FLOAT, shape)], initializers
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10, producer_name="kiln oracles")
    write(directory, name, model, [{"x": x}], 0)


# ---- networks -------------------------------------------------------------------------------------------------------


def networks():
    import torch
    from torch import nn

    class Small(nn.Module):
        """Convolutions of each kind, a residual sum, pooling, a linear layer."""

        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU())
            self.depth = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.ReLU6())
            self.point = nn.Conv2d(12, 12, 1)
            self.down = nn.Sequential(nn.Conv2d(12, 8, 3, stride=2, padding=1), nn.LeakyReLU(0.1))
            self.fc = nn.Linear(8, 10)

        def forward(self, x):
            x = self.first(x)
            x = x + self.point(self.depth(x))
            x = torch.sigmoid(self.down(x))
            return self.fc(torch.cat([x, x * x], 1)[:, :8].mean((2, 3)))

    class Transposed(nn.Module):
        """Transposed convolutions, of one group and of several, and a product of matrices."""

        def __init__(self):
            super().__init__()
            self.up = nn.Sequential(nn.ConvTranspose2d(3, 8, 4, stride=2, padding=1), nn.ReLU())
            self.groups = nn.ConvTranspose2d(8, 6, 3, stride=(2, 1), output_padding=(1, 0), groups=2, bias=False)
            self.mix = nn.Parameter(torch.randn(14, 5))

        def forward(self, x):
            return self.groups(self.up(x))[:, :, :, :14] @ self.mix

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(6, 8, bidirectional=True)
            self.fc = nn.Linear(16, 5)

        def forward(self, x):
            return self.fc(self.lstm(x)[0])

    def seeded(make):
        torch.manual_seed(7)
        return make().eval()

    return {
        "small": (seeded(Small), (3, 12, 12), True),
        "transposed": (seeded(Transposed), (3, 6, 8), True),
        "recurrent": (seeded(Recurrent), (4, 1, 6), False),
    }


def large_networks():
    import torch
    import torchvision

    made = {}
    for name in ("resnet18", "mobilenet_v2"):
        torch.manual_seed(7)
        made[name] = (getattr(torchvision.models, name)(weights=None).eval(), (3, 64, 64), True)
    return made


class Calibration(quantization.CalibrationDataReader):
    def __init__(self, batches):
        self.batches = iter(batches)

    def get_next(self):
        return next(self.batches, None)


def write_network(directory, name, module, shape, is_image, folder):
    import torch

    rng = generator("quantized", name)
    full = (1, *shape) if is_image else shape
    draw = lambda batch: rng.standard_normal((batch, *shape) if is_image else shape).astype(np.float32)
    path = str(folder / f"{name}.onnx")
    axes = {"x": {0: "N"}, "y": {0: "N"}} if is_image else None
    torch.onnx.export(module, torch.zeros(full), path, input_names=["x"], output_names=["y"], dynamic_axes=axes,
                      opset_version=17, dynamo=False)
    prepared = str(folder / f"{name}-prepared.onnx")
    quantization.quant_pre_process(path, prepared, skip_symbolic_shape=True)
    feeds = [{"x": draw(1)}, {"x": draw(3)}] if is_image else [{"x": draw(1)}]
    quantized = str(folder / f"{name}-quantized.onnx")
    calibration = [{"x": draw(1)} for _ in range(8)]
    made = {}
    if is_image:
        forms = {
            "qdq": (quantization.QuantFormat.QDQ, True, quantization.QuantType.QUInt8, quantization.QuantType.QInt8),
            "qdq_int8": (quantization.QuantFormat.QDQ, False, quantization.QuantType.QInt8, quantization.QuantType.QInt8),
            "operators": (quantization.QuantFormat.QOperator, False, quantization.QuantType.QUInt8, quantization.QuantType.QUInt8),
            "operators_per_channel": (quantization.QuantFormat.QOperator, True, quantization.QuantType.QUInt8, quantization.QuantType.QInt8),
        }
        for form, (format, per_channel, activations, weights) in forms.items():
            quantization.quantize_static(prepared, quantized, Calibration(calibration), quant_format=format,
                                         per_channel=per_channel, activation_type=activations, weight_type=weights)
            made[form] = onnx.load(quantized)
    for form, kind in (("dynamic", quantization.QuantType.QUInt8), ("dynamic_int8", quantization.QuantType.QInt8)):
        operators = ["Conv", "MatMul", "Gemm", "LSTM"]
        quantization.quantize_dynamic(prepared, quantized, weight_type=kind, op_types_to_quantize=operators)
        made[form] = onnx.load(quantized)
    for form, model in made.items():
        step = 0.0 if form.startswith("dynamic") else last_step(model)
        write(directory, f"{name}-{form}", model, feeds, step)


def write_made_by_kiln(directory, name, module, shape, kiln, folder):
    """What `kiln quantize` makes of a network, with the outputs of ONNX Runtime. With graph optimizations, by which it computes
    with integers, these should be the same but for a step of 8 bits, which the outputs are not rounded to."""
    import torch

    rng = generator("quantized", f"{name} by kiln")
    draw = lambda batch: rng.standard_normal((batch, *shape)).astype(np.float32)
    path, quantized, samples = folder / f"{name}.onnx", folder / f"{name}-kiln.onnx", folder / f"{name}.npy"
    torch.onnx.export(module, torch.zeros(1, *shape), str(path), input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, opset_version=17, dynamo=False)
    np.save(samples, draw(8))
    subprocess.run([kiln, "quantize", path, "--calibrate", samples, "-o", quantized], check=True)
    model, feeds = onnx.load(quantized), [{"x": draw(1)}, {"x": draw(3)}]
    step = max(float(np.ptp(run(model, feed)[0])) for feed in feeds) / 255
    for feed in feeds:
        optimized = onnxruntime.InferenceSession(str(quantized), providers=["CPUExecutionProvider"]).run(None, feed)
        apart = float(np.max(np.abs(optimized[0] - run(model, feed)[0])))
        print(f"{name}: {apart / step:.3f} steps from ONNX Runtime with optimizations")
    write(directory, f"{name}-kiln", model, feeds, step)


def last_step(model):
    """The scale of the last quantization of the output."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    producers = {out: node for node in model.graph.node for out in node.output}
    node = producers[model.graph.output[0].name]
    return float(np.max(constants[node.input[1]])) if node.op_type == "DequantizeLinear" else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="make the networks that are too large to commit")
    parser.add_argument("--kiln", metavar="FILE", help="only make what this program quantizes")
    parser.add_argument("-o", "--output", type=Path, default=FIXTURES, metavar="DIR", help="default: %(default)s")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(3)
    with tempfile.TemporaryDirectory() as folder:
        if options.kiln:
            for name, (module, shape, is_image) in networks().items():
                if is_image:
                    write_made_by_kiln(options.output, name, module, shape, options.kiln, Path(folder))
            return
        if not options.large:
            fresh_directory(options.output)
            write_nodes(options.output)
            write_narrow(options.output)
        for name, (module, shape, is_image) in (large_networks() if options.large else networks()).items():
            write_network(options.output, name, module, shape, is_image, Path(folder))


if __name__ == "__main__":
    main()
