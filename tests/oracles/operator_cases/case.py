"""What one operator oracle is made of.

A case is data: an ONNX operator, its inputs and its attributes. Everything else (a model of one node, drawn inputs,
the expected outputs) follows from it, so that a new oracle is one line in a table.

Inputs are described by how they reach the operator:

* `Batch(c, h, w)`: a graph input whose first axis is the symbolic batch `N`. A case with at least one of these gets two
  data sets, with N = 1 and N = 3, which one compiled plan has to serve.
* `Fixed(a, b)`: a graph input with the given shape.
* `Weight(o, c, k, k)`: an initializer, drawn at random.
* `Const([...], dtype)`: an initializer with these values (axes, repeats, shapes, bounds).
* `None`: an optional input left out.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Drawn:
    """A tensor with random contents. `draw` names the distribution: see `onnx_testdata.draw_values`."""

    shape: tuple
    dtype: str = "float32"
    draw: str = "normal"

    def __init__(self, *shape, dtype="float32", draw="normal"):
        object.__setattr__(self, "shape", tuple(shape))
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "draw", draw)


class Batch(Drawn):
    """A graph input of shape [N, *shape]."""


class Fixed(Drawn):
    """A graph input of exactly this shape."""


class Weight(Drawn):
    """An initializer of this shape."""


@dataclass(frozen=True)
class Const:
    """An initializer with given values. Shapes, axes and counts are int64 throughout ONNX."""

    values: object
    dtype: str = "int64"


@dataclass(frozen=True)
class Case:
    name: str
    op: str
    inputs: list
    attributes: dict = field(default_factory=dict)
    opset: int = 17
    outputs: int = 1

    @property
    def has_batch(self):
        return any(isinstance(i, Batch) for i in self.inputs)


def case(name, op, inputs, *, opset=17, outputs=1, **attributes):
    """A case with its attributes written as keywords."""
    return Case(name, op, inputs, attributes, opset, outputs)
