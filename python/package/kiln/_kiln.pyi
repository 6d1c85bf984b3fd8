"""The compiled part. Users find it under ``kiln``."""

import os
from typing import Any, final

import numpy as np

from ._types import Tensor

__all__ = [
    "Model", "Plan", "Session", "__version__", "devices", "load_data", "onnx_inputs", "onnx_interface", "scheduled", "usual_lr",
]  # fmt: skip

__version__: str

_Part = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

@final
class Plan:
    """A compiled network: kernels, memory, weights. :func:`kiln.compile` makes one, :class:`kiln.Session` runs it."""

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Plan:
        """Reads a plan file, whose contents are checked completely."""
    @staticmethod
    def from_bytes(data: bytes) -> Plan:
        """Reads a plan from memory."""
    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a plan file, completely or not at all."""
    def to_bytes(self) -> bytes:
        """The plan file."""
    def __reduce__(self) -> tuple[Any, tuple[bytes]]: ...
    @property
    def name(self) -> str:
        """What the model is called."""
    @property
    def target(self) -> str:
        """What it was compiled for."""
    @property
    def programs(self) -> list[str]:
        """Names of its programs: ``inference``, or those of a training."""
    @property
    def max(self) -> dict[str, int]:
        """The largest value of each symbolic size."""
    @property
    def metadata(self) -> dict[str, str]:
        """How inputs are preprocessed, what outputs mean, where the weights come from (``docs/metadata.md``)."""
    @property
    def classes(self) -> list[str]:
        """Names of classes, if there are any."""
    @property
    def inputs(self) -> list[Tensor]:
        """Inputs of the first program."""
    @property
    def outputs(self) -> list[Tensor]:
        """Outputs of the first program."""
    @property
    def states(self) -> list[Tensor]:
        """What a training changes: weights, statistics, moments."""
    def inputs_of(self, program: str | None = None) -> list[Tensor]:
        """Inputs of a program."""
    def outputs_of(self, program: str | None = None) -> list[Tensor]:
        """Outputs of a program."""

class Session:
    """A plan on a device."""

    def __new__(cls, plan: Plan) -> Session: ...
    def __call__(self, *inputs: Any) -> Any:
        """Runs the first program with its inputs in order; returns the output, or a tuple of them."""
    def run(self, inputs: dict[str, Any], program: str | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """Runs a program with inputs by name; returns outputs by name."""
    def read_state(self, name: str) -> np.ndarray[Any, Any]:
        """What a state holds now."""
    def write_state(self, name: str, value: Any) -> None:
        """Overwrites a state."""
    def save_checkpoint(self, path: str | os.PathLike[str], step: int, epoch: int, notes: dict[str, str]) -> None:
        """Writes all states and how far the training is, completely or not at all."""
    def load_checkpoint(self, path: str | os.PathLike[str]) -> tuple[int, int, dict[str, str]]:
        """Reads a checkpoint into the states; returns its step, its epoch and what was noted."""
    @property
    def device(self) -> str:
        """The device it is on."""
    @property
    def programs(self) -> list[str]:
        """Names of its programs."""
    @property
    def max(self) -> dict[str, int]:
        """The largest value of each symbolic size."""
    @property
    def metadata(self) -> dict[str, str]:
        """The model's metadata (``docs/metadata.md``)."""
    @property
    def classes(self) -> list[str]:
        """Names of classes, if there are any."""
    @property
    def inputs(self) -> list[Tensor]:
        """Inputs of the first program."""
    @property
    def outputs(self) -> list[Tensor]:
        """Outputs of the first program."""
    @property
    def states(self) -> list[Tensor]:
        """What a training changes."""
    def inputs_of(self, program: str | None = None) -> list[Tensor]:
        """Inputs of a program."""
    def outputs_of(self, program: str | None = None) -> list[Tensor]:
        """Outputs of a program."""

@final
class Model:
    """A model definition with its weights."""

    @staticmethod
    def read(path: str | os.PathLike[str], options: dict[str, Any]) -> Model: ...
    @staticmethod
    def from_onnx(
        data: bytes, options: dict[str, Any], trainable: list[str] | None = None, training: bytes | None = None
    ) -> Model: ...
    def load_weights(self, path: str | os.PathLike[str], partial: bool) -> str: ...
    def load_state_dict(self, weights: dict[str, Any], partial: bool) -> str: ...
    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]: ...
    def compile(self, options: dict[str, Any]) -> Plan: ...
    def compile_training(self, options: dict[str, Any], settings: dict[str, Any]) -> Plan: ...
    @property
    def warnings(self) -> list[str]: ...
    @property
    def untrained(self) -> bool: ...
    @property
    def inputs(self) -> list[tuple[str, list[str]]]: ...
    @property
    def states(self) -> list[tuple[str, list[int]]]: ...
    @property
    def aliases(self) -> list[tuple[str, str]]: ...
    @property
    def others(self) -> list[str]: ...

def devices() -> list[tuple[str, str, str]]:
    """The devices of this machine, the one first that is used: name, kind and backend of each."""

def onnx_inputs(file: bytes | str | os.PathLike[str]) -> list[tuple[str, list[str]]]: ...
def onnx_interface(file: bytes | str | os.PathLike[str]) -> tuple[list[str], list[str]]: ...
def scheduled(
    schedule: str, step: int, steps_per_epoch: int, steps: int, lr: float, momentum: float, warmup: int
) -> tuple[float, float]: ...
def usual_lr(settings: dict[str, Any]) -> float: ...
def load_data(
    source: str, reading: dict[str, Any]
) -> tuple[_Part, _Part | None, _Part | None, list[str] | None, int]: ...
