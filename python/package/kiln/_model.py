"""From a model definition to a plan."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from . import _export, _kiln
from ._arrays import as_array
from ._errors import InputError, ModelError

if TYPE_CHECKING:
    import torch

#: A file (``net.onnx``, ``net.py``, ``net.py:Net``), an ONNX file in memory, an ``onnx.ModelProto`` or a module.
ModelLike = Union[str, "os.PathLike[str]", bytes, "torch.nn.Module", Any]
#: Sizes of an input, or of each by name.
Shapes = Union[Sequence[int], Sequence[Sequence[int]], Mapping[str, Sequence[int]]]


def compile(
    model: ModelLike,
    example_inputs: Any = None,
    *,
    shapes: Shapes | str | None = None,
    max: Mapping[str, int] | None = None,
    dims: Mapping[str, int | str] | None = None,
    values: Mapping[str, Sequence[float] | np.ndarray[Any, Any]] | None = None,
    cut_at: Sequence[str] = (),
    arguments: Sequence[str] | Mapping[str, object] = (),
    weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    partial_weights: bool = False,
    target: str = "auto",
    precision: str = "f32",
    precise: bool | None = None,
    tune: float | bool = False,
    lenient: bool = False,
    lenient_imports: bool = False,
    root: str | os.PathLike[str] | None = None,
    dynamic_batch: bool = True,
    seed: int = 0,
) -> _kiln.Plan:
    """Compiles a model into a plan, as ``kiln compile`` does. No device is needed.

    Args:
        model: An ONNX file (a path, bytes or an ``onnx.ModelProto``), PyTorch source (``"net.py"``, ``"net.py:Net"``), or a
            ``torch.nn.Module``, which ``torch.export`` brings to ONNX.
        example_inputs: Inputs of one run: an array, a tuple of them, or a dict by name. A module needs them, or ``shapes``.
            For files they say how large sizes get that are left open.
        shapes: Of a file's inputs: all sizes for ONNX (``None`` leaves one open), for PyTorch source and modules those of one
            sample, without the batch. By name where there are several.
        max: The largest value of each symbolic dimension; 8 for the batch if nothing is said.
        dims: What a symbolic dimension is: a number, another dimension or an expression of them.
        values: Known values of inputs that sizes or axes depend on: numbers, or an array of the input's type.
        cut_at: Nodes or values that an ONNX model ends at.
        arguments: Arguments of the constructor in PyTorch source: ``{"n_blocks": 100}``.
        weights: A state dict: a file (``.pt``, ``.safetensors``), or arrays by PyTorch's names.
        partial_weights: Whether to take the weights that fit, with a warning about the others.
        target: ``"auto"`` is the device of this machine (``"portable"`` if there is none); else a name that ``kiln compile
            --help`` lists.
        precision: ``"f32"``, or ``"f16"`` for weights and activations of 16 bits.
        precise: Whether to add up only the products that an operator is defined by.
        tune: Seconds to measure kernels for on this device first, as ``kiln tune`` does (``True`` is 20). What was found is kept,
            for later plans, too.
        lenient: Whether to trust shape inference where an ONNX file declares other shapes.
        lenient_imports: Whether to skip decorators and calls that come from unknown imports of source.
        root: The folder that source may import files from.
        dynamic_batch: Whether the first size of a module's inputs is left open, as ``N``.
        seed: Where initial values of parameters of source begin.

    Returns:
        The plan, to be saved or given to :class:`kiln.Session`.
    """
    reading = options(dims, values, cut_at, lenient, arguments, lenient_imports, root, seed)
    definition, most = read(model, example_inputs, shapes, reading, dynamic_batch=dynamic_batch, named=weights is not None)
    load_weights(definition, weights, partial_weights)
    if definition.untrained:
        warnings.warn("the weights are random numbers, since none were given (`weights=...`)", stacklevel=2)
    return definition.compile(compiling({**most, **(max or {})}, target, precision, precise, tune))


def options(
    dims: Mapping[str, int | str] | None = None,
    values: Mapping[str, Sequence[float] | np.ndarray[Any, Any]] | None = None,
    cut_at: Sequence[str] = (),
    lenient: bool = False,
    arguments: Sequence[str] | Mapping[str, object] = (),
    lenient_imports: bool = False,
    root: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """How a model is read."""
    known = dict(values or {})
    if isinstance(arguments, Mapping):
        arguments = [f"{name}={value!r}" for name, value in arguments.items()]
    return {
        "dims": dict(dims or {}),
        "values": {name: [float(x) for x in value] for name, value in known.items() if not isinstance(value, np.ndarray)},
        "arrays": {name: value for name, value in known.items() if isinstance(value, np.ndarray)},
        "cut_at": list(cut_at),
        "lenient": lenient,
        "inputs": [],
        "arguments": list(arguments),
        "lenient_imports": lenient_imports,
        "root": root,
        "seed": seed,
    }


def compiling(
    max: Mapping[str, int], target: str, precision: str, precise: bool | None, tune: float | bool = False
) -> dict[str, Any]:
    """What a plan is compiled for."""
    for name, most in max.items():
        if not isinstance(most, (int, np.integer)) or most < 1:
            raise InputError(f"the largest `{name}` should be a positive whole number, not {most!r}")
    return {"max": {name: int(most) for name, most in max.items()}, "target": target, "precision": precision,
            "precise": precise, "tune": None if tune is False else 20.0 if tune is True else float(tune)}  # fmt: skip


def read(
    model: ModelLike,
    example_inputs: Any,
    shapes: Shapes | str | None,
    reading: dict[str, Any],
    *,
    dynamic_batch: bool = True,
    training: bool = False,
    named: bool = False,
) -> tuple[_kiln.Model, dict[str, int]]:
    """The model, and the largest sizes that its examples ask for; `named` if its weights have to keep their names."""
    if _export.is_module(model):
        return _of_module(model, example_inputs, shapes, reading, dynamic_batch, training, named or training)
    if isinstance(model, (str, os.PathLike)) and _is_source(os.fspath(model)):
        return _of_source(os.fspath(model), example_inputs, shapes, reading)
    if hasattr(model, "SerializeToString"):
        model = model.SerializeToString()
    if not isinstance(model, (str, bytes, bytearray, os.PathLike)):
        raise ModelError(
            f"a model is an ONNX file, PyTorch source or a torch.nn.Module, not {type(model).__module__}.{type(model).__name__}"
        )
    return _of_onnx(model, example_inputs, shapes, reading)


def load_weights(
    definition: _kiln.Model, weights: str | os.PathLike[str] | Mapping[str, Any] | None, partial: bool
) -> None:
    """Gives a model weights; what does not fit is a warning with ``partial``."""
    if weights is None:
        return
    if isinstance(weights, Mapping):
        left = definition.load_state_dict(arrays(weights), partial)
    else:
        left = definition.load_weights(weights, partial)
    if left:
        warnings.warn(f"only the weights that fit were loaded\n{left}", stacklevel=3)


def arrays(weights: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """A state dict as arrays."""
    detached = {name: value.detach() if hasattr(value, "detach") else value for name, value in weights.items()}
    return {name: as_array(value, name) for name, value in detached.items()}


def _is_source(path: str) -> bool:
    return path.endswith(".py") or ".py:" in path


def _of_source(
    path: str, example_inputs: Any, shapes: Shapes | str | None, reading: dict[str, Any]
) -> tuple[_kiln.Model, dict[str, int]]:
    batch: dict[str, int] = {}
    if shapes is None and example_inputs is not None:
        named = example_inputs if isinstance(example_inputs, Mapping) else None
        many = named.values() if named else example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
        sizes = [as_array(value, "example").shape for value in many]
        batch = {"N": max(size[0] for size in sizes if size)}
        samples = [size[1:] for size in sizes]
        shapes = dict(zip(named, samples)) if named else samples
    reading = {**reading, "inputs": _sample_texts(shapes)}
    definition = _kiln.Model.read(path, reading)
    for text in definition.warnings:
        warnings.warn(text, stacklevel=4)
    return definition, batch


def _sample_texts(shapes: Shapes | str | None) -> list[str]:
    """Shapes of samples as the command takes them: ``3,32,32`` or ``x=3,32,32``."""
    if shapes is None:
        return []
    if isinstance(shapes, str):
        return [shapes]

    def text(shape: Any) -> str:
        return shape if isinstance(shape, str) else ",".join(str(size) for size in shape)

    if isinstance(shapes, Mapping):
        return [f"{name}={text(shape)}" for name, shape in shapes.items()]
    if all(isinstance(size, (int, np.integer)) for size in shapes):
        return [text(shapes)]
    return [text(shape) for shape in shapes]


def _of_onnx(
    model: str | os.PathLike[str] | bytes | bytearray,
    example_inputs: Any,
    shapes: Shapes | str | None,
    reading: dict[str, Any],
) -> tuple[_kiln.Model, dict[str, int]]:
    def of(reading: dict[str, Any]) -> _kiln.Model:
        if isinstance(model, (bytes, bytearray)):
            return _kiln.Model.from_onnx(bytes(model), reading)
        return _kiln.Model.read(model, reading)

    if shapes is not None:
        declared = _kiln.onnx_inputs(bytes(model) if isinstance(model, (bytes, bytearray)) else model)
        fixed = _open_sizes(declared, _by_name(declared, shapes))
        return of({**reading, "dims": {**fixed, **reading["dims"]}}), {}
    definition = of(reading)
    if example_inputs is None:
        return definition, {}
    sizes = {name: as_array(x, name).shape for name, x in _by_name(definition.inputs, example_inputs).items()}
    return definition, {name: size for name, size in _open_sizes(definition.inputs, sizes).items() if size > 0}


def _by_name(declared: Sequence[tuple[str, Sequence[str]]], given: Any) -> dict[str, Any]:
    """What is given for each input."""
    names = [name for name, _ in declared]
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                raise InputError(f"there is no input `{name}`; the model takes {', '.join(f'`{n}`' for n in names)}")
        return dict(given)
    alone = not isinstance(given, (tuple, list)) or all(x is None or isinstance(x, (int, np.integer)) for x in given)
    many = [given] if alone else list(given)
    if len(many) > len(names):
        raise InputError(f"the model takes {len(names)} inputs, {len(many)} are given")
    return dict(zip(names, many))


def _open_sizes(declared: Sequence[tuple[str, Sequence[str]]], shapes: Mapping[str, Any]) -> dict[str, int]:
    """What shapes say of the symbols that inputs are declared with."""
    found: dict[str, int] = {}
    for name, dims in declared:
        shape = shapes.get(name)
        if shape is None:
            continue
        if len(shape) != len(dims):
            raise InputError(f"input `{name}` has the sizes [{', '.join(dims)}], {len(shape)} are given")
        for dim, size in zip(dims, shape):
            if size is None:
                continue
            if dim.isdigit():
                if int(dim) != size:
                    raise InputError(f"input `{name}` has the sizes [{', '.join(dims)}], of which {dim} cannot be changed")
            elif found.setdefault(dim, int(size)) != size:
                raise InputError(f"`{dim}` is both {found[dim]} and {size}")
    return found


def _of_module(
    module: torch.nn.Module,
    example_inputs: Any,
    shapes: Any,
    reading: dict[str, Any],
    batched: bool,
    training: bool,
    keep_names: bool,
) -> tuple[_kiln.Model, dict[str, int]]:
    if shapes is not None and all(isinstance(size, int) for size in shapes):
        shapes = [shapes]
    if isinstance(shapes, (str, Mapping)):
        raise InputError("`shapes` of a module are those of samples in order; `example_inputs` can be given by name")
    args, named = _export.examples(example_inputs, shapes, batched)
    exported = _export.export(module, args, named, batched=batched, optimize=not keep_names)
    if batched:
        dims = _named_batch(exported.data, reading["dims"])
        reading = {**reading, "dims": {**dims, **reading["dims"]}}
    batch = max((value.shape[0] for value in (*args, *named.values()) if value.dim()), default=1)
    most = {_export.BATCH: int(batch)} if batched and batch > _export.EXAMPLE_BATCH else {}
    if not training:
        return _kiln.Model.from_onnx(exported.data, reading), most
    learning = _export.export(module, args, named, batched=batched, optimize=False, training=True)
    return _kiln.Model.from_onnx(exported.data, reading, exported.trainable, learning.data), most


def _named_batch(data: bytes, dims: Mapping[str, object]) -> dict[str, str]:
    """What PyTorch calls the batch, as another name of it; a warning where the module fixes it."""
    firsts = {sizes[0] for _, sizes in _kiln.onnx_inputs(data) if sizes}
    symbols = [size for size in firsts if not size.isdigit()]
    if not symbols:
        warnings.warn("the module works for one batch size only, that of the example inputs", stacklevel=5)
    return {symbol: _export.BATCH for symbol in symbols if symbol != _export.BATCH and symbol not in dims}
