"""Windowed and global pooling. The corners are where engines differ: a last window that hangs over the edge
(`ceil_mode`), what the divisor of an average counts, padding that is not the same on both sides."""

from .case import Batch, case

CASES = [
    # maximum
    case("max_pool_1d", "MaxPool", [Batch(3, 9)], kernel_shape=[2], strides=[2]),
    case("max_pool_1d_dilated", "MaxPool", [Batch(5, 13)], kernel_shape=[3], dilations=[3], strides=[2], pads=[1, 2]),
    case("max_pool_2d", "MaxPool", [Batch(3, 6, 8)], kernel_shape=[2, 2], strides=[2, 2]),
    case("max_pool_2d_default_stride", "MaxPool", [Batch(1, 5, 5)], kernel_shape=[3, 3]),
    case("max_pool_2d_overlapping", "MaxPool", [Batch(5, 9, 9)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("max_pool_2d_ceil", "MaxPool", [Batch(3, 7, 8)], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("max_pool_2d_ceil_padded", "MaxPool", [Batch(7, 6, 7)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
    case("max_pool_2d_asymmetric", "MaxPool", [Batch(3, 6, 7)], kernel_shape=[3, 2], strides=[2, 3], pads=[2, 0, 0, 1]),
    case("max_pool_2d_dilated", "MaxPool", [Batch(3, 9, 8)], kernel_shape=[2, 3], dilations=[3, 2], pads=[1, 1, 0, 1]),
    case("max_pool_2d_same_upper", "MaxPool", [Batch(3, 7, 6)], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    case("max_pool_2d_same_lower", "MaxPool", [Batch(3, 7, 6)], kernel_shape=[2, 4], strides=[2, 2], auto_pad="SAME_LOWER"),
    case("max_pool_2d_valid", "MaxPool", [Batch(3, 7, 6)], kernel_shape=[3, 3], strides=[2, 2], auto_pad="VALID"),
    case("max_pool_2d_all_negative", "MaxPool", [Batch(3, 4, 4, draw="negative")], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("max_pool_2d_opset_7", "MaxPool", [Batch(3, 6, 6)], opset=7, kernel_shape=[2, 2], strides=[2, 2]),
    case("max_pool_3d", "MaxPool", [Batch(3, 4, 6, 5)], kernel_shape=[2, 3, 2], strides=[2, 1, 2], pads=[0, 1, 1, 0, 1, 0]),
    # average
    case("average_pool_1d", "AveragePool", [Batch(3, 10)], kernel_shape=[3], strides=[2]),
    case("average_pool_2d", "AveragePool", [Batch(3, 6, 7)], kernel_shape=[2, 2], strides=[2, 2]),
    case("average_pool_2d_padding_not_counted", "AveragePool", [Batch(5, 6, 7)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("average_pool_2d_padding_counted", "AveragePool", [Batch(5, 6, 7)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
    case("average_pool_2d_asymmetric", "AveragePool", [Batch(3, 5, 6)], kernel_shape=[3, 2], strides=[1, 2], pads=[2, 0, 1, 1]),
    case("average_pool_2d_asymmetric_counted", "AveragePool", [Batch(3, 5, 6)], kernel_shape=[3, 2], strides=[1, 2], pads=[2, 0, 1, 1], count_include_pad=1),
    case("average_pool_2d_ceil", "AveragePool", [Batch(3, 7, 8)], opset=19, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("average_pool_2d_ceil_padded_counted", "AveragePool", [Batch(3, 6, 7)], opset=19, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1),
    case("average_pool_2d_dilated", "AveragePool", [Batch(3, 8, 9)], opset=19, kernel_shape=[2, 3], dilations=[3, 2]),
    case("average_pool_2d_same_upper", "AveragePool", [Batch(3, 7, 6)], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    case("average_pool_2d_same_lower", "AveragePool", [Batch(3, 6, 7)], kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    case("average_pool_3d", "AveragePool", [Batch(1, 4, 5, 6)], kernel_shape=[2, 3, 2], strides=[1, 2, 2], pads=[1, 1, 0, 0, 1, 1]),
    # global
    case("global_average_pool_1d", "GlobalAveragePool", [Batch(5, 7)]),
    case("global_average_pool_2d", "GlobalAveragePool", [Batch(7, 5, 6)]),
    case("global_average_pool_3d", "GlobalAveragePool", [Batch(3, 2, 3, 4)]),
    case("global_max_pool_2d", "GlobalMaxPool", [Batch(5, 4, 6)]),
    case("global_max_pool_2d_all_negative", "GlobalMaxPool", [Batch(3, 5, 5, draw="negative")]),
    case("global_average_pool_2d_large", "GlobalAveragePool", [Batch(2, 30, 31)]),
]
