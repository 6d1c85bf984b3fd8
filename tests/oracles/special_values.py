"""What elementwise functions make of zeros of both signs, subnormal numbers, ones, large numbers, infinities and NaN.

`fixtures/special_values.json` has "grids", named lists of inputs with their element type, and "cases", each with "name",
"front", "source", "grid", "expected", "absolute", "relative" and "signs":

* front "graph": "source" is the nodes of a graph in Kiln's text form, from `%x` (and `%y`) to `%z`. The answers are
  NumPy's with double precision, rounded to the type of the result; those of integers are exact and wrap around.
* front "onnx": "source" is a model of one node, in hexadecimal digits. The answers are those of ONNX's reference evaluator.
* front "torch": "source" is an expression in `x` (and `y`). The answers are PyTorch's with double precision, rounded to
  single precision. Where its own single precision overflows on the way, "also" has what comes of that.

"arrays" has functions of whole tensors: "front" and "source" as above, "x" and "z" the input and the answer. These are
ONNX's reference evaluator's for reductions over nothing, ONNX Runtime's for padding and softmax, and PyTorch's.

A result may be off by "absolute" + "relative" * |expected|; "signs" says whether the sign of a zero is part of the answer.
"""

import json
import math
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F  # noqa: F401 (expressions)
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

inf, nan = math.inf, math.nan
TINY, LARGE = 1e-40, 3e38

ONE = [0.0, -0.0, TINY, -TINY, 1.2e-38, 1e-10, -1e-10, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.5, -2.5, 4.0, -4.0, 10.0,
       -10.0, 30.0, -30.0, 88.0, -88.0, 100.0, -100.0, 40000.0, -40000.0, 1e10, -1e10, 1e20, -1e20, LARGE, -LARGE, inf,
       -inf, nan]
TWO = [0.0, -0.0, TINY, 0.5, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 2.5, LARGE, inf, -inf, nan]
# What fits each integer type to be cast to, and what does not: saturated, and NaN is zero.
CAST = [0.0, -0.0, TINY, 0.5, -0.5, 0.99, 1.0, -1.0, 1.5, -1.5, 127.0, 128.0, -128.0, -129.0, 255.0, 256.0, 32767.0,
        32768.0, -32768.0, -32769.0, 65535.0, 65536.0, 2147483520.0, 2147483648.0, -2147483648.0, -2147483904.0,
        4294967040.0, 4294967296.0, 1e20, -1e20, LARGE, -LARGE, inf, -inf, nan]


def edges(dtype):
    # The host gives 64-bit integers that fit 32 bits; what is computed from them need not.
    info, bits = np.iinfo("int32" if dtype == "int64" else dtype), np.iinfo(dtype).bits
    values = {0, 1, 2, 7, bits - 1, bits, info.max, info.min}
    if info.min < 0:
        values |= {-1, -2, -7}
    return sorted(value for value in values if info.min <= value <= info.max)


def pairs(values, fits=lambda x, y: True):
    chosen = [(x, y) for x in values for y in values if fits(x, y)]
    return {"x": [x for x, _ in chosen], "y": [y for _, y in chosen]}


INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"]
KILN = {"float32": "f32", "bool": "bool", "int8": "i8", "uint8": "u8", "int16": "i16", "uint16": "u16", "int32": "i32",
        "uint32": "u32", "int64": "i64"}

FEW = [0.0, -0.0, TINY, 0.5, 1.0, -1.0, 2.5, -3.0, LARGE, -LARGE, inf, -inf, nan]

# Of double precision, where devices have it.
ONE_64 = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -2.5, 10.0, -10.0, 300.0, -300.0, 700.0, -700.0, 1e10, 1e20, -1e20, 1e100, -1e100,
          1e300, -1e300, 1e-300, inf, -inf, nan]
TWO_64 = [0.0, -0.0, 0.5, 1.0, -1.0, 2.0, -3.0, 2.5, 1e300, inf, -inf, nan]

GRIDS = {"one": {"type": "float32", "x": ONE}, "two": {"type": "float32", **pairs(TWO)}, "few": {"type": "float32", "x": FEW},
         "cast": {"type": "float32", "x": CAST}, "one of f64": {"type": "float64", "x": ONE_64},
         "two of f64": {"type": "float64", **pairs(TWO_64)}}
