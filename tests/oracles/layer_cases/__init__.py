"""The table of layers, functions, methods and their options."""

from . import activation, arithmetic, attention, convolution, create, images, in_place, indexing, normalization, pooling, recurrent, reduction, resize, shape

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
    *recurrent.CASES,
    *attention.CASES,
]

NAMES = [c.name for c in CASES]
assert len(set(NAMES)) == len(NAMES), "two layer cases share a name"
