"""Images read at computed places, cut into windows, and resized in the ways that the core operator does not know.

ONNX's own tests have the modes; here are a symbolic batch, odd sizes, older operator sets and combinations.
"""

from .case import Batch, Const, Fixed, case


SCALES = [None, Const([1.0, 1.0, 1.7, 2.3], "float32")]
SMALLER = [None, Const([1.0, 1.0, 0.4, 0.6], "float32")]
ROIS = Const([[0.3, 0.7, 5.2, 4.1], [-2.0, -1.5, 3.0, 9.0], [2.0, 2.0, 2.2, 2.1]], "float32")

CASES = [
    # resize
    case("resize_cubic", "Resize", [Batch(3, 5, 4), *SCALES], mode="cubic"),
    case("resize_cubic_half", "Resize", [Batch(2, 6, 7), *SMALLER], mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1),
    case("resize_cubic_asymmetric_1d", "Resize", [Fixed(2, 7), None, Const([1.0, 2.5], "float32")], mode="cubic", coordinate_transformation_mode="asymmetric"),
    case("resize_cubic_align_corners_sizes", "Resize", [Batch(3, 5, 4), None, None, Const([7, 9])], opset=18, mode="cubic", coordinate_transformation_mode="align_corners", axes=[2, 3]),
    case("resize_linear_antialias", "Resize", [Batch(3, 9, 11), None, None, Const([4, 5])], opset=18, mode="linear", antialias=1, axes=[2, 3]),
    case("resize_cubic_antialias", "Resize", [Batch(3, 13, 12), None, None, Const([4, 5])], opset=18, mode="cubic", antialias=1, exclude_outside=1, cubic_coeff_a=-0.5, axes=[2, 3]),
    case("resize_crop", "Resize", [Batch(2, 6, 7), Const([0.2, -0.1, 0.9, 0.8], "float32"), None, Const([4, 5])], opset=18, mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=3.5, axes=[2, 3]),
    case("resize_linear_matrix", "Resize", [Fixed(5, 4), None, Const([1.5, 2.0], "float32")], mode="linear"),
    # places
    case("grid_sample_opset_16", "GridSample", [Batch(3, 5, 6), Batch(4, 3, 2)], opset=16, mode="bilinear"),
    case("grid_sample_border", "GridSample", [Batch(2, 5, 6), Batch(4, 3, 2)], opset=20, mode="linear", padding_mode="border", align_corners=1),
    case("grid_sample_reflection", "GridSample", [Batch(2, 5, 6), Batch(4, 3, 2)], opset=20, mode="linear", padding_mode="reflection"),
    case("grid_sample_nearest", "GridSample", [Batch(5, 4, 3), Batch(2, 5, 2)], opset=20, mode="nearest", padding_mode="reflection", align_corners=1),
    case("grid_sample_cubic", "GridSample", [Batch(2, 5, 6), Batch(4, 3, 2)], opset=20, mode="cubic", padding_mode="reflection"),
    case("grid_sample_cubic_border", "GridSample", [Batch(2, 5, 6), Batch(4, 3, 2)], opset=20, mode="cubic", padding_mode="border", align_corners=1),
    case("grid_sample_3d", "GridSample", [Batch(2, 3, 4, 5), Batch(2, 3, 2, 3)], opset=20, mode="linear", padding_mode="border"),
    case("grid_sample_3d_nearest", "GridSample", [Fixed(2, 3, 4, 4, 2), Fixed(2, 4, 4, 4, 3)], opset=20, mode="nearest", padding_mode="border"),
    case("affine_grid_one_row", "AffineGrid", [Fixed(2, 2, 3), Const([2, 3, 1, 5])], opset=20),
    case("roi_align", "RoiAlign", [Fixed(2, 3, 6, 7), ROIS, Const([0, 1, 0])], opset=16, output_height=3, output_width=2, sampling_ratio=2, spatial_scale=0.9),
    case("roi_align_opset_10", "RoiAlign", [Fixed(2, 3, 6, 7), ROIS, Const([0, 1, 0])], opset=10, output_height=2, output_width=2, sampling_ratio=3),
    case("roi_align_of_a_batch", "RoiAlign", [Batch(5, 6, 7), ROIS, Const([0, 0, 0])], opset=16, output_height=2, output_width=3, sampling_ratio=1, coordinate_transformation_mode="output_half_pixel"),
    # windows
    case("col2im_leaves_a_rest", "Col2Im", [Batch(8, 6), Const([5, 7]), Const([2, 2])], opset=18, strides=[2, 2]),
    case("col2im_1d", "Col2Im", [Batch(6, 5), Const([6]), Const([3])], opset=18, pads=[1, 0]),
    case("center_crop_pad_batch", "CenterCropPad", [Batch(3, 8), Const([6, 5])], opset=18, axes=[1, -1]),
    case("max_pool_indices", "MaxPool", [Batch(3, 7, 6)], outputs=2, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    case("max_pool_indices_ties", "MaxPool", [Batch(2, 6, 6, draw="steps")], outputs=2, kernel_shape=[2, 3], strides=[1, 2], dilations=[2, 1]),
    case("max_pool_indices_columns", "MaxPool", [Batch(2, 5, 6)], outputs=2, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, storage_order=1),
    case("max_pool_indices_1d", "MaxPool", [Batch(2, 9)], outputs=2, kernel_shape=[3]),
    case("max_pool_indices_3d", "MaxPool", [Batch(2, 3, 4, 5)], outputs=2, kernel_shape=[2, 2, 2], strides=[1, 2, 2]),
    case("max_pool_indices_bytes", "MaxPool", [Fixed(1, 2, 5, 6, dtype="uint8", draw="bit")], outputs=2, kernel_shape=[2, 2], strides=[1, 2], pads=[1, 1, 1, 1]),
    case("max_unpool", "MaxUnpool", [Fixed(1, 2, 2, 2), Const([[[[0, 4], [14, 18]], [[21, 29], [35, 34]]]])], opset=11, kernel_shape=[2, 2], strides=[2, 3]),
    case("lp_pool_cube", "LpPool", [Batch(3, 6, 7)], opset=18, kernel_shape=[3, 2], strides=[2, 1], p=3),
    case("lp_pool_ceil", "LpPool", [Batch(3, 6, 7)], opset=18, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 0], ceil_mode=1),
]
