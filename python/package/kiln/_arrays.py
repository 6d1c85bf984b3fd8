"""Whatever can be an input, as a NumPy array without a copy: anything with ``__dlpack__`` on the CPU, lists of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._errors import InputError

# DLPack's numbers of devices whose memory the processor can read.
_ON_HOST = (1, 3, 11, 13)


def as_array(value: Any, name: str) -> np.ndarray[Any, Any]:
    """The array; what cannot be one is refused by the input's name."""
    if isinstance(value, np.ndarray):
        return value
    kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    dtype = str(getattr(value, "dtype", ""))
    if "bfloat16" in dtype:
        raise InputError(f"input `{name}` is {dtype}, which NumPy has not: convert it, for example with `.float()`")
    if getattr(value, "requires_grad", False):
        raise InputError(f"input `{name}` records gradients, which end here: give `x.detach()`")
    if hasattr(value, "__dlpack_device__"):
        try:
            device = value.__dlpack_device__()
            if int(device[0]) not in _ON_HOST:
                where = getattr(value, "device", device)
                raise InputError(f"input `{name}` is on the device {where}: move it to the CPU first, `x.cpu()`")
            return np.from_dlpack(value)
        except InputError:
            raise
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"input `{name}` ({kind}, {dtype}) cannot be read as an array: {error}") from error
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"input `{name}` is no array: {error}") from error
    if array.dtype == object:
        raise InputError(f"input `{name}` is no array, but {kind}")
    return array
