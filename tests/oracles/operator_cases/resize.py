"""Resize, nearest and linear, in the coordinate modes that exporters write, and Upsample before it.

Scales are powers of two or sizes are given where rounding would otherwise decide between neighbours in nearest mode.
"""

from .case import Batch, Const, Fixed, case


def by_scales(*scales):
    """The optional region of interest is left out, the scales are given."""
    return [None, Const([1.0, 1.0, *scales], "float32")]


def by_sizes(channels, *sizes):
    return [None, None, Const([1, channels, *sizes])]


CASES = [
    case("resize_nearest_asymmetric_floor", "Resize", [Batch(3, 4, 5), *by_scales(2.0, 2.0)], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    case("resize_nearest_default", "Resize", [Batch(3, 4, 5), *by_scales(2.0, 4.0)], mode="nearest"),
    case("resize_nearest_round_prefer_ceil", "Resize", [Batch(3, 4, 6), *by_scales(0.5, 0.5)], mode="nearest", nearest_mode="round_prefer_ceil"),
    case("resize_nearest_ceil", "Resize", [Batch(3, 4, 5), *by_scales(2.0, 2.0)], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="ceil"),
    case("resize_nearest_align_corners", "Resize", [Batch(3, 4, 5), *by_scales(2.0, 2.0)], mode="nearest", coordinate_transformation_mode="align_corners", nearest_mode="floor"),
    case("resize_nearest_down", "Resize", [Batch(5, 8, 6), *by_scales(0.5, 0.5)], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    case("resize_nearest_1d", "Resize", [Batch(3, 7), *by_scales(2.0)], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    case("resize_nearest_integers", "Resize", [Batch(2, 4, 3, dtype="int32", draw="index"), *by_scales(2.0, 1.5)], mode="nearest"),
    case("resize_linear_half_pixel", "Resize", [Batch(3, 4, 5), *by_scales(2.0, 2.0)], mode="linear"),
    case("resize_linear_half_pixel_fraction", "Resize", [Batch(3, 4, 5), *by_scales(1.5, 2.5)], mode="linear"),
    case("resize_linear_align_corners", "Resize", [Batch(5, 4, 5), *by_scales(2.0, 3.0)], mode="linear", coordinate_transformation_mode="align_corners"),
    case("resize_linear_asymmetric", "Resize", [Batch(3, 4, 5), *by_scales(2.0, 2.0)], mode="linear", coordinate_transformation_mode="asymmetric"),
    case("resize_linear_pytorch_half_pixel", "Resize", [Batch(3, 5, 4), *by_scales(2.0, 0.25)], mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    case("resize_linear_down", "Resize", [Batch(7, 8, 9), *by_scales(0.5, 0.75)], mode="linear"),
    case("resize_linear_1d", "Resize", [Batch(3, 6), *by_scales(2.0)], mode="linear"),
    case("upsample_nearest_opset_9", "Upsample", [Batch(3, 3, 4), Const([1.0, 1.0, 2.0, 3.0], "float32")], opset=9, mode="nearest"),
    case("upsample_linear_opset_9", "Upsample", [Batch(3, 3, 4), Const([1.0, 1.0, 2.0, 2.0], "float32")], opset=9, mode="linear"),
    case("upsample_nearest_opset_7", "Upsample", [Batch(3, 3, 4)], opset=7, mode="nearest", scales=[1.0, 1.0, 2.0, 2.0]),
    case("resize_opset_10", "Resize", [Batch(3, 3, 4), Const([1.0, 1.0, 2.0, 2.0], "float32")], opset=10, mode="nearest"),
    # Sizes name the batch as well, so these are made for one batch size.
    case("resize_nearest_sizes", "Resize", [Fixed(1, 3, 4, 5), *by_sizes(3, 8, 15)], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    case("resize_linear_sizes", "Resize", [Fixed(1, 3, 4, 5), *by_sizes(3, 7, 3)], mode="linear"),
    case("resize_linear_sizes_axes", "Resize", [Batch(3, 4, 5), None, None, Const([7, 9])], opset=18, mode="linear", axes=[2, 3]),
    # The corners are those of the whole size, which the scale does not give.
    case("resize_linear_align_corners_fraction", "Resize", [Batch(2, 5, 4), *by_scales(1.7, 1.7)], mode="linear", coordinate_transformation_mode="align_corners"),
    case("resize_cubic_align_corners_fraction", "Resize", [Batch(2, 5, 4), *by_scales(1.7, 0.8)], mode="cubic", coordinate_transformation_mode="align_corners"),
    # Places that are halves, but not as 32-bit numbers.
    case("resize_nearest_halves", "Resize", [Batch(2, 28, 14), None, None, Const([2, 1])], opset=18, mode="nearest", nearest_mode="round_prefer_ceil", axes=[2, 3]),
    case("resize_nearest_symmetric", "Resize", [Batch(2, 6, 5), *by_scales(1.7, 0.7)], opset=19, mode="nearest", coordinate_transformation_mode="half_pixel_symmetric"),
    case("resize_nearest_crop", "Resize", [Batch(2, 6, 7), Const([0.2, 0.1, 0.9, 0.8], "float32"), None, Const([4, 5])], opset=18, mode="nearest", coordinate_transformation_mode="tf_crop_and_resize", axes=[2, 3]),
    case("resize_nearest_crop_one", "Resize", [Batch(2, 6, 7), Const([0.2, 0.1, 0.9, 0.8], "float32"), None, Const([1, 5])], opset=18, mode="nearest", coordinate_transformation_mode="tf_crop_and_resize", axes=[2, 3]),
    # What keeps its shape is copied.
    case("resize_linear_same_shape", "Resize", [Batch(2, 4, 4), *by_scales(1.2, 1.1)], mode="linear"),
    case("resize_linear_not_larger", "Resize", [Batch(2, 5, 7), None, None, Const([8, 9])], opset=18, mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger"),
    case("resize_nearest_not_smaller", "Resize", [Batch(2, 5, 7), None, None, Const([8, 9])], opset=18, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric", axes=[2, 3], keep_aspect_ratio_policy="not_smaller"),
]
