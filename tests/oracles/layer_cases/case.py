"""What a case is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A module of a line or two.

    `inputs` are shapes of one sample as `kiln --input` takes them, `3,8,8` or `i64:4`, of `x` and `y`. `init` is the
    constructor's expression for `self.layer`, or statements that begin with `self.`, or nothing. `forward` is an
    expression, or statements with `; ` between them that end in `return ...`.
    """

    name: str
    inputs: tuple
    init: str
    forward: str


def layer(name, init, *inputs):
    """A layer on its input."""
    return Case(name, inputs, init, "self.layer(x)")


def function(name, forward, *inputs):
    """A function, without anything made in the constructor."""
    return Case(name, inputs, "", forward)