for name in INTEGERS:
    GRIDS[name] = {"type": name, "x": edges(name)}
    GRIDS[f"{name} pairs"] = {"type": name, **pairs(edges(name))}
    GRIDS[f"{name} quotients"] = {"type": name, **pairs(edges(name), lambda x, y: y != 0)}
    GRIDS[f"{name} powers"] = {"type": name, **pairs(edges(name), lambda x, y: y >= 0)}
GRIDS["bool"] = {"type": "bool", "x": [0, 1]}
GRIDS["bool pairs"] = {"type": "bool", **pairs([0, 1])}


def arrays(grid):
    grid = GRIDS[grid]
    # Integers as Python's own, which do not overflow.
    dtype = object if grid["type"] in INTEGERS else grid["type"]
    return [np.array(grid[name], dtype=dtype) for name in "xy" if name in grid]


# How far results may be off. Functions that drivers compute have 1e-5; what is correctly rounded, next to nothing.
EXACT, NEAR, ROUGH = (0.0, 0.0), (1e-7, 2e-6), (1e-6, 1e-5)

erf = np.vectorize(math.erf, otypes=[float])
sigmoid = lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))  # noqa: E731

# Kiln's names, NumPy's functions, how far off, and whether zeros have signs.
FUNCTIONS = [
    ("neg", np.negative, EXACT, True),
    ("abs", np.abs, EXACT, True),
    ("sign", np.sign, EXACT, False),
    ("reciprocal", np.reciprocal, NEAR, True),
    ("exp", np.exp, ROUGH, False),
    ("log", np.log, ROUGH, False),
    ("sqrt", np.sqrt, NEAR, True),
    ("sin", np.sin, ROUGH, True),
    ("cos", np.cos, ROUGH, False),
    ("tan", np.tan, ROUGH, True),
    ("asin", np.arcsin, ROUGH, True),
    ("acos", np.arccos, ROUGH, False),
    ("atan", np.arctan, ROUGH, True),
    ("sinh", np.sinh, ROUGH, True),
    ("cosh", np.cosh, ROUGH, False),
    ("tanh", np.tanh, ROUGH, True),
    ("asinh", np.arcsinh, ROUGH, True),
    ("acosh", np.arccosh, ROUGH, False),
    ("atanh", np.arctanh, ROUGH, True),
    ("relu", lambda x: np.where(np.isnan(x), x, np.maximum(x, 0)), EXACT, False),
    ("sigmoid", sigmoid, ROUGH, False),
    ("softplus", lambda x: np.logaddexp(0, x), ROUGH, False),
    ("erf", erf, ROUGH, True),
    ("floor", np.floor, EXACT, True),
    ("ceil", np.ceil, EXACT, True),
    ("round", np.round, EXACT, True),
    ("is_nan", np.isnan, EXACT, False),
    ("is_inf", np.isinf, EXACT, False),
]
PAIRS = [
    ("add", np.add, NEAR, False),
    ("sub", np.subtract, NEAR, False),
    ("mul", np.multiply, NEAR, True),
    ("div", np.divide, NEAR, True),
    ("pow", np.power, ROUGH, True),
    ("mod", np.mod, NEAR, False),
    ("rem", np.fmod, NEAR, True),
    ("min", np.minimum, EXACT, False),
    ("max", np.maximum, EXACT, False),
    ("equal", np.equal, EXACT, False),
    ("less", np.less, EXACT, False),
    ("less_or_equal", np.less_equal, EXACT, False),
    ("greater", np.greater, EXACT, False),
    ("greater_or_equal", np.greater_equal, EXACT, False),
]
COMPARISONS = [np.equal, np.less, np.less_equal, np.greater, np.greater_equal]


def truncated(x, y):
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


def shifted(bits, signed, left):
    """Places that are out of range leave zero, or copies of the sign."""
    def of(x, y):
        if 0 <= y < bits:
            return x << y if left else x >> y
        return -1 if signed and not left and x < 0 else 0

    return of


