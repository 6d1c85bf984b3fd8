"""The table of single-operator oracles."""

from . import (
    convolution,
    einsum,
    images,
    indexing,
    integers,
    linear,
    losses,
    masks,
    movement,
    normalization,
    pointwise,
    pooling,
    recurrent,
    reduction,
    resize,
    selection,
    sequences,
    signal,
)

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
    *masks.CASES,
    *selection.CASES,
    *einsum.CASES,
    *integers.CASES,
    *signal.CASES,
    *recurrent.CASES,
]

NAMES = [c.name for c in CASES]
assert len(set(NAMES)) == len(NAMES), "two operator cases share a name"
