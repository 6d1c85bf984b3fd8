"""ONNX's backend interface (``onnx.backend.base``), so that programs and ONNX's own test suite run models on Kiln.

>>> import kiln.backend
>>> kiln.backend.prepare(onnx.load("net.onnx")).run([image])      # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep, namedtupledict

from . import _kiln, _model
from ._arrays import as_array
from ._errors import InputError
from ._session import Session

#: Sessions that a prepared model keeps, one for each set of sizes and of values that sizes depend on.
_MOST = 8


class KilnRep(BackendRep):
    """A model that is ready to run."""

    def __init__(self, data: bytes, options: Mapping[str, Any]) -> None:
        self._data, self._options = data, dict(options)
        #: Names of the inputs, those that sizes depend on included.
        self.inputs, known = _kiln.onnx_interface(data)
        self._known = set(known)
        #: Inputs with sizes that are not in the file.
        self._open = {name for name, sizes in _kiln.onnx_inputs(data) if not all(size.isdigit() for size in sizes)}
        self._sessions: dict[Any, Session] = {}
        # What can be refused without inputs is refused by `prepare`.
        if not self._known and not self._open:
            self._session({})
        elif not self._known:
            _kiln.Model.from_onnx(data, _model.options())

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Runs the model with inputs in their order, or by name; outputs can be had by index and by name."""
        if isinstance(inputs, Mapping):
            given = dict(inputs)
        else:
            many = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            if len(many) > len(self.inputs):
                raise InputError(f"the model takes {len(self.inputs)} inputs, {len(many)} are given")
            given = dict(zip(self.inputs, many))
        arrays = {name: as_array(value, name) for name, value in given.items()}
        session = self._session(arrays)
        outputs = session.run({name: value for name, value in arrays.items() if name not in self._known})
        result: tuple[Any, ...] = namedtupledict("Outputs", list(outputs))(*outputs.values())
        return result

    def _session(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Session:
        values = {name: arrays[name] for name in self._known if name in arrays}
        sizes = {name: value.shape for name, value in arrays.items() if name in self._open - self._known}
        key = (tuple(sorted(sizes.items())), tuple((name, values[name].tobytes()) for name in sorted(values)))
        found = self._sessions.get(key)
        if found is None:
            plan = _model.compile(self._data, shapes=sizes or None, values=values, **self._options)
            while len(self._sessions) >= _MOST:
                self._sessions.pop(next(iter(self._sessions)))
            found = self._sessions[key] = Session(plan)
        return found


class KilnBackend(Backend):
    """Kiln as a backend. The device is the one that the environment chooses, whatever it is called here."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> KilnRep:
        """Compiles a model; ``kwargs`` are those of :func:`kiln.compile`."""
        super().prepare(model, device, **kwargs)
        return KilnRep(model.SerializeToString(), kwargs)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Any, ...]:
        """Compiles a model and runs it once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype[Any], tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Runs one node with these inputs."""
        super().run_node(node, inputs, device, outputs_info)
        many = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        names = [name for name in node.input if name]
        arrays = {name: as_array(value, name) for name, value in zip(names, many)}
        tensor = onnx.helper.make_tensor_value_info
        kind = onnx.helper.np_dtype_to_tensor_dtype
        graph = onnx.helper.make_graph(
            [node],
            node.op_type,
            [tensor(name, kind(value.dtype), value.shape) for name, value in arrays.items()],
            [onnx.ValueInfoProto(name=name) for name in node.output if name],
        )
        opset = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        imports = [onnx.helper.make_opsetid(node.domain, opset)]
        return KilnRep(onnx.helper.make_model(graph, opset_imports=imports).SerializeToString(), kwargs).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Plans run on any device that there is."""
        try:
            return bool(_kiln.devices())
        except Exception:
            return False


prepare = KilnBackend.prepare
run_model = KilnBackend.run_model
run_node = KilnBackend.run_node
supports_device = KilnBackend.supports_device
