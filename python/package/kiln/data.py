"""Data sets as arrays: those that ``kiln train`` reads from files, and those that it draws."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _kiln

Array = np.ndarray[Any, Any]

__all__ = ["Dataset", "Part", "load"]


class Part(NamedTuple):
    """Samples with their targets, for :func:`kiln.train` and :meth:`kiln.Trainer.evaluate`: ``train(net, *data.train)``."""

    #: One sample behind the other: ``[N, C, H, W]`` of images, ``[N, columns]`` of a table.
    x: Array
    #: Class numbers (``int64``), or numbers.
    y: Array


class Dataset(NamedTuple):
    """A data set that was read."""

    train: Part
    #: Validation samples, if they are other ones than ``test``.
    validation: Part | None
    test: Part | None
    #: Names of classes by number, if targets are classes with names.
    classes: list[str] | None


def load(
    source: str | os.PathLike[str],
    *,
    resize: int | Sequence[int] | None = None,
    crop: int | Sequence[int] | None = None,
    grey: bool = False,
    skip_bad: bool = False,
    seed: int = 0,
    dtype: Any = np.float32,
) -> Dataset:
    """Reads a data set, as ``kiln train --data`` does.

    Args:
        source: ``mnist:DIR``, ``fashion-mnist:DIR``, ``kmnist:DIR``, ``cifar10:DIR``, ``cifar100:DIR``, ``folder:DIR`` (a folder
            of images for each class), ``npz:FILE``, ``csv:FILE``; or ``digits``, ``moons`` and ``waves``, which are drawn, with
            or without ``:COUNT``.
        resize: The shorter side that images of folders are brought to, or height and width.
        crop: The side of a square that is cut out of their middle, or height and width.
        grey: Whether images of folders become grey.
        skip_bad: Whether to leave out files that cannot be read, with a warning.
        seed: The seed of data that is drawn.
        dtype: Of pixels: ``numpy.float32`` from 0 to 1, or ``numpy.uint8`` from 0 to 255, a quarter of the memory.
    """
    reading = {
        "resize": _sides(resize),
        "crop": _square(crop),
        "grey": grey,
        "skip_bad": skip_bad,
        "seed": seed,
    }
    train, validation, test, classes, skipped = _kiln.load_data(os.fspath(source), reading)
    if skipped:
        warnings.warn(f"{skipped} files of `{os.fspath(source)}` cannot be read and are left out", stacklevel=2)
    wanted = np.dtype(dtype)
    parts = [None if part is None else Part(_pixels(part[0], wanted), part[1]) for part in (validation, test)]
    return Dataset(Part(_pixels(train[0], wanted), train[1]), parts[0], parts[1], classes)


def _pixels(samples: Array, wanted: np.dtype[Any]) -> Array:
    """Pixels in the type that is wanted; numbers of a table or an array stay what they are."""
    if samples.dtype != np.uint8 or wanted == np.uint8:
        return samples
    scaled: Array = samples.astype(wanted)
    scaled /= 255
    return scaled


def _sides(given: int | Sequence[int] | None) -> list[int]:
    if given is None:
        return []
    return [int(given)] if isinstance(given, (int, np.integer)) else [int(side) for side in given]


def _square(given: int | Sequence[int] | None) -> list[int] | None:
    sides = _sides(given)
    return sides * 2 if len(sides) == 1 else sides or None
