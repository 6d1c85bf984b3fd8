"""A ``torch.nn.Module`` as an ONNX file in memory, by ``torch.export``. PyTorch is imported here and in ``dynamo`` only."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ._errors import ModelError

if TYPE_CHECKING:
    import torch

#: What the batch is called in plans of modules.
BATCH = "N"

#: A batch of one is taken for a size that is always one.
EXAMPLE_BATCH = 2


class Exported(NamedTuple):
    """A module as ONNX."""

    data: bytes
    #: Parameters that are to be trained.
    trainable: list[str]
    #: Whether it draws random numbers.
    is_random: bool


def is_module(model: object) -> bool:
    """Whether it is an ``nn.Module``, without an import of PyTorch for what cannot be one."""
    return any(base.__module__ == "torch.nn.modules.module" for base in type(model).__mro__)


def examples(
    inputs: Any, shapes: Sequence[Sequence[int]] | None, batched: bool
) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
    """Positional and named example inputs as tensors."""
    import torch

    def tensor(value: Any) -> torch.Tensor:
        return value.detach() if isinstance(value, torch.Tensor) else torch.as_tensor(value)

    if inputs is None and shapes is None:
        raise ModelError("a module needs `example_inputs`, or `shapes` of one sample of each input")
    if inputs is None:
        return tuple(torch.zeros(EXAMPLE_BATCH, *shape) for shape in shapes or ()), {}
    args: tuple[torch.Tensor, ...] = ()
    named: dict[str, torch.Tensor] = {}
    if isinstance(inputs, Mapping):
        named = {name: tensor(value) for name, value in inputs.items()}
    else:
        args = tuple(tensor(value) for value in (inputs if isinstance(inputs, (tuple, list)) else (inputs,)))
    if batched:
        args = tuple(_repeated(value) for value in args)
        named = {name: _repeated(value) for name, value in named.items()}
    return args, named


def _repeated(value: torch.Tensor) -> torch.Tensor:
    if value.dim() and value.shape[0] == 1:
        return value.expand(EXAMPLE_BATCH, *value.shape[1:]).contiguous()
    return value


@contextlib.contextmanager
def _mode(module: torch.nn.Module, training: bool) -> Iterator[None]:
    """The module as it answers or as it learns; afterwards each of its modules is in the mode it was in.

    Where it learns, normalizations keep the form that they answer in: Kiln itself puts them into training mode.
    """
    import torch

    before = [(part, part.training) for part in module.modules()]
    try:
        for part, _ in before:
            part.training = training and not isinstance(part, torch.nn.modules.batchnorm._NormBase)
        yield
    finally:
        for part, was in before:
            part.training = was


def export(
    module: torch.nn.Module,
    args: tuple[Any, ...],
    named: Mapping[str, torch.Tensor] | None = None,
    *,
    batched: bool = True,
    training: bool = False,
    optimize: bool = True,
) -> Exported:
    """Exports a module; what PyTorch refuses is a :class:`ModelError` with PyTorch's words."""
    import torch

    named = dict(named or {})
    try:
        with _mode(module, training), torch.no_grad(), _quiet():
            shapes = _free_batch(args, named) if batched else None
            program = torch.export.export(module, args, named or None, dynamic_shapes=shapes, strict=False)
            _refuse_changes(program)
            onnx = torch.onnx.export(program, dynamo=True, optimize=optimize, verbose=False)
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(f"PyTorch exports modules by a package that is missing: {error}") from error
    except Exception as error:
        raise ModelError(f"PyTorch cannot export the module to ONNX: {_first_lines(error)}") from error
    if onnx is None:
        raise ModelError("PyTorch exported nothing")
    trainable = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    return Exported(onnx.model_proto.SerializeToString(), trainable, _is_random(program))


def _free_batch(args: tuple[Any, ...], named: Mapping[str, torch.Tensor]) -> Any:
    """The first size of all inputs that share it may vary."""
    import torch

    first = next((value.shape[0] for value in (*args, *named.values()) if value.dim()), None)

    def of(value: torch.Tensor) -> Any:
        return {0: torch.export.Dim.AUTO} if value.dim() and value.shape[0] == first else None

    return {name: of(value) for name, value in named.items()} if named else tuple(of(value) for value in args)


def _refuse_changes(program: Any) -> None:
    """A plan answers and changes nothing else, neither buffers nor inputs."""
    # Only then are changes listed: what `export` gives still writes in place.
    signature = program.run_decompositions({}).graph_signature
    changed = [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]
    if changed:
        names = ", ".join(f"`{name}`" for name in changed[:12])
        raise ModelError(f"`forward` changes {names}, which an inference plan cannot keep")


def _is_random(program: Any) -> bool:
    import torch

    tags = (getattr(node.target, "tags", ()) for node in program.graph.nodes)
    return any(torch.Tag.nondeterministic_seeded in each for each in tags)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's progress and its warnings about itself."""
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    try:
        loud.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        loud.setLevel(level)


def _first_lines(error: BaseException, most: int = 12) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(lines[:most])