def of_integers(name):
    """Functions of one and of two integers that are exact, by name."""
    info = np.iinfo(name)
    signed, bits = info.min < 0, info.bits
    one = [
        ("neg", lambda x: -x), ("abs", abs), ("sign", lambda x: (x > 0) - (x < 0)), ("relu", lambda x: max(x, 0)),
        ("bit_not", lambda x: ~x),
    ]
    two = [
        ("add", "pairs", lambda x, y: x + y), ("sub", "pairs", lambda x, y: x - y), ("mul", "pairs", lambda x, y: x * y),
        ("div", "quotients", truncated), ("rem", "quotients", lambda x, y: x - truncated(x, y) * y),
        ("mod", "quotients", lambda x, y: x % y),
        ("pow", "powers", lambda x, y: pow(x, y, 1 << bits)),
        ("min", "pairs", min), ("max", "pairs", max),
        ("bit_and", "pairs", lambda x, y: x & y), ("bit_or", "pairs", lambda x, y: x | y),
        ("bit_xor", "pairs", lambda x, y: x ^ y),
        ("shift_left", "pairs", shifted(bits, signed, True)), ("shift_right", "pairs", shifted(bits, signed, False)),
        ("equal", "pairs", lambda x, y: x == y), ("less", "pairs", lambda x, y: x < y),
        ("less_or_equal", "pairs", lambda x, y: x <= y), ("greater", "pairs", lambda x, y: x > y),
        ("greater_or_equal", "pairs", lambda x, y: x >= y),
    ]
    return one, two


def wrapped(value, name):
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    info = np.iinfo(name)
    return (int(value) - info.min) % (1 << info.bits) + info.min


def saturated(x, name):
    if math.isnan(x):
        return 0
    info = np.iinfo(name)
    return info.min if x <= info.min else info.max if x >= info.max else int(x)


def case(name, front, source, grid, expected, tolerance, signs, **more):
    return {"name": name, "front": front, "source": source, "grid": grid, "absolute": tolerance[0],
            "relative": tolerance[1], "signs": signs, "expected": expected, **more}


def rounded(values):
    """As single precision; integers and truth values as they are."""
    values = np.asarray(values)
    if values.dtype.kind == "f":
        return [number(x) for x in values.astype(np.float32)]
    return [int(x) for x in values]


def exact(values):
    """As double precision."""
    return [x if math.isfinite(x) else str(x) for x in map(float, values)] if values.dtype.kind == "f" else [int(x) for x in values]


def number(x):
    """The shortest number that is the same in single precision. JSON has no infinity."""
    return float(str(np.float32(x))) if np.isfinite(x) else str(float(x))


def of_graph():
    for name, function, tolerance, signs in FUNCTIONS:
        x, = (x.astype(np.float64) for x in arrays("one"))
        yield case(name, "graph", f"%z = {name}(%x)", "one", rounded(function(x)), tolerance, signs)
    doubles = ["neg", "abs", "sign", "reciprocal", "exp", "log", "sqrt", "floor", "ceil", "round", "is_nan", "is_inf"]
    for name, function, tolerance, signs in FUNCTIONS:
        if name in doubles:
            yield case(f"{name} of f64", "graph", f"%z = {name}(%x)", "one of f64", exact(function(*arrays("one of f64"))),
                       (0.0, 1e-12 if tolerance[1] else 0.0), signs)
    for name, function, tolerance, signs in PAIRS:
        if name not in ("pow", "mod", "rem"):
            yield case(f"{name} of f64", "graph", f"%z = {name}(%x, %y)", "two of f64", exact(function(*arrays("two of f64"))),
                       (0.0, 1e-14 if tolerance[1] else 0.0), signs)
        x, y = (x.astype(np.float64) for x in arrays("two"))
        yield case(name, "graph", f"%z = {name}(%x, %y)", "two", rounded(function(x, y)), tolerance, signs)
    # A number that is written into the kernel, on either side.
    x, = (x.astype(np.float64) for x in arrays("few"))
    for name, function, tolerance, signs in PAIRS:
        for value in [0.0, inf, -inf, nan] if function in COMPARISONS else [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, inf, -inf, nan]:
            shown = str(value)
            head = f"const @c : f32[] = [{shown.replace('nan', 'NaN')}]\n"
            yield case(f"{name}(x, {shown})", "graph", f"{head}%z = {name}(%x, @c)", "few",
                       rounded(function(x, np.full_like(x, value))), tolerance, signs)
            yield case(f"{name}({shown}, x)", "graph", f"{head}%z = {name}(@c, %x)", "few",
                       rounded(function(np.full_like(x, value), x)), tolerance, signs)
    x, = arrays("cast")
    for to in INTEGERS:
        yield case(f"cast to {KILN[to]}", "graph", f"%z = cast(%x) to={KILN[to]}", "cast",
                   [saturated(x, to) for x in x], EXACT, False)
    yield case("cast to bool", "graph", "%z = cast(%x) to=bool", "cast", rounded(x.astype(bool)), EXACT, False)
    yield case("cast to f16", "graph", "%h = cast(%x) to=f16\n%z = cast(%h) to=f32", "cast",
               rounded(x.astype(np.float16).astype(np.float32)), EXACT, True)
    for name in INTEGERS:
        one, two = of_integers(name)
        x, = arrays(name)
        for function, of in one:
            yield case(f"{function} of {KILN[name]}", "graph", f"%z = {function}(%x)", name,
                       [wrapped(of(x), name) for x in x], EXACT, False)
        for to in ["float32", "bool", *INTEGERS]:
            if to != name:
                as_type = {"float32": np.float32, "bool": bool}.get(to)
                expected = rounded(np.array([as_type(x) for x in x])) if as_type else [wrapped(x, to) for x in x]
                yield case(f"cast {KILN[name]} to {KILN[to]}", "graph", f"%z = cast(%x) to={KILN[to]}", name,
                           expected, EXACT, False)
        for function, grid, of in two:
            x, y = arrays(f"{name} {grid}")
            yield case(f"{function} of {KILN[name]}", "graph", f"%z = {function}(%x, %y)", f"{name} {grid}",
                       [wrapped(of(x, y), name) for x, y in zip(x, y)], EXACT, False)
    yield case("not", "graph", "%z = not(%x)", "bool", [1, 0], EXACT, False)
    for name, of in [("and", np.logical_and), ("or", np.logical_or), ("xor", np.logical_xor), ("equal", np.equal)]:
        yield case(f"{name} of bool", "graph", f"%z = {name}(%x, %y)", "bool pairs",
                   rounded(of(*arrays("bool pairs"))), EXACT, False)


