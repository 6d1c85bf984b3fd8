"""Operators in which an element depends on where it stands, and those whose length the data decides."""

from .case import Batch, Const, Fixed, Weight, case

INDEX = Batch(4, dtype="int64", draw="index")
CHANNELS = Const([True, False, True, True, False], "bool")

CASES = [
    case("trilu_upper", "Trilu", [Batch(4, 5)]),
    case("trilu_lower_below", "Trilu", [Batch(5, 4), Const(-1)], upper=0),
    case("trilu_k_is_data", "Trilu", [Batch(3, 7), Fixed(dtype="int64", draw="bit")]),
    case("trilu_matrix", "Trilu", [Fixed(4, 3), Const(1)], upper=0),
    case("eye_like_above", "EyeLike", [Fixed(4, 3)], k=1, dtype=1),
    case("eye_like_int64", "EyeLike", [Fixed(3, 5)], k=-1, dtype=7),
    case("one_hot_classes", "OneHot", [INDEX, Const(11), Const([0.0, 1.0], "float32")]),
    case("one_hot_axis", "OneHot", [Batch(3, 2, dtype="int32", draw="index"), Const(7, "int32"), Const([-1.0, 2.5], "float32")], axis=1),
    case("one_hot_values_are_data", "OneHot", [INDEX, Const(5.0, "float32"), Fixed(2)], axis=0),
    case("reverse_sequence_batch_first", "ReverseSequence", [Fixed(3, 6, 2), Const([6, 1, 4])], batch_axis=0, time_axis=1),
    case("reverse_sequence_time_first", "ReverseSequence", [Fixed(5, 4), Fixed(4, dtype="int64", draw="bit")]),
    case("gather_nd_rows", "GatherND", [Batch(3, 4), Const([[0, 1], [0, -1]])]),
    case("gather_nd_elements", "GatherND", [Fixed(3, 4, 2), Const([[[0, 1, 1]], [[2, -1, 0]]])]),
    case("gather_nd_batch", "GatherND", [Fixed(2, 3, 4), Const([[[1], [2]], [[0], [-1]]])], batch_dims=1),
    case("gather_nd_batches", "GatherND", [Fixed(2, 3, 4, 2), Const([[[1], [2], [0]], [[0], [-1], [3]]])], batch_dims=2),
    case("compress_channels", "Compress", [Batch(5, 3), CHANNELS], axis=1),
    case("compress_shorter_condition", "Compress", [Fixed(4, 3), Const([False, True], "bool")], axis=-2),
    case("compress_flattens", "Compress", [Fixed(2, 3), CHANNELS]),
    case("unique_sorted", "Unique", [Weight(9, draw="steps")], outputs=4),
    case("unique_as_they_come", "Unique", [Const([5, 2, 5, 7, 2, 2])], outputs=4, sorted=0),
    case("unique_columns", "Unique", [Const([[1, 0, 1, 0], [2, 3, 2, 1]], "float32")], outputs=4, axis=1),
    case("cumsum_int32", "CumSum", [Batch(5, dtype="int32", draw="index"), Const(1)], reverse=1),
    case("cumsum_int64_of_ones", "CumSum", [Const([1, 1, 0, 1]), Const(0)], exclusive=1),
    case("cumsum_long", "CumSum", [Fixed(2, 2050), Const(1)], exclusive=1),
]
