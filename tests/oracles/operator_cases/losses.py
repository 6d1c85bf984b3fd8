"""Losses against classes, and what is left of a choice among them."""

from .case import Batch, Const, Weight, case

# Eleven classes, so that any index that is drawn is one.
SCORES, CLASSES = Batch(11, 3), Batch(3, dtype="int64", draw="index")

CASES = [
    case("nll_loss_mean", "NegativeLogLikelihoodLoss", [SCORES, CLASSES], opset=13),
    case("nll_loss_weighted", "NegativeLogLikelihoodLoss", [SCORES, CLASSES, Weight(11, draw="positive")], opset=13),
    case("nll_loss_ignored_sum", "NegativeLogLikelihoodLoss", [SCORES, CLASSES], opset=12, ignore_index=3, reduction="sum"),
    case("nll_loss_each_i32", "NegativeLogLikelihoodLoss", [Batch(11, 2, 2), Batch(2, 2, dtype="int32", draw="index")], opset=13, reduction="none"),
    case("cross_entropy_mean", "SoftmaxCrossEntropyLoss", [SCORES, CLASSES], opset=13, ignore_index=7),
    case("cross_entropy_with_logarithms", "SoftmaxCrossEntropyLoss", [Batch(11), Batch(dtype="int64", draw="index"), Weight(11, draw="positive")], opset=13, outputs=2, reduction="none"),
    case("hardmax_last", "Hardmax", [Batch(4, 5)], opset=13),
    case("hardmax_ties", "Hardmax", [Batch(6, 3, draw="steps")], opset=13, axis=1),
    case("hardmax_flattened", "Hardmax", [Batch(3, 4)], opset=11),
    case("layer_norm_statistics", "LayerNormalization", [Batch(4, 5), Weight(5, draw="scale"), Weight(5)], outputs=3),
    case("dropout_mask", "Dropout", [Batch(3, 5), Const(0.3, "float32")], outputs=2),
]
