"""Bits of integers, and arithmetic where floating point would not do."""

from .case import Batch, Const, case

INT = Batch(6, dtype="int32", draw="index")
WIDE = Batch(6, dtype="int64", draw="index")
OTHER = Const([5, -3, 0, 12, -1, 7], "int32")

CASES = [
    case("bitwise_and_int32", "BitwiseAnd", [INT, OTHER], opset=18),
    case("bitwise_or_int64", "BitwiseOr", [WIDE, Const([5, -3, 0, 12, -1, 7])], opset=18),
    case("bitwise_xor_uint8", "BitwiseXor", [Batch(6, dtype="uint8", draw="index"), Const([255, 3, 128, 0, 1, 77], "uint8")], opset=18),
    case("bitwise_not_int32", "BitwiseNot", [INT], opset=18),
    case("bitwise_not_int64", "BitwiseNot", [WIDE], opset=18),
    case("bit_shift_left_uint8", "BitShift", [Batch(6, dtype="uint8", draw="index"), Const([0, 1, 5, 6, 7, 4], "uint8")], direction="LEFT"),
    case("bit_shift_right_uint8", "BitShift", [Batch(6, dtype="uint8", draw="index"), Const([0, 1, 5, 6, 7, 2], "uint8")], direction="RIGHT"),
    case("mod_int64", "Mod", [WIDE, Const([3, -3, 4, -4, 7, 1])]),
    case("mod_fmod_int64", "Mod", [WIDE, Const([3, -3, 4, -4, 7, 1])], fmod=1),
    case("div_int64", "Div", [WIDE, Const([3, 2, 4, 1, 7, 5])]),
    case("pow_int32_large", "Pow", [INT, Const([7, 8, 9, 1, 0, 5], "int32")]),
    case("pow_int32_by_float", "Pow", [INT, Const([0.5, 2.0, 1.5, 7.0, 0.0, 1.0], "float32")]),
    case("reduce_sum_int64_of_comparisons", "ReduceSum", [Const([[3, 4], [5, 6]]), Const([1])], keepdims=0),
]
