"""The table of single-operator oracles."""

from . import convolution, images, indexing, linear, movement, normalization, pointwise, pooling, reduction, resize

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
    *pointwise.CASES,
]

NAMES = [c.name for c in CASES]
assert len(set(NAMES)) == len(NAMES), "two operator cases share a name"