# Operator, attributes, how far off, whether zeros have signs.
ONNX_ONE = [
    ("Abs", {}, EXACT, True), ("Acos", {}, ROUGH, False), ("Acosh", {}, ROUGH, False), ("Asin", {}, ROUGH, True),
    ("Asinh", {}, ROUGH, True), ("Atan", {}, ROUGH, True), ("Atanh", {}, ROUGH, True), ("Ceil", {}, EXACT, True),
    ("Celu", {}, ROUGH, False), ("Celu", {"alpha": 2.0}, ROUGH, False), ("Cos", {}, ROUGH, False),
    ("Cosh", {}, ROUGH, False), ("Elu", {}, ROUGH, False), ("Elu", {"alpha": 2.0}, ROUGH, False),
    ("Erf", {}, ROUGH, True), ("Exp", {}, ROUGH, False), ("Floor", {}, EXACT, True), ("Gelu", {}, ROUGH, False),
    ("Gelu", {"approximate": "tanh"}, ROUGH, False), ("HardSigmoid", {}, NEAR, False), ("HardSwish", {}, NEAR, False),
    ("Identity", {}, EXACT, True), ("IsInf", {}, EXACT, False), ("IsInf", {"detect_negative": 0}, EXACT, False),
    ("IsInf", {"detect_positive": 0}, EXACT, False), ("IsNaN", {}, EXACT, False), ("LeakyRelu", {}, NEAR, False),
    ("Log", {}, ROUGH, False), ("Mish", {}, ROUGH, False), ("Neg", {}, EXACT, True), ("Reciprocal", {}, NEAR, True),
    ("Relu", {}, EXACT, False), ("Round", {}, EXACT, True), ("Selu", {}, ROUGH, False),
    ("Shrink", {"lambd": 1.5, "bias": 1.5}, EXACT, False), ("Shrink", {}, EXACT, False), ("Sigmoid", {}, ROUGH, False),
    ("Sign", {}, EXACT, False), ("Sin", {}, ROUGH, True), ("Sinh", {}, ROUGH, True), ("Softplus", {}, ROUGH, False),
    ("Softsign", {}, NEAR, False), ("Sqrt", {}, NEAR, True), ("Swish", {}, ROUGH, False), ("Tan", {}, ROUGH, True),
    ("Tanh", {}, ROUGH, True), ("ThresholdedRelu", {}, EXACT, False), ("ThresholdedRelu", {"alpha": -1.0}, EXACT, False),
    ("Clip", {"-1": -1.0, "1": 2.5}, EXACT, False),
]
ONNX_TWO = [
    ("Add", {}, NEAR, False), ("Div", {}, NEAR, True), ("Equal", {}, EXACT, False), ("Greater", {}, EXACT, False),
    ("GreaterOrEqual", {}, EXACT, False), ("Less", {}, EXACT, False), ("LessOrEqual", {}, EXACT, False),
    ("Max", {}, EXACT, False), ("Mean", {}, NEAR, False), ("Min", {}, EXACT, False), ("Mod", {"fmod": 1}, NEAR, True),
    ("Mul", {}, NEAR, True), ("PRelu", {}, NEAR, False), ("Pow", {}, ROUGH, True), ("Sub", {}, NEAR, False),
    ("Sum", {}, NEAR, False),
]


