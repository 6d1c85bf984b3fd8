"""Elementwise operators: activations, functions of one value, two-operand arithmetic under broadcasting, comparison,
selection, conversion."""

from .case import Batch, Const, Fixed, Weight, case

X = Batch(3, 4, 5, draw="wide")
STEPS = Batch(3, 7, draw="steps")
POSITIVE = Batch(3, 7, draw="positive")
UNIT = Batch(3, 7, draw="unit")
BOOL = Batch(3, 4, dtype="bool", draw="bit")


def number(value):
    return Const(value, "float32")


ACTIVATIONS = [
    case("relu", "Relu", [X]),
    case("leaky_relu", "LeakyRelu", [X]),
    case("leaky_relu_alpha", "LeakyRelu", [X], alpha=0.3),
    case("prelu_per_channel", "PRelu", [X, Weight(3, 1, 1)]),
    case("prelu_one_slope", "PRelu", [X, Weight(1)]),
    case("elu", "Elu", [X], alpha=1.7),
    case("selu", "Selu", [X]),
    case("selu_given", "Selu", [X], alpha=1.2, gamma=0.9),
    case("celu", "Celu", [X], alpha=1.5),
    case("sigmoid", "Sigmoid", [X]),
    case("hard_sigmoid", "HardSigmoid", [X]),
    case("hard_sigmoid_torch", "HardSigmoid", [X], alpha=1 / 6, beta=0.5),
    case("hard_swish", "HardSwish", [X]),
    case("gelu_exact", "Gelu", [X], opset=20),
    case("gelu_tanh", "Gelu", [X], opset=20, approximate="tanh"),
    case("softplus", "Softplus", [X]),
    case("softsign", "Softsign", [X]),
    case("mish", "Mish", [X], opset=18),
    case("thresholded_relu", "ThresholdedRelu", [X], alpha=0.7),
    case("clip_inputs", "Clip", [X, number(-1.0), number(1.5)]),
    case("clip_only_min", "Clip", [X, number(0.5)]),
    case("clip_only_max", "Clip", [X, None, number(0.5)]),
    case("clip_relu6", "Clip", [X, number(0.0), number(6.0)]),
    case("clip_opset_7", "Clip", [X], opset=7, min=0.0, max=6.0),
    case("tanh", "Tanh", [X]),
    case("tanh_near_zero", "Tanh", [Batch(3, 7, draw="tiny")]),
    case("tanh_saturated", "Tanh", [Batch(3, 7, draw="large")]),
    case("erf", "Erf", [X]),
]

ONE_OPERAND = [
    case("abs", "Abs", [X]),
    case("neg", "Neg", [X]),
    case("exp", "Exp", [X]),
    case("log", "Log", [POSITIVE]),
    case("log_near_one", "Log", [Batch(3, 7, draw="near_one")]),
    case("sqrt", "Sqrt", [POSITIVE]),
    case("reciprocal", "Reciprocal", [POSITIVE]),
    case("floor", "Floor", [STEPS]),
    case("ceil", "Ceil", [STEPS]),
    case("round_half_to_even", "Round", [STEPS]),
    case("sign", "Sign", [STEPS]),
    case("sin", "Sin", [X]),
    case("cos", "Cos", [X]),
    case("tan", "Tan", [UNIT]),
    case("asin", "Asin", [UNIT]),
    case("acos", "Acos", [UNIT]),
    case("atan", "Atan", [X]),
    case("sinh", "Sinh", [UNIT]),
    case("cosh", "Cosh", [UNIT]),
    case("asinh", "Asinh", [X]),
    case("atanh", "Atanh", [UNIT]),
]

