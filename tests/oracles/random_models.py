"""Random ONNX models, and what ONNX Runtime makes of them, against `kiln verify`.

    /path/to/python tests/oracles/random_models.py --kiln target/debug/kiln --count 1000 --first 0 -o out/random

Model number n depends on n alone, so its number is all there is to keep of it. Sizes may be symbols; each model has one
data set for each of two bindings of them. What Kiln refuses by name is counted, by reason; a wrong answer, another way to
end than an error, or a refusal that is no sentence about the model fails the script. The folder of a model that fails is
left behind.
"""

import argparse
import collections
import json
import pathlib
import random
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

BINDINGS = ({"N": 1, "H": 8}, {"N": 3, "H": 10})
BATCH = 40


class Value:
    """A value of the graph: its name, its shape in numbers and symbols, whether only data was moved since the inputs."""

    def __init__(self, name, shape, exact=False):
        self.name, self.shape, self.exact = name, tuple(shape), exact

    @property
    def rank(self):
        return len(self.shape)

    @property
    def is_fixed(self):
        return all(isinstance(size, int) for size in self.shape)


class Maker:
    """One random model."""

    def __init__(self, number):
        self.rng = random.Random(number)
        self.numpy = np.random.default_rng(number)
        self.nodes, self.weights, self.inputs, self.pool = [], [], [], []
        self.read = set()
        for n in range(self.rng.choice([1, 1, 1, 2, 3])):
            batch = self.rng.choice(["N", "N", 1, 2])
            channels = self.rng.choice([1, 2, 3, 4, 5, 8])
            shape = self.rng.choice(
                [
                    (batch, channels, 8, 8),
                    (batch, channels, 7, 9),
                    (batch, channels, "H", 8),
                    (batch, channels, "H", "H"),
                    (batch, channels, 12),
                    (batch, self.rng.choice([4, 6, 10])),
                    (batch, 2, 4, 6, 5),
                ]
            )
            self.inputs.append(Value(f"x{n}", shape, exact=True))
        self.pool.extend(self.inputs)

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def floats(self, *shape):
        return self.weight(self.numpy.uniform(-0.6, 0.6, shape).astype(np.float32))

    def ints(self, *values):
        return self.weight(np.array(values, dtype=np.int64))

    def add(self, operator, inputs, shape, exact=False, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{n}" for n in range(outputs)]
        read = [value.name if isinstance(value, Value) else value for value in inputs]
        self.read.update(read)
        self.nodes.append(helper.make_node(operator, read, names, name=f"node{len(self.nodes)}", **attributes))
        shapes = shape if outputs > 1 else [shape]
        values = [Value(name, shape, exact) for name, shape in zip(names, shapes)]
        return values if outputs > 1 else values[0]

    def pick(self, fits=lambda value: True):
        found = [value for value in self.pool if fits(value)]
        # What was made last is looked at more often, or the model would stay flat.
        return self.rng.choice(found[-3:] if self.rng.random() < 0.7 else found) if found else None

    def model(self):
        for _ in range(self.rng.randint(1, 14)):
            for _ in range(20):
                made = self.rng.choice(OPERATORS)(self)
                if made is not None:
                    self.pool.extend(made if isinstance(made, list) else [made])
                    break
        results = [v for v in self.pool if v.name not in self.read and v not in self.inputs]
        value = lambda v: helper.make_tensor_value_info(v.name, TensorProto.FLOAT, list(v.shape))
        bare = lambda v: helper.make_tensor_value_info(v.name, TensorProto.FLOAT, [None] * v.rank)
        graph = helper.make_graph(
            self.nodes, "random", [value(v) for v in self.inputs], [bare(v) for v in results], self.weights
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        model.ir_version = 8
        return model


def unary(m):
    operator, attributes = m.rng.choice(
        [
            ("Relu", {}), ("Sigmoid", {}), ("Tanh", {}), ("Abs", {}), ("Neg", {}), ("Erf", {}), ("Softplus", {}),
            ("Softsign", {}), ("HardSwish", {}), ("Mish", {}), ("Selu", {}), ("Identity", {}), ("Sin", {}), ("Cos", {}),
            ("Elu", {"alpha": 0.7}), ("LeakyRelu", {"alpha": 0.2}), ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
            ("Celu", {"alpha": 1.3}), ("Atan", {}), ("Sqrt", None), ("Exp", None), ("Log", None), ("Reciprocal", None),
        ]
    )  # fmt: skip
    x = m.pick()
    if attributes is None:
        # Of something between one and a few.
        x = m.add("Tanh", [x], x.shape)
        x = m.add("Add", [x, m.weight(np.float32(2.0))], x.shape)
        attributes = {}
    return m.add(operator, [x], x.shape, **attributes)


def stepwise(m):
    """Operators that jump, so that they are asked of numbers which are exactly the same."""
    x = m.pick(lambda v: v.exact)
    if x is None:
        return None
    kind = m.rng.choice(["Floor", "Ceil", "Round", "Sign", "Where", "ArgMax", "TopK", "Greater"])
    if kind in ("Floor", "Ceil", "Round", "Sign"):
        scaled = m.add("Mul", [x, m.weight(np.float32(4.0))], x.shape, exact=True)
        return m.add(kind, [scaled], x.shape, exact=True)
    if kind in ("Where", "Greater"):
        condition = m.add(m.rng.choice(["Greater", "Less", "GreaterOrEqual"]), [x, m.weight(np.float32(0.1))], x.shape)
        if kind == "Greater":
            return m.add("Cast", [condition], x.shape, exact=True, to=TensorProto.FLOAT)
        return m.add("Where", [condition, x, m.floats(1)], x.shape)
    axis = m.rng.randrange(1, x.rank)
    if not isinstance(x.shape[axis], int):
        return None
    if kind == "ArgMax":
        shape = x.shape[:axis] + (1,) + x.shape[axis + 1 :]
        index = m.add(m.rng.choice(["ArgMax", "ArgMin"]), [x], shape, axis=axis, keepdims=1)
        return m.add("Cast", [index], shape, exact=True, to=TensorProto.FLOAT)
    k = m.rng.randint(1, x.shape[axis])
    shape = x.shape[:axis] + (k,) + x.shape[axis + 1 :]
    values, indices = m.add("TopK", [x, m.ints(k)], [shape, shape], outputs=2, axis=axis, largest=m.rng.randint(0, 1))
    return [values, m.add("Cast", [indices], shape, to=TensorProto.FLOAT)]


def binary(m):
    a = m.pick()
    operator = m.rng.choice(["Add", "Sub", "Mul", "Max", "Min", "Div", "PRelu"])
    b = m.pick(lambda v: v.shape == a.shape)
    if m.rng.random() < 0.5 or b is None or operator == "PRelu":
        keep = [isinstance(size, int) and m.rng.random() < 0.6 for size in a.shape]
        shape = [size if kept else 1 for size, kept in zip(a.shape, keep)]
        b = m.floats(*shape[m.rng.randint(0, len(shape) - 1) :])
    if operator == "Div":
        b = m.weight(m.numpy.uniform(0.5, 2.0, (1,)).astype(np.float32))
    return m.add(operator, [a, b], a.shape)


def size_after(size, kernel, stride, dilation, before, after):
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def conv(m):
    x = m.pick(lambda v: v.rank in (3, 4, 5) and isinstance(v.shape[1], int))
    if x is None:
        return None
    space, channels = x.rank - 2, x.shape[1]
    groups = m.rng.choice([g for g in (1, 1, 2, 4, channels) if channels % g == 0])
    out = groups * m.rng.randint(1, 4)
    kernel = [m.rng.choice([1, 2, 3]) for _ in range(space)]
    strides = [m.rng.choice([1, 1, 2]) for _ in range(space)]
    dilations = [m.rng.choice([1, 1, 2]) for _ in range(space)]
    pads = [m.rng.randint(0, 2) for _ in range(2 * space)]
    sizes = []
    for n, size in enumerate(x.shape[2:]):
        if not isinstance(size, int):
            if (strides[n], dilations[n], kernel[n]) != (1, 1, 3):
                strides[n], dilations[n], kernel[n] = 1, 1, 3
            pads[n] = pads[n + space] = 1
            sizes.append(size)
            continue
        sizes.append(size_after(size, kernel[n], strides[n], dilations[n], pads[n], pads[n + space]))
        if sizes[-1] < 1:
            return None
    inputs = [x, m.floats(out, channels // groups, *kernel)] + ([m.floats(out)] if m.rng.random() < 0.6 else [])
    return m.add(
        "Conv", inputs, (x.shape[0], out, *sizes),
        group=groups, kernel_shape=kernel, strides=strides, dilations=dilations, pads=pads,
    )  # fmt: skip


def conv_transpose(m):
    x = m.pick(lambda v: v.rank in (3, 4) and all(isinstance(size, int) for size in v.shape[1:]))
    if x is None or max(x.shape[2:]) > 20:
        return None
    space, channels = x.rank - 2, x.shape[1]
    groups = m.rng.choice([g for g in (1, 1, 2) if channels % g == 0])
    each = m.rng.randint(1, 3)
    kernel = [m.rng.choice([2, 3]) for _ in range(space)]
    strides = [m.rng.choice([1, 2, 3]) for _ in range(space)]
    pads = [m.rng.randint(0, 1) for _ in range(2 * space)]
    more = [m.rng.randint(0, stride - 1) for stride in strides]
    sizes = [
        (size - 1) * strides[n] + kernel[n] - pads[n] - pads[n + space] + more[n] for n, size in enumerate(x.shape[2:])
    ]
    if min(sizes) < 1:
        return None
    inputs = [x, m.floats(channels, each, *kernel)] + ([m.floats(groups * each)] if m.rng.random() < 0.5 else [])
    return m.add(
        "ConvTranspose", inputs, (x.shape[0], groups * each, *sizes),
        group=groups, kernel_shape=kernel, strides=strides, pads=pads, output_padding=more,
    )  # fmt: skip


def pool(m):
    x = m.pick(lambda v: v.rank in (3, 4, 5) and all(isinstance(size, int) and size > 2 for size in v.shape[2:]))
    if x is None:
        return None
    space = x.rank - 2
    kernel = [m.rng.choice([2, 3]) for _ in range(space)]
    strides = [m.rng.choice([1, 2]) for _ in range(space)]
    pads = [m.rng.randint(0, 1) for _ in range(2 * space)]
    sizes = [size_after(s, kernel[n], strides[n], 1, pads[n], pads[n + space]) for n, s in enumerate(x.shape[2:])]
    if min(sizes) < 1:
        return None
    operator = m.rng.choice(["MaxPool", "AveragePool", "LpPool"])
    more = {"count_include_pad": m.rng.randint(0, 1)} if operator == "AveragePool" else {}
    more = {"p": 2} if operator == "LpPool" else more
    return m.add(operator, [x], (*x.shape[:2], *sizes), kernel_shape=kernel, strides=strides, pads=pads, **more)


def global_pool(m):
    x = m.pick(lambda v: v.rank >= 3)
    operator = m.rng.choice(["GlobalAveragePool", "GlobalMaxPool"])
    return x and m.add(operator, [x], (*x.shape[:2], *[1] * (x.rank - 2)))


def normalize(m):
    x = m.pick(lambda v: v.rank >= 3 and isinstance(v.shape[1], int))
    if x is None:
        return None
    channels = x.shape[1]
    kind = m.rng.choice(["BatchNormalization", "InstanceNormalization", "LRN", "LayerNormalization"])
    if kind == "BatchNormalization":
        variance = m.weight(m.numpy.uniform(0.5, 1.5, (channels,)).astype(np.float32))
        return m.add(kind, [x, *[m.floats(channels) for _ in range(3)], variance], x.shape, epsilon=1e-3)
    if kind == "InstanceNormalization":
        return m.add(kind, [x, m.floats(channels), m.floats(channels)], x.shape, epsilon=1e-2)
    if kind == "LRN":
        return m.add(kind, [x], x.shape, size=m.rng.choice([1, 3, 5]), alpha=0.1) if x.rank == 4 else None
    if not isinstance(x.shape[-1], int):
        return None
    return m.add(kind, [x, m.floats(x.shape[-1]), m.floats(x.shape[-1])], x.shape, axis=-1, epsilon=1e-2)


def matmul(m):
    x = m.pick(lambda v: isinstance(v.shape[-1], int))
    if x is None:
        return None
    out = m.rng.choice([1, 3, 4, 7])
    if x.rank == 2 and m.rng.random() < 0.5:
        transposed = m.rng.randint(0, 1)
        weight = m.floats(out, x.shape[1]) if transposed else m.floats(x.shape[1], out)
        return m.add("Gemm", [x, weight, m.floats(out)], (x.shape[0], out), transB=transposed, alpha=0.5, beta=1.5)
    return m.add("MatMul", [x, m.floats(x.shape[-1], out)], (*x.shape[:-1], out))


def softmax(m):
    x = m.pick()
    return m.add(m.rng.choice(["Softmax", "LogSoftmax"]), [x], x.shape, axis=m.rng.randrange(-x.rank, x.rank))


def reduce(m):
    x = m.pick()
    axes = sorted(m.rng.sample(range(x.rank), m.rng.randint(1, x.rank)))
    operator = m.rng.choice(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare", "ReduceL1"])
    keep = m.rng.randint(0, 1) if len(axes) < x.rank else 1
    shape = [1 if n in axes else s for n, s in enumerate(x.shape) if keep or n not in axes]
    given = [axis - x.rank if m.rng.random() < 0.3 else axis for axis in axes]
    return m.add(operator, [x, m.ints(*given)], shape, exact=x.exact and "M" in operator[6:7], keepdims=keep)


def transpose(m):
    x = m.pick()
    perm = m.rng.sample(range(x.rank), x.rank)
    return m.add("Transpose", [x], [x.shape[n] for n in perm], exact=x.exact, perm=perm)


def reshape(m):
    x = m.pick(lambda v: v.rank >= 2)
    if x is None:
        return None
    kind = m.rng.choice(["flatten", "merge", "unsqueeze", "dynamic"])
    if kind == "unsqueeze":
        axis = m.rng.randint(0, x.rank)
        return x.rank < 5 and m.add(
            "Unsqueeze", [x, m.ints(axis)], [*x.shape[:axis], 1, *x.shape[axis:]], exact=x.exact
        ) or None
    if not all(isinstance(size, int) for size in x.shape[1:]):
        return None
    rest = int(np.prod(x.shape[1:]))
    if kind == "flatten":
        return m.add("Flatten", [x], (x.shape[0], rest), exact=x.exact, axis=1)
    if kind == "merge":
        width = m.rng.choice([n for n in (1, 2, 3, 4, rest) if rest % n == 0])
        return m.add("Reshape", [x, m.ints(0, -1, width)], (x.shape[0], rest // width, width), exact=x.exact)
    # As exporters write it: the batch from the shape.
    shape = m.add("Shape", [x], (x.rank,))
    batch = m.add("Gather", [shape, m.ints(0)], (1,), axis=0)
    target = m.add("Concat", [batch, m.ints(rest)], (2,), axis=0)
    return m.add("Reshape", [x, target], (x.shape[0], rest), exact=x.exact)


def concat(m):
    x = m.pick()
    axis = m.rng.randrange(x.rank)
    rest = lambda v: v.shape[:axis] + v.shape[axis + 1 :]
    if not isinstance(x.shape[axis], int):
        return None
    fits = lambda v: v.rank == x.rank and rest(v) == rest(x) and isinstance(v.shape[axis], int)
    parts = [x] + [m.pick(fits) for _ in range(m.rng.randint(1, 3))]
    size = sum(part.shape[axis] for part in parts)
    exact = all(part.exact for part in parts)
    return m.add("Concat", parts, (*x.shape[:axis], size, *x.shape[axis + 1 :]), exact=exact, axis=axis)


def split(m):
    x = m.pick()
    axis = m.rng.randrange(x.rank)
    if not isinstance(x.shape[axis], int) or x.shape[axis] < 2:
        return None
    first = m.rng.randint(1, x.shape[axis] - 1)
    sizes = (first, x.shape[axis] - first)
    shapes = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
    return m.add("Split", [x, m.ints(*sizes)], shapes, exact=x.exact, outputs=2, axis=axis)


def cut(m):
    x = m.pick()
    axis = m.rng.randrange(x.rank)
    size = x.shape[axis]
    if not isinstance(size, int):
        return None
    step = m.rng.choice([1, 1, 2, -1, -2])
    start, end = sorted([m.rng.randint(0, size - 1), m.rng.randint(0, size)])
    if step < 0:
        start, end = max(end - 1, start), (start - 1 if start > 0 else -(10**6))
    length = len(range(size)[slice(start, None if end < 0 else end, step)])
    if length == 0:
        return None
    shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
    return m.add("Slice", [x, m.ints(start), m.ints(end), m.ints(axis), m.ints(step)], shape, exact=x.exact)


def pad(m):
    x = m.pick(lambda v: v.rank >= 2)
    if x is None:
        return None
    mode = m.rng.choice(["constant", "constant", "reflect", "edge"])
    before, after = [0] * x.rank, [0] * x.rank
    for axis in range(1, x.rank):
        if isinstance(x.shape[axis], int) and x.shape[axis] > 2:
            before[axis], after[axis] = m.rng.randint(0, 2), m.rng.randint(0, 2)
    shape = [s + b + a if isinstance(s, int) else s for s, b, a in zip(x.shape, before, after)]
    value = [m.weight(np.float32(0.25))] if mode == "constant" and m.rng.random() < 0.5 else []
    return m.add("Pad", [x, m.ints(*before, *after), *value], shape, exact=x.exact, mode=mode)


def repeat(m):
    x = m.pick(lambda v: v.rank >= 2)
    if x is None:
        return None
    if m.rng.random() < 0.5:
        times = [1] + [m.rng.choice([1, 2]) if isinstance(s, int) and s < 10 else 1 for s in x.shape[1:]]
        shape = [s * t if t > 1 else s for s, t in zip(x.shape, times)]
        return m.add("Tile", [x, m.ints(*times)], shape, exact=x.exact)
    if 1 not in x.shape[1:]:
        return None
    target = [1] + [3 if s == 1 else 1 for s in x.shape[1:]]
    shape = [x.shape[0]] + [3 if s == 1 else s for s in x.shape[1:]]
    return m.add("Expand", [x, m.ints(*target)], shape, exact=x.exact)


def gather(m):
    x = m.pick()
    axis = m.rng.randrange(x.rank)
    size = x.shape[axis]
    if not isinstance(size, int):
        return None
    indices = [m.rng.randrange(-size, size) for _ in range(m.rng.randint(1, 5))]
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    return m.add("Gather", [x, m.ints(*indices)], shape, exact=x.exact, axis=axis)


def gather_elements(m):
    x = m.pick(lambda v: v.is_fixed)
    if x is None:
        return None
    axis = m.rng.randrange(x.rank)
    indices = m.numpy.integers(-x.shape[axis], x.shape[axis], x.shape)
    if m.rng.random() < 0.5:
        return m.add("GatherElements", [x, m.weight(indices)], x.shape, exact=x.exact, axis=axis)
    # Each place once: of several updates any may win.
    order = np.argsort(m.numpy.random(x.shape), axis=axis)
    return m.add("ScatterElements", [x, m.weight(order), m.floats(*x.shape)], x.shape, axis=axis)


def blocks(m):
    x = m.pick(lambda v: v.rank == 4 and v.is_fixed)
    if x is None:
        return None
    n, c, h, w = x.shape
    if c % 4 == 0 and m.rng.random() < 0.7:
        mode = m.rng.choice(["DCR", "CRD"])
        return m.add("DepthToSpace", [x], (n, c // 4, 2 * h, 2 * w), exact=x.exact, blocksize=2, mode=mode)
    if h % 2 or w % 2:
        return None
    return m.add("SpaceToDepth", [x], (n, 4 * c, h // 2, w // 2), exact=x.exact, blocksize=2)


def resize(m):
    x = m.pick(lambda v: v.rank == 4 and all(isinstance(s, int) and 2 <= s <= 16 for s in v.shape[2:]))
    if x is None:
        return None
    scale = m.rng.choice([2, 3])
    mode = m.rng.choice(["nearest", "linear", "cubic"])
    where = m.rng.choice(["half_pixel", "asymmetric", "align_corners"])
    more = {"nearest_mode": m.rng.choice(["floor", "round_prefer_floor", "ceil"])} if mode == "nearest" else {}
    scales = m.weight(np.array([1, 1, scale, scale], dtype=np.float32))
    shape = (*x.shape[:2], *[scale * s for s in x.shape[2:]])
    return m.add("Resize", [x, "", scales], shape, mode=mode, coordinate_transformation_mode=where, **more)


def running(m):
    x = m.pick()
    axis = m.rng.randrange(x.rank)
    flags = {"exclusive": m.rng.randint(0, 1), "reverse": m.rng.randint(0, 1)}
    return m.add("CumSum", [x, m.weight(np.array(axis, dtype=np.int64))], x.shape, **flags)


def triangle(m):
    x = m.pick(lambda v: v.rank >= 2)
    diagonal = m.weight(np.array(m.rng.randint(-2, 2), dtype=np.int64))
    return x and m.add("Trilu", [x, diagonal], x.shape, exact=x.exact, upper=m.rng.randint(0, 1))


def clip(m):
    x = m.pick()
    low, high = m.weight(np.float32(-0.4)), m.weight(np.float32(0.5))
    return m.add("Clip", [x, *m.rng.choice([(low,), ("", high), (low, high)])], x.shape)


OPERATORS = [
    unary, unary, binary, binary, stepwise, conv, conv, conv_transpose, pool, global_pool, normalize, matmul, softmax,
    reduce, transpose, reshape, concat, split, cut, pad, repeat, gather, gather_elements, blocks, resize, running,
    triangle, clip,
]  # fmt: skip


def write(number, folder):
    """Writes model and data; nothing if ONNX Runtime has no finite answer of a usual size."""
    maker = Maker(number)
    model = maker.model()
    try:
        onnx.checker.check_model(model, full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        return f"ONNX Runtime: {str(error).splitlines()[0][:80]}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for n, binding in enumerate(BINDINGS):
        data = folder / f"test_data_set_{n}"
        data.mkdir()
        given = {}
        for i, value in enumerate(maker.inputs):
            shape = [binding.get(size, size) for size in value.shape]
            given[value.name] = maker.numpy.uniform(-1, 1, shape).astype(np.float32)
            tensor = numpy_helper.from_array(given[value.name], value.name)
            (data / f"input_{i}.pb").write_bytes(tensor.SerializeToString())
        try:
            answers = session.run(None, given)
        except Exception as error:
            return f"ONNX Runtime: {str(error).splitlines()[0][:80]}"
        for i, (output, answer) in enumerate(zip(session.get_outputs(), answers)):
            if not np.isfinite(answer).all() or (answer.size and np.abs(answer).max() > 1e5):
                return "no finite answer of a usual size"
            tensor = numpy_helper.from_array(np.ascontiguousarray(answer), output.name)
            (data / f"output_{i}.pb").write_bytes(tensor.SerializeToString())
    return None


def verify(kiln, folders):
    """What `kiln verify` says of each folder: rows of its JSON."""
    command = [kiln, "verify", "--json", *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    if done.returncode not in (0, 1):
        return None
    rows = collections.defaultdict(list)
    for row in json.loads(done.stdout)["outputs"]:
        rows[row["model"]].append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kiln", default="target/debug/kiln")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("out/random"))
    arguments = parser.parse_args()
    numbers = range(arguments.first, arguments.first + arguments.count)
    left_out, refused, wrong, good = collections.Counter(), collections.Counter(), [], 0
    for begin in range(0, len(numbers), BATCH):
        folders = {}
        for number in numbers[begin : begin + BATCH]:
            folder = arguments.output / str(number)
            reason = write(number, folder)
            if reason is None:
                folders[str(folder)] = number
            else:
                left_out[reason] += 1
                shutil.rmtree(folder, ignore_errors=True)
        rows = verify(arguments.kiln, folders) if folders else {}
        if rows is None:
            # One of them ended the command: each by itself.
            rows = {}
            for folder in folders:
                rows.update(verify(arguments.kiln, [folder]) or {folder: [{"error": "the command ended otherwise"}]})
        for folder, number in folders.items():
            bad = [row for row in rows.get(folder, [{"error": "nothing was said"}]) if not row.get("ok", False)]
            reason = next((row["error"] for row in bad if row.get("error")), None)
            if reason is not None and "not supported" in reason:
                refused[reason.splitlines()[-1].split(": ", 1)[-1]] += 1
            elif bad:
                wrong.append(number)
                print(f"model {number} in {folder}: {reason or bad[0]}", flush=True)
                continue
            else:
                good += 1
            shutil.rmtree(folder)
        print(f"{begin + len(folders)} of {len(numbers)}: {good} right, {len(wrong)} wrong", flush=True)
    for reasons, what in ((left_out, "left out"), (refused, "refused")):
        for reason, count in reasons.most_common():
            print(f"{what} {count}: {reason}")
    print(f"{good} right, {sum(refused.values())} refused, {len(wrong)} wrong: {wrong}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
