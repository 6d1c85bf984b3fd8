"""Functions of single elements, arithmetic, comparisons, masks."""

from .case import Case, function

T = "3,4"


def elementwise(argument, *names):
    """`torch.f(x) + 2 * x.f()` for each name; `argument` moves `x` to where the function is defined."""
    code = "z = {}; return torch.{}(z) + 2 * z.{}()"
    return [function(f"elementwise_{name}", code.format(argument, name, name), T) for name in names]


def pairs(*names):
    """Functions of two tensors, and of a tensor and a number."""
    code = "torch.{0}(x, y) + 2 * x.{0}(y) + 4 * torch.{0}(x, 0.3)"
    return [function(f"pair_{name}", code.format(name), T, T) for name in names]


def tests(*names):
    """Comparisons, of which the output is true or false."""
    code = "torch.{0}(x, y) ^ x.{0}(0.25) ^ (torch.round(x * 4) / 4).{0}(0.25)"
    return [function(f"compare_{name}", code.format(name), T, T) for name in names]


CASES = [
    *elementwise("x * 3", "abs", "absolute", "neg", "negative", "sign", "exp", "sin", "cos", "tan", "atan", "arctan"),
    *elementwise("x * 3", "sinh", "cosh", "asinh", "erf", "floor", "ceil", "round", "square", "expm1"),
    *elementwise("x", "asin", "arcsin", "acos", "arccos", "atanh"),
    *elementwise("x + 1.5", "log", "sqrt", "reciprocal", "rsqrt", "log2", "log10", "log1p"),
    *elementwise("x + 2.5", "acosh"),
    function("round_half", "torch.round(torch.floor(x * 4) / 2)", T),
    function("floor_whole", "x.floor() + torch.round(x) * 2 + torch.ceil(x)", "i64:3"),
    function("log_whole", "torch.log2(x + 1) + torch.log1p(x) + torch.expm1(x) + torch.rsqrt(x + 1) + torch.log10(x + 1)", "i64:3"),
    function("abs_whole", "torch.abs(x - 3) + (x - 2).sign() * 10 - (x - 1).square() + (-x).neg()", "i64:3"),
    function("sqrt_whole", "x.sqrt() + x.float().exp()", "i64:3"),
    function("exp_bool", "(x > 0).exp() + torch.sigmoid(x > 0.5)", T),
    function("sigmoid_whole", "torch.sigmoid(x - 2) + torch.tanh(x)", "i64:3"),
    function("relu_whole", "F.relu(x - 2)", "i64:3"),
    function("isnan", "z = torch.sqrt(x); return torch.isnan(z) ^ z.isnan()", T),
    function("isinf", "z = 1 / torch.relu(x); return torch.isinf(z) & z.isinf()", T),
    function("clamp", "torch.clamp(x, -0.5, 0.5) + x.clamp(min=0) * 2 + torch.clip(x, max=0.1) + x.clip(-0.1, 0.2)", T),
    function("clamp_tensors", "torch.clamp(x, min=y, max=y + 0.5) + x.clamp(y)", T, T),
    function("clamp_min", "x.clamp_min(0.1) + torch.clamp_min(x, 0.2) + x.clamp_max(0.3) * 3 + torch.clamp_max(x, 0)", T),
    function("clamp_whole", "x.clamp(1, 3)", "i64:3"),
    *pairs("add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "remainder", "fmod"),
    *tests("eq", "ne", "lt", "le", "gt", "ge"),
    function("add_alpha", "torch.add(x, y, alpha=2) + x.add(y, alpha=-0.5) + x.sub(y, alpha=3)", T, T),
    function("div_floor", "torch.div(x, y, rounding_mode='floor') + x.div(0.3, rounding_mode='floor') + (x * 5) // 2", T, T),
    function("div_trunc", "torch.div(x * 5, 2, rounding_mode='trunc')", T),
    function("div_whole", "x / 2 + (x / (x + 1))", "i64:3"),
    function("floor_div_whole", "(x - 3) // 2 + torch.div(x - 3, 2, rounding_mode='floor') + (x - 3) // (x + 1)", "i64:4"),
    function("pow", "x ** 2 + torch.pow(x, 3) + (x + 2).pow(0.5) + (x + 2) ** -1 + (x + 2) ** 1.5", T),
    function("pow_tensor", "(x + 2) ** y + torch.pow(x + 2, y)", T, T),
    function("pow_base", "2 ** x + torch.pow(0.5, x)", T),
    function("pow_whole", "(x - 2) ** 2 + x ** 3 + torch.pow(x, 0)", "i64:3"),
    function("pow_whole_float", "(x + 1) ** 0.5 + 2.0 ** x + (x + 1) ** 2.0", "i64:3"),
    function("remainder_signs", "(x * 5) % 2 + (x * 5) % -3 + torch.remainder(x * 5, -2) + torch.fmod(x * 5, -2) + 3 % (x + 2)", T),
    function("remainder_whole", "(x - 3) % 2 + torch.remainder(x - 3, -2) * 10 + torch.fmod(x - 3, 2) * 100", "i64:4"),
    function("maximum", "torch.maximum(x, y) + x.maximum(y) - torch.minimum(x, y) * 3 + x.minimum(y)", T, T),
    function("lerp", "torch.lerp(x, y, 0.3) + x.lerp(y, 0.9) + torch.lerp(x, y, x)", T, T),
    function("numbers", "1 - x * 2 + 3 / (x + 2) - (-x) + 0.5 * x", T),
    function("number_bool", "x * True + x + False", T),
    function("broadcast", "x + y", "3,1", "1,4"),
    function("broadcast_rank", "x[0] + y + y[:, 0, 1:2, None]", "4", "2,3,4"),
    Case("broadcast_parameter", ("2,3,4",), "self.b = nn.Parameter(torch.zeros(3, 1))", "x * self.b - self.b"),
    function("mixed_whole", "x * y + x - y", "i64:3", "3"),
    function("whole_float", "x * 0.5 + 1.5", "i64:3"),
    function("whole_whole", "x * 2 - 3 + x", "i64:3"),
    function("whole_small", "x.int() + x", "i64:3"),
    function("whole_negative", "-x + +x - abs(x - 2)", "i64:3"),
    function("compare", "(x > y) & (x < 0.5) | ~(y >= 0) ^ (x <= 0)", T, T),
    function("compare_whole", "(x == 2) | (x != x) | (x > 3.5)", "i64:3"),
    function("compare_reversed", "(0.5 > x) & (0 <= x)", T),
    function("compare_bool", "(x > 0) == (y > 0)", T, T),
    function("mask_product", "x * (x > 0) + (x < 0) * 2 - (x > 0.5)  * y", T, T),
    function("mask_sum", "(x > 0) + (y > 0)", T, T),
    function("mask_times", "(x > 0) * (y > 0)", T, T),
    function("mask_number", "(x > 0) + 1 + (x > 0) * 2.0", T),
    function("where", "torch.where(x > 0, x, y) + torch.where(x > 0, 1.0, y) + torch.where(y > x, x, 0)", T, T),
    function("where_numbers", "torch.where(x > 0, 1.0, -1.0)", T),
    function("where_method", "x.where(x > 0, y)", T, T),
    function("where_broadcast", "torch.where(x > 0, x, y)", "3,4", "1,1"),
    function("where_mixed", "torch.where(y > 0, x, y)", "i64:3", "3"),
    function("masked_fill", "x.masked_fill(x < 0, -9.0) + x.masked_fill(y > 0, float('-inf')).exp()", T, T),
    function("logical", "torch.logical_and(x > 0, y) ^ torch.logical_or(x > 0, y > 0) ^ torch.logical_xor(x, y > 0) ^ torch.logical_not(x > 0)", T, T),
    function("logical_method", "(x > 0).logical_and(y > 0) | (x > 0).logical_or(y > 0).logical_not() | (x > 0).logical_xor(y < 0)", T, T),
    function("logical_whole", "torch.logical_and(x, x - 1) ^ (x - 2).logical_not()", "i64:3"),
    function("bits_whole", "(x & 3) | 8", "i64:3"),
    function("bits_not_whole", "~x", "i64:3"),
    function("cast", "(x * 3).long() + (x * 3).int() + (x > 0).long()", T),
    function("cast_float", "x.float() / 2 + x.double() + x.to(torch.float32)", "i64:3"),
    function("cast_bool", "x.bool()", "i64:3"),
    function("cast_to", "(x * 3).to(torch.int64) + (x > 0).to(dtype=torch.long)", T),
    function("cast_half", "torch.floor(x * 4).half().float()", T),
    function("cast_type", "x.type(torch.float32) + (x > 0).type_as(x) + x.to(y) + x.to(x.device)", T, T),
    function("clone", "x.clone() + torch.clone(x) + x.contiguous() + x.detach() + torch.detach(x) + x.cpu() + x.to('cpu') + x.data", T),
]