def of_onnx():
    for operators, grid in [(ONNX_ONE, "one"), (ONNX_TWO, "two")]:
        for operator, attributes, tolerance, signs in operators:
            given = arrays(grid)
            names = list("xy"[: len(given)])
            limits = []
            if operator == "Clip":
                limits = [helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in zip("lh", attributes.values())]
                attributes = {}
            node = helper.make_node(operator, [*names, *(limit.name for limit in limits)], ["z"], **attributes)
            is_truth = operator in ("IsNaN", "IsInf", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
            result = TensorProto.BOOL if is_truth else TensorProto.FLOAT
            info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [len(given[0])]) for n in names]
            out = helper.make_tensor_value_info("z", result, [len(given[0])])
            graph = helper.make_graph([node], "g", info, [out], limits)
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)
            onnx.checker.check_model(model)
            expected, = ReferenceEvaluator(model).run(None, dict(zip(names, given)))
            shown = ", ".join(f"{key}={value}" for key, value in attributes.items())
            source = model.SerializeToString().hex()
            yield case(f"{operator}({shown})" if shown else operator, "onnx", source, grid, rounded(expected), tolerance, signs)


TORCH_ONE = [
    (EXACT, True, ["torch.abs(x)", "-x", "torch.floor(x)", "torch.ceil(x)", "torch.round(x)", "x * 1", "x / 1", "x - 0", "x ** 1"]),
    (EXACT, False, [
        "torch.sign(x)", "F.relu(x)", "torch.isnan(x)", "torch.isinf(x)", "torch.logical_not(x)", "F.relu6(x)", "F.hardtanh(x)",
        "torch.clamp(x, -1, 2.5)", "torch.clamp(x, min=0.5)", "torch.clamp(x, max=0.5)", "F.hardshrink(x)", "F.threshold(x, 0.5, -3.0)",
        "x + -x", "-x + x", "torch.abs(x) - torch.abs(x)", "x ** 0", "x != x", "x == x", "x - x", "x + 0", "torch.where(x > 0, x, 0 * x)", "x.bool()",
    ]),
    (NEAR, True, ["torch.sqrt(x)", "torch.reciprocal(x)", "x * 0", "0 * x", "x * -0.0", "0 / x", "-0.0 / x", "x / 0", "1 / x", "x / 2", "2 * x"]),
    (NEAR, False, [
        "torch.rsqrt(x)", "torch.square(x)", "torch.square(torch.sqrt(x))", "torch.sqrt(x) * torch.sqrt(x)", "x ** 2", "x / x", "F.leaky_relu(x)", "F.softshrink(x)", "F.softsign(x)", "F.hardswish(x)",
        "F.hardsigmoid(x)", "x // 2", "x % 3", "x % -3", "torch.fmod(x, 3)", "torch.div(x, 2.5, rounding_mode='trunc')",
        "torch.div(x, 2.5, rounding_mode='floor')", "F.prelu(x, torch.tensor([0.25]))", "F.rrelu(x)", "torch.lerp(x, x, 0.5)",
    ]),
    (ROUGH, True, [
        "torch.sin(x)", "torch.tan(x)", "torch.asin(x)", "torch.atan(x)", "torch.sinh(x)", "torch.tanh(x)", "torch.asinh(x)",
        "torch.atanh(x)", "torch.erf(x)", "torch.log1p(x)", "torch.expm1(x)", "x ** 3", "x ** -1", "x ** -3",
    ]),
    (ROUGH, False, [
        "torch.exp(x)", "torch.exp(torch.log(x))", "torch.log(torch.exp(torch.clamp(x, min=-50)))", "torch.log(x)", "torch.log2(x)", "torch.log10(x)", "torch.cos(x)", "torch.acos(x)", "torch.cosh(x)",
        "torch.acosh(x)", "torch.sigmoid(x)", "F.elu(x)", "F.elu(x, alpha=0.5)", "F.selu(x)", "F.celu(x)", "F.celu(x, alpha=2.0)", "F.gelu(x)",
        "F.gelu(x, approximate='tanh')", "F.silu(x)", "F.mish(x)", "F.softplus(x)", "F.softplus(x, beta=2.0, threshold=1.5)", "F.softplus(x, beta=2.0)",
        "F.tanhshrink(x)", "F.logsigmoid(x)", "x ** 0.5", "x ** -0.5", "x ** 2.5", "x ** 4", "2 ** x", "0 ** x", "(-2) ** x", "1 ** x",
    ]),
]
TORCH_TWO = [
    (EXACT, False, [
        "torch.maximum(x, y)", "torch.minimum(x, y)", "x == y", "x != y", "x < y", "x <= y", "x > y", "x >= y",
        "torch.logical_and(x, y)", "torch.logical_or(x, y)", "torch.logical_xor(x, y)", "torch.where(x > y, x, y)", "torch.clamp(x, max=y)",
    ]),
    (NEAR, False, ["x + y", "x - y", "x // y", "x % y", "torch.lerp(x, y, 0.25)", "torch.add(x, y, alpha=0.5)", "torch.div(x, y, rounding_mode='trunc')",
                   "torch.where(y == 0, 0, x / y)"]),
    (NEAR, True, ["x * y", "x / y", "torch.fmod(x, y)"]),
    (ROUGH, True, ["x ** y"]),
]


