"""Normalisations. Variances are kept well away from zero, so that epsilon is visible but does not decide the result."""

from .case import Batch, Weight, case


def batch_norm(channels):
    """Scale, bias, running mean and running variance."""
    return [Weight(channels, draw="scale"), Weight(channels), Weight(channels), Weight(channels, draw="positive")]


CASES = [
    case("batch_norm_2d", "BatchNormalization", [Batch(5, 4, 3), *batch_norm(5)]),
    case("batch_norm_1d", "BatchNormalization", [Batch(7, 6), *batch_norm(7)]),
    case("batch_norm_features", "BatchNormalization", [Batch(7), *batch_norm(7)]),
    case("batch_norm_3d", "BatchNormalization", [Batch(3, 2, 3, 4), *batch_norm(3)]),
    case("batch_norm_large_epsilon", "BatchNormalization", [Batch(3, 4, 4), *batch_norm(3)], epsilon=0.1),
    case("batch_norm_opset_9", "BatchNormalization", [Batch(3, 4, 4), *batch_norm(3)], opset=9, momentum=0.9),
    case("batch_norm_opset_7", "BatchNormalization", [Batch(3, 4, 4), *batch_norm(3)], opset=7),
    case("instance_norm_2d", "InstanceNormalization", [Batch(5, 4, 6), Weight(5, draw="scale"), Weight(5)]),
    case("instance_norm_1d", "InstanceNormalization", [Batch(3, 9), Weight(3, draw="scale"), Weight(3)], epsilon=1e-2),
    case("instance_norm_3d", "InstanceNormalization", [Batch(3, 3, 4, 2), Weight(3, draw="scale"), Weight(3)]),
    case("layer_norm_last", "LayerNormalization", [Batch(5, 8), Weight(8, draw="scale"), Weight(8)]),
    case("layer_norm_no_bias", "LayerNormalization", [Batch(5, 7), Weight(7, draw="scale")], epsilon=1e-3),
    case("layer_norm_two_axes", "LayerNormalization", [Batch(3, 4, 5), Weight(4, 5, draw="scale"), Weight(4, 5)], axis=2),
    case("layer_norm_all_but_batch", "LayerNormalization", [Batch(3, 4), Weight(3, 4, draw="scale"), Weight(3, 4)], axis=1),
    case("group_norm", "GroupNormalization", [Batch(6, 4, 3), Weight(6, draw="scale"), Weight(6)], opset=21, num_groups=3),
    case("group_norm_one_group", "GroupNormalization", [Batch(5, 4, 3), Weight(5, draw="scale"), Weight(5)], opset=21, num_groups=1, epsilon=1e-2),
    case("lrn_size_5", "LRN", [Batch(7, 3, 3)], size=5, alpha=0.05, beta=0.75, bias=1.0),
    case("lrn_size_3", "LRN", [Batch(5, 4, 3)], size=3, alpha=0.3, beta=0.5, bias=2.0),
    case("lp_normalization", "LpNormalization", [Batch(5, 3)], axis=1, p=2),
    case("mean_variance_normalization", "MeanVarianceNormalization", [Batch(3, 4, 5)], axes=[2, 3]),
    case("dropout_is_identity", "Dropout", [Batch(3, 5)]),
    case("dropout_opset_7", "Dropout", [Batch(3, 5)], opset=7, ratio=0.4),
]
