"""Where functions have no derivative, or none that is finite: `case(code, x, y, z)` is an expression of PyTorch in `x`,
`y` and `z`, and the points at which it is differentiated with respect to each of them. `part` begins a part of the table in
`docs/subgradients.md`."""

from math import inf, nan

CASES = []
PARTS = []


def part(title):
    PARTS.append(title)


def case(code, *points):
    CASES.append((PARTS[-1], code, points))


def line(*points):
    """What works along lines gets several, one of them at a time."""
    return [list(point) for point in points]


AROUND_ZERO = [-inf, -2.0, -0.0, 0.0, 2.0, inf, nan]
LARGE = [-inf, -1000.0, -100.0, 0.0, 100.0, 1000.0, inf, nan]

part("Activations")
for code in ["torch.relu(x)", "F.leaky_relu(x, 0.1)", "F.elu(x, 2.0)", "F.selu(x)", "F.celu(x, 2.0)", "F.rrelu(x)"]:
    case(code, AROUND_ZERO)
    case(code, LARGE)
case("F.prelu(x, y)", AROUND_ZERO[:-1], [0.25])
case("F.prelu(x, y)", [nan, 1.0], [0.25])
case("F.relu6(x)", [-inf, -1.0, -0.0, 0.0, 3.0, 6.0, 7.0, inf])
case("F.hardtanh(x)", [-inf, -2.0, -1.0, 0.0, 1.0, 2.0, inf])
case("F.hardtanh(x, -0.5, 0.75)", [-0.5, 0.0, 0.75])
case("F.hardsigmoid(x)", [-inf, -4.0, -3.0, 0.0, 3.0, 4.0, inf, nan])
case("F.hardswish(x)", [-inf, -4.0, -3.0, 0.0, 3.0, 4.0, inf])
case("F.hardshrink(x, 0.5)", [-inf, -1.0, -0.5, 0.0, 0.5, 1.0, inf])
case("F.softshrink(x, 0.5)", [-inf, -1.0, -0.5, 0.0, 0.5, 1.0, inf])
case("F.threshold(x, 1.0, 5.0)", [-inf, 0.0, 1.0, 2.0, inf, nan])
case("F.softplus(x, 1.0, 2.0)", [-inf, 1.0, 2.0, 3.0, inf, nan])
case("F.softplus(x, 2.0, 2.0)", [0.5, 1.0, 1.5])
for function in ["softplus", "logsigmoid", "gelu", "silu", "mish", "softsign", "tanhshrink"]:
    case(f"F.{function}(x)", LARGE)
case("F.gelu(x, approximate='tanh')", LARGE)
for function in ["sigmoid", "tanh", "erf"]:
    case(f"torch.{function}(x)", LARGE)
case("F.glu(x, 0)", [1.0, -1.0, inf, -inf])

part("Limits")
for code in ["x.clamp(-1, 1)", "x.clamp(min=-1)", "x.clamp(max=1)", "torch.clamp_min(x, -1.0)", "torch.clamp_max(x, 1)"]:
    case(code, [-inf, -2.0, -1.0, 0.0, 1.0, 2.0, inf, nan])
case("x.clamp(1, -1)", [-2.0, -1.0, 0.0, 1.0, 2.0])
case("x.clamp(0, 0)", [-1.0, 0.0, 1.0])
case("torch.clamp(x, max=float('inf'))", [0.0, inf])
ALL = [(a, b, c) for a in (0.0, 1.0, 2.0) for b in (0.0, 1.0, 2.0) for c in (0.0, 1.0, 2.0)]
case("torch.clamp(x, y, z)", [t[0] for t in ALL], [t[1] for t in ALL], [t[2] for t in ALL])
PAIRS = [0.0, 1.0, -0.0, inf, -inf, nan, 0.0], [0.0, 0.0, 0.0, inf, -inf, 0.0, nan]
for code in ["torch.maximum(x, y)", "torch.minimum(x, y)", "torch.max(x, y)", "torch.clamp(x, min=y)", "torch.clamp_max(x, y)"]:
    case(code, *PAIRS)
case("torch.maximum(x, torch.zeros(3))", [-1.0, 0.0, 1.0])
case("torch.minimum(x, torch.tensor(0.0))", [-1.0, 0.0, 1.0])

part("Functions of one number")
for function in ["abs", "sign"]:
    case(f"torch.{function}(x)", AROUND_ZERO[:-1])
