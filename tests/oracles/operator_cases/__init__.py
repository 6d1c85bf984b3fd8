"""The table of single-operator oracles."""

from . import convolution, images, indexing, linear, losses, movement, normalization, pointwise, pooling, reduction, resize, sequences

CASES = [
    *convolution.CASES,
    *pooling.CASES,
    *linear.CASES,
    *reduction.CASES,
    *movement.CASES,
    *indexing.CASES,
    *resize.CASES,
    *images.CASES,
    *normalization.CASES,
    *losses.CASES,
    *sequences.CASES,
    *pointwise.CASES,
]

NAMES = [c.name for c in CASES]
assert len(set(NAMES)) == len(NAMES), "two operator cases share a name"