TWO_OPERANDS = [
    case("add_same_shape", "Add", [Batch(3, 5), Batch(3, 5)]),
    case("add_channel_bias", "Add", [Batch(5, 3, 4), Weight(5, 1, 1)]),
    case("add_scalar", "Add", [Batch(5, 3), number(0.25)]),
    case("add_last_axis", "Add", [Batch(5, 3, 7), Weight(7)]),
    case("add_batch_broadcasts", "Add", [Batch(3, 4), Fixed(1, 3, 4)]),
    case("add_both_broadcast", "Add", [Batch(1, 5), Fixed(4, 1)]),
    case("add_rank_differs", "Add", [Weight(4, 5), Batch(3, 4, 5)]),
    case("add_row_and_column", "Add", [Fixed(3, 1), Fixed(1, 5)]),
    case("sub_from_constant", "Sub", [number(1.0), Batch(3, 5)]),
    case("sub_channel", "Sub", [Batch(3, 4, 4), Weight(3, 1, 1)]),
    case("mul_channel_gate", "Mul", [Batch(7, 4, 3), Batch(7, 1, 1)]),
    case("mul_pixel_gate", "Mul", [Batch(5, 4, 3), Batch(1, 4, 3)]),
    case("div", "Div", [Batch(3, 5), Batch(3, 5, draw="positive")]),
    case("div_by_constant", "Div", [Batch(3, 5), number(3.0)]),
    case("pow_square", "Pow", [Batch(3, 5), number(2.0)]),
    case("pow_cube", "Pow", [Batch(3, 5), number(3.0)]),
    case("pow_fraction", "Pow", [POSITIVE, number(0.5)]),
    case("pow_tensor", "Pow", [POSITIVE, Batch(3, 7)]),
    case("max_two", "Max", [Batch(3, 5), Batch(3, 5)]),
    case("max_three_broadcast", "Max", [Batch(3, 5), Weight(5), number(0.0)]),
    case("min_two", "Min", [Batch(3, 5), Weight(3, 1)]),
    case("sum_three", "Sum", [Batch(3, 5), Batch(3, 5), Weight(5)]),
    case("mean_two", "Mean", [Batch(3, 5), Batch(3, 5)]),
    case("mod_float", "Mod", [Batch(3, 7, draw="wide"), Batch(3, 7, draw="positive")], fmod=1),
    case("mul_int64", "Mul", [Batch(5, dtype="int64", draw="index"), Const([-1, 2, 3, 0, 7])]),
    case("add_int32", "Add", [Batch(5, dtype="int32", draw="index"), Const([-1, 2, 3, 0, 7], "int32")]),
]

LOGIC = [
    case("equal", "Equal", [STEPS, Batch(3, 7, draw="steps")]),
    case("greater", "Greater", [STEPS, Batch(3, 7, draw="steps")]),
    case("greater_or_equal", "GreaterOrEqual", [STEPS, Weight(7, draw="steps")]),
    case("less", "Less", [STEPS, number(0.0)]),
    case("less_or_equal", "LessOrEqual", [STEPS, number(0.5)]),
    case("not", "Not", [BOOL]),
    case("and_broadcast", "And", [BOOL, Batch(1, 4, dtype="bool", draw="bit")]),
    case("or", "Or", [BOOL, Batch(3, 4, dtype="bool", draw="bit")]),
    case("xor", "Xor", [BOOL, Batch(3, 4, dtype="bool", draw="bit")]),
    case("where", "Where", [BOOL, Batch(3, 4), Batch(3, 4)]),
    case("where_broadcast", "Where", [Batch(1, 4, dtype="bool", draw="bit"), Batch(3, 4), number(-1.0)]),
]

# The numbers are those of TensorProto.DataType: 1 float, 3 int8, 6 int32, 7 int64, 9 bool, 10 float16.
CONVERSION = [
    case("cast_float_to_int32", "Cast", [Batch(3, 5, draw="wide")], to=6),
    case("cast_float_to_int64", "Cast", [Batch(3, 5, draw="wide")], to=7),
    case("cast_float_to_bool", "Cast", [STEPS], to=9),
    case("cast_int64_to_float", "Cast", [Batch(5, dtype="int64", draw="index")], to=1),
    case("cast_int32_to_float", "Cast", [Batch(5, dtype="int32", draw="index")], to=1),
    case("cast_uint8_to_float", "Cast", [Batch(5, dtype="uint8", draw="index")], to=1),
    case("cast_bool_to_float", "Cast", [BOOL], to=1),
    case("cast_float_to_half", "Cast", [Batch(3, 5)], to=10),
    case("cast_half_to_float", "Cast", [Batch(3, 5, dtype="float16")], to=1),
    case("cast_double_to_float", "Cast", [Batch(3, 5, dtype="float64")], to=1),
]

CASES = ACTIVATIONS + ONE_OPERAND + TWO_OPERANDS + LOGIC + CONVERSION