def of_torch():
    for table, grid in [(TORCH_ONE, "one"), (TORCH_TWO, "two")]:
        for tolerance, signs, expressions in table:
            for expression in expressions:
                single = [torch.from_numpy(array) for array in arrays(grid)]
                double = [tensor.double() for tensor in single]
                results = []
                for given, kind in [(double, torch.float64), (single, torch.float32)]:
                    torch.set_default_dtype(kind)
                    results.append(eval(expression, globals(), dict(zip("xy", given))).numpy())
                torch.set_default_dtype(torch.float32)
                expected, own = rounded(results[0]), rounded(results[1])
                def kind(value):
                    return value if isinstance(value, str) else "number"
                also = {str(n): b for n, (a, b) in enumerate(zip(expected, own)) if kind(a) != kind(b)}
                yield case(expression, "torch", expression, grid, expected, tolerance, signs, **({"also": also} if also else {}))


def array(values):
    """A tensor of the file."""
    flat = values.flatten()
    if values.dtype.kind == "f":
        flat = [number(x) for x in flat.astype(np.float32)]
    return {"type": str(values.dtype), "shape": list(values.shape), "values": [x if isinstance(x, (float, str)) else int(x) for x in flat]}


def whole(name, front, source, x, z):
    return {"name": name, "front": front, "source": source, "x": array(x), "z": array(z)}


TYPES = {"float32": TensorProto.FLOAT, "bool": TensorProto.BOOL, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8,
         "int32": TensorProto.INT32, "int64": TensorProto.INT64}
INFINITE = np.array([[1, 2, inf, 3], [inf, inf, 0, 1], [-inf, 1, 2, 3], [-inf, -inf, -inf, -inf], [nan, 1, 2, 3], [inf, -inf, 0, 1],
                     [1e4, 1e4, -1e4, 0], [88, 89, 90, 91]], dtype=np.float32)


