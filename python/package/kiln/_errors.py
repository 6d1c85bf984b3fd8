"""Exceptions. Their texts are those of the command ``kiln``."""

from __future__ import annotations


class Error(Exception):
    """Whatever Kiln refuses or fails at."""


class ModelError(Error, ValueError):
    """A model definition cannot be read, or needs something that is not supported."""


class WeightsError(Error, ValueError):
    """Weights cannot be read, or belong to another model."""


class CompileError(Error):
    """A model cannot be compiled for a target."""


class PlanError(Error, ValueError):
    """A plan file cannot be read or written, or is not valid."""


class DeviceError(Error, RuntimeError):
    """There is no device, it lacks something that a plan needs, or it has failed."""


class InputError(Error, ValueError):
    """An argument or an input of a run does not fit: its name, type or shape."""


class TrainingError(Error, RuntimeError):
    """A training cannot go on, for example since its loss is not finite."""


class DefectError(Error, RuntimeError):
    """A defect in Kiln itself."""
