"""Plans on a device."""

from __future__ import annotations

import os
from typing import cast

from . import _kiln


class Session(_kiln.Session):
    """A plan on a device, ready to run.

    ``session(x)`` runs the network with its inputs in the order of ``session.inputs`` and returns the output, or a tuple of
    them; ``session.run({"x": x})`` goes by names. Inputs are NumPy arrays, or anything with ``__dlpack__`` in memory of
    the host; their types are not converted silently. While the device computes, other threads of Python go on; two runs of
    one session wait for each other, so a server has a session for each thread, or one behind a queue.

    ``WGPU_BACKEND`` and ``WGPU_ADAPTER_NAME`` choose the device, as for the command.
    """

    def __new__(cls, plan: _kiln.Plan | str | os.PathLike[str]) -> Session:
        """Loads a plan, or a plan file, on the device."""
        if isinstance(plan, (str, os.PathLike)):
            plan = _kiln.Plan.load(plan)
        return cast(Session, super().__new__(cls, plan))
