"""Kiln compiles convolutional networks into plans and replays them on any GPU.

>>> import kiln
>>> plan = kiln.compile("net.onnx", max={"N": 16})      # doctest: +SKIP
>>> session = kiln.Session(plan)                        # doctest: +SKIP
>>> scores = session(image)                             # doctest: +SKIP

Models are ONNX files, PyTorch source (``net.py:Net``) and ``torch.nn.Module`` objects. Inputs are NumPy arrays and
whatever shares its memory by DLPack, as tensors of PyTorch on the CPU do; outputs are NumPy arrays. PyTorch and ``onnx``
are imported only by what needs them.
"""

from __future__ import annotations

from . import data
from ._errors import (
    CompileError,
    DefectError,
    DeviceError,
    Error,
    InputError,
    ModelError,
    PlanError,
    TrainingError,
    WeightsError,
)
from ._kiln import Plan, __version__, devices
from ._model import compile
from ._session import Session
from ._train import Evaluation, Trained, Trainer, train
from ._types import Tensor

__all__ = [
    "CompileError",
    "DefectError",
    "DeviceError",
    "Error",
    "Evaluation",
    "InputError",
    "ModelError",
    "Plan",
    "PlanError",
    "Session",
    "Tensor",
    "Trained",
    "Trainer",
    "TrainingError",
    "WeightsError",
    "__version__",
    "compile",
    "data",
    "devices",
    "train",
]