def of_arrays():
    def one_node(operator, x, constants, engine, name=None, **attributes):
        node = helper.make_node(operator, ["x", *constants], ["z"], **attributes)
        held = [helper.make_tensor(n, TensorProto.INT64, [len(v)], v) for n, v in constants.items()]
        info = helper.make_tensor_value_info("x", TYPES[str(x.dtype)], x.shape)
        # The shape of the result is what comes out.
        out = helper.make_value_info("z", helper.make_tensor_type_proto(TYPES[str(x.dtype)], None))
        graph = helper.make_graph([node], "g", [info], [out], held)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        z, = engine(model, x)
        words = ", ".join(f"{key}={value}" for key, value in {**constants, **attributes}.items())
        return whole(name or f"{operator}({words}) of {x.dtype}{list(x.shape)}", "onnx", model.SerializeToString().hex(), x, z)

    def reference(model, x):
        return ReferenceEvaluator(model).run(None, {"x": x})

    def runtime(model, x):
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})

    for operator in ["Max", "Min", "Sum", "Prod", "Mean", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]:
        for shape, axes in [([2, 0, 4], [1]), ([0, 3], [0]), ([3, 0], [0, 1])]:
            kinds = ["float32", "int32"] if operator in ("Sum", "Prod") else ["float32"]
            for kind in list(TYPES) if operator in ("Max", "Min") else kinds:
                yield one_node(f"Reduce{operator}", np.zeros(shape, kind), {"axes": axes}, reference, keepdims=len(axes) % 2)
    for axis in [0, 1]:
        x = INFINITE if axis else np.ascontiguousarray(INFINITE.T)
        for operator in ["ReduceLogSumExp"]:
            yield one_node(operator, x, {"axes": [axis]}, reference_of_log_sum, "logarithm of a sum of exponentials", keepdims=0)
        for operator in ["Softmax", "LogSoftmax"]:
            yield one_node(operator, x, {}, runtime, axis=axis)
        for name in ["logsumexp", "softmax", "log_softmax"]:
            expression = f"torch.{name}(x, dim={axis - 2})"
            yield whole(expression, "torch", expression, x, eval(expression, globals(), {"x": torch.from_numpy(x)}).numpy())
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    for pads in [(-1, 0), (-1, -1), (-1, 2), (2, -1), (-1, 3), (3, -1), (-2, 2), (-3, 1), (4, 4)]:
        for mode, name in [("wrap", "circular"), ("edge", "replicate"), ("reflect", "reflect")]:
            left = x.shape[1] + sum(min(amount, 0) for amount in pads)
            if mode == "reflect" and max(pads) >= left:
                continue
            yield one_node("Pad", x, {"pads": [0, pads[0], 0, pads[1]]}, runtime, f"Pad {mode} by {pads}", mode=mode)
            expression = f"F.pad(x, {pads}, mode='{name}')"
            z = F.pad(torch.from_numpy(x)[None], pads, mode=name)[0].numpy()
            yield whole(expression, "torch", expression, x, z)
    for pads in [(5, 0), (0, 9), (-2, 4), (-3, 2)]:
        yield one_node("Pad", x, {"pads": [0, pads[0], 0, pads[1]]}, runtime, f"Pad wrap by {pads}", mode="wrap")
    # Along both axes, so that none is left to walk along.
    yield one_node("Pad", x, {"pads": [-1, 2, 1, -1]}, runtime, "Pad wrap along both axes", mode="wrap")
    x = np.array([[1, 0, 3], [4, 5, 6]], dtype=np.float32)
    for expression in ["torch.all(x > 0, dim=1)", "torch.any(x > 5, dim=1)"]:
        yield whole(expression, "torch", expression, x, eval(expression, globals(), {"x": torch.from_numpy(x)}).numpy())


def reference_of_log_sum(model, x):
    """ONNX's reference evaluator takes exponentials as they are, and overflows."""
    axis = helper.get_attribute_value(model.graph.node[0].attribute[0])
    axes = tuple(onnx.numpy_helper.to_array(model.graph.initializer[0]))
    return [np.logaddexp.reduce(x.astype(np.float64), axis=axes[0], keepdims=bool(axis)).astype(np.float32)]


def write_all(directory):
    """Writes the file; returns how many cases are in it."""
    torch.set_num_threads(1)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases, arrays = [*of_graph(), *of_onnx(), *of_torch()], [*of_arrays()]
    def written(x, kind):
        return x if isinstance(x, int) else (x if math.isfinite(x) else str(x)) if kind == "float64" else number(x)

    grids = {name: {key: value if key == "type" else [written(x, grid["type"]) for x in value]
                    for key, value in grid.items()} for name, grid in GRIDS.items()}
    def line(value):
        return json.dumps(value, separators=(",", ":"))

    text = ",\n".join(f'"{name}":{line(grid)}' for name, grid in grids.items())
    lists = [",\n".join(map(line, values)) for values in (cases, arrays)]
    (directory / "special_values.json").write_text(
        f'{{"grids":{{\n{text}\n}},"cases":[\n{lists[0]}\n],"arrays":[\n{lists[1]}\n]}}\n'
    )
    return len(cases) + len(arrays)
