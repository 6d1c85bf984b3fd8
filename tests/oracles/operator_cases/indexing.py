"""Operators that write to or read from places that are data."""

from .case import Batch, Const, Fixed, case

PLACES = Const([[[1, -1, 0], [2, 3, 1]]])
PAIRS = Const([[0, 2], [2, -1], [0, 2]])

CASES = [
    case("scatter_elements", "ScatterElements", [Fixed(1, 5, 3), PLACES, Fixed(1, 2, 3)], axis=1),
    case("scatter_elements_shorter", "ScatterElements", [Fixed(4, 5), Const([[3, 0], [1, 1]]), Fixed(2, 2)], axis=1),
    case("scatter_elements_add", "ScatterElements", [Fixed(3, 4), Const([[0, 0, 2, 0], [0, 1, 2, 1]]), Fixed(2, 4)], axis=0, reduction="add"),
    case("scatter_elements_mul", "ScatterElements", [Fixed(3, 4), Const([[0, 0, 2, 0], [0, 1, 2, 1]]), Fixed(2, 4)], axis=0, reduction="mul"),
    case("scatter_elements_max", "ScatterElements", [Fixed(3, 4), Const([[0, 0, 2, 0], [0, 1, 2, 1]]), Fixed(2, 4)], opset=18, axis=0, reduction="max"),
    case("scatter_elements_min", "ScatterElements", [Fixed(3, 4), Const([[0, 0, 2, 0], [0, 1, 2, 1]]), Fixed(2, 4)], opset=18, axis=0, reduction="min"),
    case("scatter_elements_data_indices", "ScatterElements", [Batch(6), Batch(6, dtype="int64", draw="place"), Batch(6)], axis=1),
    case("scatter_old_name", "Scatter", [Fixed(4, 3), Const([[0, 3, 1]]), Fixed(1, 3)], opset=9),
    case("scatter_nd_rows", "ScatterND", [Fixed(4, 3), Const([[2], [-4]]), Fixed(2, 3)]),
    case("scatter_nd_elements", "ScatterND", [Fixed(3, 4), PAIRS, Fixed(3)], reduction="add"),
    case("scatter_nd_max", "ScatterND", [Fixed(3, 4, 2), PAIRS, Fixed(3, 2)], opset=18, reduction="max"),
    case("top_k_batch", "TopK", [Batch(3, 9), Const([4])], outputs=2),
    case("top_k_smallest", "TopK", [Batch(7, 3), Const([7])], outputs=2, axis=1, largest=0),
    case("top_k_opset_9", "TopK", [Batch(8)], opset=9, outputs=2, k=3),
    case("top_k_ties", "TopK", [Fixed(3, 17, dtype="int32", draw="index"), Const([9])], outputs=2),
]
