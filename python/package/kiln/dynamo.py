"""``torch.compile(model, backend="kiln")``: what is captured for inference runs on Kiln, what is not runs in PyTorch.

A graph is compiled when it is called with inputs of new sizes. Weights are constants of its plan; when they have changed, it
is compiled again. A graph falls back to PyTorch, and the logger ``kiln.dynamo`` says why, where gradients are recorded, where
it draws random numbers or changes tensors, and where Kiln refuses an operator or an input.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from . import _export, _model
from ._errors import Error
from ._session import Session

log = logging.getLogger(__name__)

#: Plans of one graph, for different sizes or weights; those behind run in PyTorch.
MOST_PLANS = 8


def kiln(graph: torch.fx.GraphModule, example_inputs: Sequence[Any], **options: Any) -> Callable[..., Any]:
    """The backend. ``options`` of ``torch.compile`` may have ``target``, ``precision`` and ``precise``."""
    given: Mapping[str, Any] = options.get("options") or {}
    unknown = set(given) - {"target", "precision", "precise"}
    if unknown:
        raise TypeError(f"the backend has no option {', '.join(sorted(unknown))}")
    reason = _unsuitable(graph, example_inputs)
    if reason:
        log.warning("a graph stays in PyTorch: %s", reason)
        return graph.forward
    return Captured(graph, dict(given)).run


def _unsuitable(graph: torch.fx.GraphModule, inputs: Sequence[Any]) -> str | None:
    """Why a graph is not for Kiln, as far as that can be known before it runs."""
    tensors = [value for value in inputs if isinstance(value, torch.Tensor)]
    if torch.is_grad_enabled() and any(value.requires_grad for value in tensors):
        return "gradients are recorded; `torch.no_grad()` or `torch.inference_mode()` ends that"
    elsewhere = {str(value.device) for value in tensors if value.device.type != "cpu"}
    if elsewhere:
        return f"it is on {', '.join(sorted(elsewhere))}; Kiln takes tensors of the CPU and uses its own device"
    calls = [node for node in graph.graph.nodes if node.op not in ("placeholder", "output", "get_attr")]
    return None if calls else "it computes nothing"


class Weight(NamedTuple):
    """A weight that a plan was made with."""

    tensor: torch.Tensor
    version: int
    address: int

    def is_as_it_was(self) -> bool:
        """Whether nothing has been written to it."""
        return self.tensor._version == self.version and self.tensor.data_ptr() == self.address


class Ready(NamedTuple):
    """A plan on the device."""

    session: Session
    names: list[str]
    weights: list[Weight]


class Captured:
    """A captured graph with its plans."""

    def __init__(self, graph: torch.fx.GraphModule, options: dict[str, Any]) -> None:
        self.graph = graph
        self.options = options
        placeholders = [node for node in graph.graph.nodes if node.op == "placeholder"]
        # Dynamo marks parameters and buffers of modules.
        self.fixed = {
            index
            for index, node in enumerate(placeholders)
            if (node.meta.get("tensor_dict") or {}).get("_dynamo_static_input_type")
        }
        self.plans: dict[Any, Ready | None] = {}
        self.made = 0

    @torch.compiler.disable
    def run(self, *args: Any) -> Any:
        """Runs the graph with inputs in their order."""
        with torch.no_grad():
            key = tuple((tuple(x.shape), x.dtype) if isinstance(x, torch.Tensor) else int(x) for x in args)
            ready = self.plans.get(key)
            if ready is not None and not all(weight.is_as_it_was() for weight in ready.weights):
                log.info("weights have changed: the graph is compiled again")
                ready = self.plans[key] = self._compiled(args)
            elif key not in self.plans:
                ready = self.plans[key] = self._compiled(args)
            if ready is None:
                return self.graph.forward(*args)
            tensors = [x.detach() for i, x in enumerate(args) if i not in self.fixed and isinstance(x, torch.Tensor)]
            outputs = ready.session.run(dict(zip(ready.names, tensors)))
            return tuple(torch.from_numpy(array) for array in outputs.values())

    def _compiled(self, args: tuple[Any, ...]) -> Ready | None:
        """A plan for inputs of these sizes, or nothing, with the reason in the log."""
        if self.made >= MOST_PLANS:
            log.warning("a graph stays in PyTorch for more sizes or weights: it has %d plans", self.made)
            return None
        self.made += 1
        try:
            return self._ready(args)
        except Error as error:
            log.warning("a graph stays in PyTorch: %s", error)
            return None

    def _ready(self, args: tuple[Any, ...]) -> Ready | None:
        fixed = [args[index] for index in sorted(self.fixed)]
        if any(torch.is_inference(weight) for weight in fixed):
            log.warning("a graph stays in PyTorch: changes of weights made in inference mode cannot be noticed")
            return None
        closed = _Closed(self.graph, args, self.fixed)
        inputs = tuple(x for i, x in enumerate(args) if i not in self.fixed and isinstance(x, torch.Tensor))
        exported = _export.export(closed, inputs, batched=False)
        if exported.is_random:
            log.warning("a graph stays in PyTorch: it draws random numbers")
            return None
        if not _gives_new_tensors(self.graph.forward(*args), args):
            log.warning("a graph stays in PyTorch: an output shares memory with an input, or is no tensor")
            return None
        plan = _model.compile(exported.data, **self.options)
        weights = [Weight(weight, weight._version, weight.data_ptr()) for weight in fixed]
        return Ready(Session(plan), [tensor.name for tensor in plan.inputs], weights)


class _Closed(torch.nn.Module):
    """A graph with its weights and sizes, as a function of its other inputs."""

    def __init__(self, graph: torch.fx.GraphModule, args: tuple[Any, ...], fixed: set[int]) -> None:
        super().__init__()
        self.graph = graph
        self.sizes = {i: int(x) for i, x in enumerate(args) if not isinstance(x, torch.Tensor)}
        self.count = len(args)
        for index in fixed:
            self.register_buffer(f"fixed_{index}", args[index].detach())

    def forward(self, *inputs: torch.Tensor) -> Any:
        """The graph's outputs."""
        left = iter(inputs)

        def value(index: int) -> Any:
            if index in self.sizes:
                return self.sizes[index]
            known = getattr(self, f"fixed_{index}", None)
            return next(left) if known is None else known

        return self.graph(*[value(index) for index in range(self.count)])


def _gives_new_tensors(outputs: Any, args: tuple[Any, ...]) -> bool:
    """Whether a graph's outputs are tensors that share no memory with its inputs or each other."""
    if not all(isinstance(value, torch.Tensor) for value in outputs):
        return False
    taken = {x.untyped_storage().data_ptr() for x in args if isinstance(x, torch.Tensor)}
    for value in outputs:
        place = value.untyped_storage().data_ptr()
        if place in taken:
            return False
        taken.add(place)
    return True
