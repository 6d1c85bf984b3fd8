"""Conv and ConvTranspose in one, two and three dimensions.

Channel counts are odd on purpose (1, 3, 5, 7): kernels that pad channels to four must not read or write the padding.
"""

from .case import Batch, Fixed, Weight, case

CASES = [
    # one dimension
    case("conv_1d", "Conv", [Batch(3, 11), Weight(5, 3, 3), Weight(5)], kernel_shape=[3]),
    case("conv_1d_strided_asymmetric", "Conv", [Batch(1, 12), Weight(7, 1, 4)], kernel_shape=[4], strides=[3], pads=[2, 1]),
    case("conv_1d_dilated_groups", "Conv", [Batch(6, 14), Weight(4, 3, 3), Weight(4)], kernel_shape=[3], dilations=[3], group=2, pads=[1, 0]),
    case("conv_1d_depthwise_multiplier", "Conv", [Batch(3, 9), Weight(6, 1, 3)], kernel_shape=[3], group=3, pads=[1, 1]),
    # two dimensions
    case("conv_2d", "Conv", [Batch(3, 7, 9), Weight(5, 3, 3, 3), Weight(5)], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("conv_2d_no_kernel_shape", "Conv", [Batch(3, 6, 6), Weight(4, 3, 2, 3)]),
    case("conv_2d_one_channel", "Conv", [Batch(1, 6, 5), Weight(1, 1, 3, 3)], kernel_shape=[3, 3]),
    case("conv_2d_pointwise", "Conv", [Batch(5, 4, 5), Weight(7, 5, 1, 1), Weight(7)], kernel_shape=[1, 1]),
    case("conv_2d_pointwise_strided", "Conv", [Batch(8, 7, 7), Weight(12, 8, 1, 1)], kernel_shape=[1, 1], strides=[2, 2]),
    case("conv_2d_strided", "Conv", [Batch(3, 9, 8), Weight(8, 3, 3, 3), Weight(8)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("conv_2d_strides_differ", "Conv", [Batch(3, 10, 9), Weight(5, 3, 2, 3)], kernel_shape=[2, 3], strides=[3, 2]),
    case("conv_2d_asymmetric_pads", "Conv", [Batch(5, 6, 7), Weight(3, 5, 3, 2), Weight(3)], kernel_shape=[3, 2], pads=[2, 0, 1, 3]),
    case("conv_2d_dilated", "Conv", [Batch(3, 11, 12), Weight(5, 3, 3, 3)], kernel_shape=[3, 3], dilations=[2, 3], pads=[1, 2, 1, 2]),
    case("conv_2d_kernel_wider_than_image", "Conv", [Batch(3, 3, 3), Weight(2, 3, 5, 5)], kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
    case("conv_2d_to_one_pixel", "Conv", [Batch(6, 5, 5), Weight(16, 6, 5, 5), Weight(16)], kernel_shape=[5, 5]),
    case("conv_2d_many_channels", "Conv", [Batch(40, 5, 5), Weight(36, 40, 3, 3), Weight(36)], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("conv_2d_groups", "Conv", [Batch(6, 6, 6), Weight(9, 2, 3, 3), Weight(9)], kernel_shape=[3, 3], group=3),
    case("conv_2d_groups_of_five", "Conv", [Batch(10, 5, 6), Weight(10, 5, 3, 3)], kernel_shape=[3, 3], group=2, pads=[1, 1, 1, 1], strides=[2, 1]),
    case("conv_2d_groups_of_four", "Conv", [Batch(8, 6, 6), Weight(8, 4, 3, 3), Weight(8)], kernel_shape=[3, 3], group=2, pads=[1, 1, 1, 1]),
    case("conv_2d_depthwise", "Conv", [Batch(7, 6, 6), Weight(7, 1, 3, 3), Weight(7)], kernel_shape=[3, 3], group=7, pads=[1, 1, 1, 1]),
    case("conv_2d_depthwise_strided", "Conv", [Batch(8, 9, 9), Weight(8, 1, 5, 5)], kernel_shape=[5, 5], group=8, pads=[2, 2, 2, 2], strides=[2, 2]),
    case("conv_2d_depthwise_multiplier", "Conv", [Batch(3, 6, 6), Weight(9, 1, 3, 3)], kernel_shape=[3, 3], group=3, dilations=[2, 1]),
    case("conv_2d_same_upper", "Conv", [Batch(3, 7, 8), Weight(5, 3, 3, 4)], kernel_shape=[3, 4], strides=[2, 2], auto_pad="SAME_UPPER"),
    case("conv_2d_same_lower", "Conv", [Batch(3, 7, 8), Weight(5, 3, 2, 4)], kernel_shape=[2, 4], strides=[2, 3], auto_pad="SAME_LOWER"),
    case("conv_2d_same_upper_stride_1", "Conv", [Batch(3, 6, 5), Weight(4, 3, 4, 2)], kernel_shape=[4, 2], auto_pad="SAME_UPPER"),
    case("conv_2d_valid", "Conv", [Batch(3, 7, 8), Weight(5, 3, 3, 3), Weight(5)], kernel_shape=[3, 3], strides=[2, 2], auto_pad="VALID"),
    case("conv_2d_weight_is_an_input", "Conv", [Batch(3, 6, 6), Fixed(4, 3, 3, 3), Fixed(4)], kernel_shape=[3, 3]),
    case("conv_2d_opset_7", "Conv", [Batch(3, 5, 5), Weight(4, 3, 3, 3), Weight(4)], opset=7, kernel_shape=[3, 3]),
    # three dimensions
    case("conv_3d", "Conv", [Batch(3, 5, 6, 4), Weight(5, 3, 3, 2, 3), Weight(5)], kernel_shape=[3, 2, 3]),
    case("conv_3d_strided_padded", "Conv", [Batch(1, 6, 5, 7), Weight(3, 1, 3, 3, 3)], kernel_shape=[3, 3, 3], strides=[2, 1, 2], pads=[1, 0, 2, 0, 1, 1]),
    case("conv_3d_groups_dilated", "Conv", [Batch(4, 6, 5, 5), Weight(6, 2, 2, 2, 2), Weight(6)], kernel_shape=[2, 2, 2], group=2, dilations=[2, 1, 3]),
    case("conv_3d_depthwise", "Conv", [Batch(3, 4, 4, 4), Weight(3, 1, 3, 3, 3)], kernel_shape=[3, 3, 3], group=3, pads=[1, 1, 1, 1, 1, 1]),
    # transposed
    case("conv_transpose_1d", "ConvTranspose", [Batch(3, 6), Weight(3, 5, 3), Weight(5)], kernel_shape=[3]),
    case("conv_transpose_1d_strided", "ConvTranspose", [Batch(5, 5), Weight(5, 1, 4)], kernel_shape=[4], strides=[3], pads=[1, 2], output_padding=[2]),
    case("conv_transpose_2d", "ConvTranspose", [Batch(3, 4, 5), Weight(3, 5, 3, 3), Weight(5)], kernel_shape=[3, 3]),
    case("conv_transpose_2d_doubling", "ConvTranspose", [Batch(4, 3, 4), Weight(4, 3, 2, 2), Weight(3)], kernel_shape=[2, 2], strides=[2, 2]),
    case("conv_transpose_2d_strided", "ConvTranspose", [Batch(5, 4, 3), Weight(5, 3, 3, 3), Weight(3)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    case("conv_transpose_2d_asymmetric", "ConvTranspose", [Batch(3, 4, 4), Weight(3, 2, 4, 3)], kernel_shape=[4, 3], strides=[2, 3], pads=[0, 1, 2, 0]),
    case("conv_transpose_2d_dilated", "ConvTranspose", [Batch(1, 4, 5), Weight(1, 3, 3, 2)], kernel_shape=[3, 2], dilations=[2, 3], strides=[1, 2]),
    case("conv_transpose_2d_groups", "ConvTranspose", [Batch(6, 3, 3), Weight(6, 2, 3, 3), Weight(6)], kernel_shape=[3, 3], group=3, strides=[2, 1], pads=[1, 0, 1, 0]),
    case("conv_transpose_2d_depthwise", "ConvTranspose", [Batch(5, 3, 4), Weight(5, 1, 4, 4)], kernel_shape=[4, 4], group=5, strides=[2, 2], pads=[1, 1, 1, 1]),
    case("conv_transpose_2d_stride_over_kernel", "ConvTranspose", [Batch(3, 3, 3), Weight(3, 2, 2, 2)], kernel_shape=[2, 2], strides=[3, 3]),
    case("conv_transpose_2d_output_shape", "ConvTranspose", [Batch(3, 3, 4), Weight(3, 2, 3, 3)], kernel_shape=[3, 3], strides=[2, 2], output_shape=[6, 8]),
    case("conv_transpose_2d_same_upper", "ConvTranspose", [Batch(3, 3, 4), Weight(3, 2, 3, 3)], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    case("conv_transpose_3d", "ConvTranspose", [Batch(3, 3, 2, 3), Weight(3, 5, 2, 3, 2), Weight(5)], kernel_shape=[2, 3, 2], strides=[2, 1, 2], output_padding=[1, 0, 0]),
    case("conv_transpose_3d_groups", "ConvTranspose", [Batch(4, 2, 3, 2), Weight(4, 1, 3, 3, 3)], kernel_shape=[3, 3, 3], group=2, strides=[1, 2, 2], pads=[1, 1, 1, 1, 1, 1]),
]