for function in ["floor", "ceil", "round", "square", "reciprocal", "sqrt", "rsqrt", "exp", "expm1"]:
    case(f"torch.{function}(x)", AROUND_ZERO)
for function in ["log", "log2", "log10", "log1p", "asinh", "sinh", "cosh", "atan"]:
    case(f"torch.{function}(x)", [*AROUND_ZERO, -1.0])
for function in ["asin", "acos", "atanh", "acosh"]:
    case(f"torch.{function}(x)", [-inf, -2.0, -1.0, 0.0, 1.0, 2.0, inf, nan])
case("torch.round(x)", [0.5, 1.5, 2.5])
for exponent in [0, 1, 2, 3, 0.5, 1.5, -1, -0.5, -2]:
    case(f"x ** {exponent}", [0.0, 1.0, -1.0, inf])
case("torch.pow(x, y)", [0.0, 0.0, 0.0, 0.0, 1.0, inf, 0.0, 2.0, inf], [0.0, 1.0, 0.5, -1.0, 0.0, 2.0, 3.0, inf, 0.0])
case("2.0 ** x", [-inf, 0.0, inf])
case("0.0 ** x", [-1.0, 0.0, 1.0, 2.0])

part("Functions of several numbers")
case("x / y", [0.0, 1.0, 0.0, inf, 1.0], [0.0, 0.0, 1.0, inf, inf])
case("x * y", [0.0, inf, 0.0], [inf, inf, 0.0])
for code in ["torch.remainder(x, y)", "torch.fmod(x, y)"]:
    case(code, [4.0, 0.0, 5.0, -5.0, 1.0], [2.0, 2.0, 3.0, 3.0, inf])
case("torch.div(x, y, rounding_mode='floor')", [1.0, 2.0], [2.0, 2.0])
case("torch.div(x, y, rounding_mode='trunc')", [1.0, 2.0], [2.0, 2.0])
case("x - x.floor()", [1.0, 0.5])
case("torch.where(x > 0, x.sqrt(), 0 * x)", [0.0, 4.0])
case("torch.where(x > 0, torch.exp(x), x)", [0.0, 1000.0, inf])
case("x.masked_fill(x <= 0, 0.0)", [0.0, 4.0, nan])
case("torch.lerp(x, y, z)", [0.0, 0.0], [0.0, 1.0], [0.0, 1.0])

