"""Operators of which the data decide how much comes out."""

from .case import Batch, Const, Fixed, case

BOXES = Batch(14, 4, draw="unit")
# With equal scores, of which the first box is taken.
SCORES = Batch(3, 14, draw="steps")
EVERYTHING = Const(2**63 - 1)


def threshold(value):
    return Const([value], "float32")


CASES = [
    case("nonzero_matrix", "NonZero", [Batch(4, draw="steps")]),
    case("nonzero_bool", "NonZero", [Batch(2, 3, dtype="bool", draw="bit")]),
    case("nonzero_vector", "NonZero", [Batch(dtype="int64", draw="index")]),
    case("nonzero_nothing", "NonZero", [Batch(3, draw="zero")]),
    case("compress_rows", "Compress", [Batch(3), Batch(dtype="bool", draw="bit")], axis=0),
    case("compress_columns", "Compress", [Batch(7), Fixed(7, dtype="bool", draw="bit")], axis=-1),
    case("compress_elements", "Compress", [Batch(2), Batch(dtype="bool", draw="bit")]),
    case("non_max_suppression", "NonMaxSuppression", [BOXES, SCORES, Const([4]), threshold(0.3), threshold(-0.5)]),
    case("non_max_suppression_of_all", "NonMaxSuppression", [BOXES, SCORES, EVERYTHING, threshold(0.1)]),
    case("non_max_suppression_center", "NonMaxSuppression",
         [Batch(14, 4, draw="positive"), SCORES, Const([5]), threshold(0.4)], center_point_box=1),
    case("non_max_suppression_without_threshold", "NonMaxSuppression", [BOXES, SCORES, EVERYTHING]),
    case("non_max_suppression_of_nothing", "NonMaxSuppression", [BOXES, SCORES, Const([4]), threshold(0.3), threshold(9.0)]),
    case("non_max_suppression_without_limit", "NonMaxSuppression", [BOXES, SCORES]),
]
