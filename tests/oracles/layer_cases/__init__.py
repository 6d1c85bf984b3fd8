"""The table of layers, functions, methods and their options."""

from . import activation, arithmetic, convolution, create, images, in_place, indexing, normalization, pooling, reduction, resize, shape

CASES = [
    *convolution.CASES,
    *pooling.CASES,
    *normalization.CASES,
    *activation.CASES,
    *resize.CASES,
    *reduction.CASES,
    *arithmetic.CASES,
    *shape.CASES,
    *indexing.CASES,
    *create.CASES,
    *in_place.CASES,
    *images.CASES,
]

NAMES = [c.name for c in CASES]
assert len(set(NAMES)) == len(NAMES), "two layer cases share a name"