part("Largest and smallest")
TIES = line([0.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [-inf, -inf, -inf], [inf, 0.0, inf], [-0.0, 0.0, -0.0])
for code in ["x.max(1)[0]", "x.min(1).values", "x.amax(1)", "x.amin(1)", "torch.max(x, dim=-1, keepdim=True)[0]", "x.max(0)[0]"]:
    case(code, TIES)
case("x.max(1)[0]", line([nan, 1.0, 0.0], [1.0, nan, nan], [nan, nan, nan]))
case("x.amax(1)", line([nan, 1.0, 0.0], [1.0, nan, nan]))
SQUARE = line([1.0, 2.0, 2.0], [2.0, 2.0, 1.0], [2.0, 2.0, 2.0])
for code in ["x.max()", "x.min()", "x.amax()", "x.amax((0, 1))", "torch.amin(x, dim=(1, 0))"]:
    case(code, SQUARE)
WINDOWS = [[SQUARE]]
for size in ["1", "2", "(1, 2)", "(2, 1)", "(3, 1)", "3"]:
    case(f"F.adaptive_max_pool2d(x, {size})", WINDOWS)
case("F.adaptive_max_pool1d(x, 2)", [[[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]])
case("F.adaptive_max_pool1d(x, 2)", [[[1.0, 1.0, 0.0, 0.0], [-inf, -inf, 2.0, 2.0]]])
case("F.adaptive_max_pool3d(x, 1)", [[[SQUARE, SQUARE]]])
case("F.adaptive_max_pool3d(x, 2)", [[[SQUARE, SQUARE, SQUARE]]])
for code in ["F.max_pool2d(x, 2, 1)", "F.max_pool2d(x, 3, 1, 1)", "F.max_pool2d(x, 3, 2, 1)", "F.max_pool2d(x, 2, 1, dilation=2)"]:
    case(code, WINDOWS)
case("F.max_pool2d(x, 2, 1, 1)", [[line([-inf, -inf], [-inf, -inf])]])
case("F.max_pool1d(x, 3, 1, 1)", [[[1.0, 1.0, 1.0, nan]]])
case("F.max_pool1d(x, 2, return_indices=True)[0]", [[[1.0, 1.0, 0.0, -0.0]]])

part("Sums, products, lengths")
case("x.prod(1)", line([2.0, 3.0, 4.0], [0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]))
case("x.prod()", [0.0, 2.0, 3.0])
case("x.cumsum(0)", [inf, 1.0, nan])
LENGTHS = line([0.0, 0.0], [-0.0, 0.0], [0.0, 3.0], [3.0, -4.0], [3.0, -3.0], [inf, 1.0])
for p in ["1", "2", "3", "4", "0.5", "1.5", "-1", "-2.5", "float('inf')", "float('-inf')"]:
    case(f"x.norm(p={p}, dim=1)", LENGTHS)
    case(f"torch.norm(x, {p})", [0.0, 0.0, 0.0])
case("x.norm()", line([0.0, 0.0], [0.0, 0.0]))
case("x.norm()", [0.0, 3.0])
case("x.norm('fro', dim=(0, 1), keepdim=True)", line([0.0, 0.0], [0.0, 0.0]))
case("x.norm(0, dim=1) + 0 * x.sum(1)", LENGTHS[:-1])
case("torch.sqrt((x * x).sum(1))", LENGTHS)
for p in ["1.0", "2.0", "3.0", "0.5", "float('inf')"]:
    case(f"F.normalize(x, p={p})", LENGTHS[:-1])
case("F.normalize(x)[:, 0]", line([0.0, 0.0], [1e-13, 0.0]))
case("F.normalize(x, dim=0, eps=1.0)", [0.0, 0.5, 1.0])
case("F.normalize(x, dim=0, eps=5.0)", [3.0, 4.0])
SPREADS = line([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 4.0])
for code in ["x.std(1)", "x.var(1)", "torch.std(x, 1, unbiased=False)", "x.std(dim=1, correction=0, keepdim=True)", "x.std()"]:
    case(code, SPREADS)
case("x.std(unbiased=False)", [1.0])
case("x.std()", [2.0, 2.0])
for p in [1, 2, 3, 1.5]:
    case(f"F.lp_pool1d(x, {p}, 2)", [[[0.0, 0.0, 2.0, 0.0, 1.0, 1.0]]])
case("F.lp_pool1d(x, 1, 2)", [[[3.0, -3.0, -1.0, 0.0]]])
case("F.lp_pool2d(x, 2, 2)", [[line([0.0, 0.0], [0.0, 0.0])]])
case("F.layer_norm(x, [3])[:, 0]", line([1.0, 1.0, 1.0]))
case("F.group_norm(x, 1)[:, 0]", line([1.0, 1.0, 1.0]))
case("F.instance_norm(x)[..., 0]", [line([1.0, 1.0, 1.0])])
case("F.rms_norm(x, [3], eps=1e-6)[:, 0]", line([0.0, 0.0, 0.0]))
case("F.local_response_norm(x, 2)", [line([0.0, 0.0], [1.0, 1.0])])
BOUNDLESS = line([-inf, -inf], [-inf, 0.0], [inf, 0.0], [inf, inf], [0.0, 0.0], [1000.0, -1000.0], [nan, 1.0])
for code in ["x.logsumexp(1)", "F.softmax(x, 1)[:, 0]", "F.log_softmax(x, 1)[:, 0]", "F.softmin(x, 1)[:, 0]"]:
    case(code, BOUNDLESS)

part("Sampling")
GRID = [[line([-1.0, -1.0], [1.0, 1.0], [0.0, 0.0], [-2.0, 2.0], [-1.5, 0.3], [1.5, -0.3])]]
IMAGE = [[line([1.0, 2.0, 4.0], [8.0, 16.0, 32.0], [64.0, 128.0, 256.0])]]
for padding in ["zeros", "border", "reflection"]:
    for corners in [True, False]:
        case(f"F.grid_sample(x, y, padding_mode='{padding}', align_corners={corners})", IMAGE, GRID)

part("Where Kiln differs")
case("F.hardtanh(x, -2.0, 2.0)", [nan])
case("F.relu6(x, inplace=False)", [nan])
case("F.hardswish(x, inplace=False)", [nan])
case("x.abs()", [nan])
case("torch.max(x)", [nan, 1.0])
case("x % y", [inf], [2.0])
case("torch.prod(x)", [inf, 0.0, 2.0])
