"""Plain data that the compiled part hands out."""

from __future__ import annotations

from typing import NamedTuple


class Tensor(NamedTuple):
    """An input, an output or a state of a plan."""

    name: str
    #: NumPy's name of the element type.
    dtype: str
    #: Sizes: a number, or an expression over symbols such as ``"N"``.
    shape: tuple[int | str, ...]
    #: What it is for: ``data``, ``target``, ``learning rate``, ``momentum``, ``beta1``, ``update``, ``output``, ``state``.
    role: str
