"""Loops: recurrent layers, `Scan` and `Loop` of a symbolic number of steps or of many, with ONNX Runtime's results.

    python tests/oracles/loop_oracles.py        writes fixtures/loops/

One compiled plan has to serve all data sets of a case, which differ in the number of steps and in the batch.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from onnx_testdata import fresh_directory, generator, write_data_set

FIXTURES = Path(__file__).parent / "fixtures" / "loops"
FLOAT, INT64, INT32, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
SIZES = [(1, 2), (7, 3), (70, 2), (2, 1)]
info = helper.make_tensor_value_info
stored = lambda name, array: numpy_helper.from_array(np.asarray(array), name)


class Maker:
    """Draws the numbers of a case, and writes it."""

    def __init__(self, name):
        self.name, self.rng = name, generator("loops", name)

    def draw(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)

    def write(self, nodes, inputs, outputs, initializers, sets):
        graph = helper.make_graph(nodes, self.name, inputs, [info(*output) for output in outputs], initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        directory = FIXTURES / self.name
        fresh_directory(directory)
        (directory / "model.onnx").write_bytes(model.SerializeToString())
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for index, given in enumerate(sets):
            results = session.run(None, given)
            outs = {output.name: np.asarray(result) for output, result in zip(session.get_outputs(), results)}
            write_data_set(directory, index, given, outs)


def recurrent(name, op, direction, sizes=SIZES, *, steps="T", batch="N", lengths=False, first=False, bias=True, peepholes=False, hidden=5, inputs=3, **attributes):
    make = Maker(name)
    directions, gates = 2 if direction == "bidirectional" else 1, GATES[op]
    weights = {"w": (gates * hidden, inputs), "r": (gates * hidden, hidden)}
    weights |= {"b": (2 * gates * hidden,)} if bias else {}
    weights |= {"p": (3 * hidden,)} if peepholes else {}
    initializers = [stored(what, make.draw(directions, *shape) * np.float32(0.5)) for what, shape in weights.items()]
    cell = op == "LSTM"
    optional = {
        "lengths": (lengths, INT32, [batch]),
        "h0": (first, FLOAT, [directions, batch, hidden]),
        "c0": (first and cell, FLOAT, [directions, batch, hidden]),
    }
    given = [info("x", FLOAT, [steps, batch, inputs])]
    given += [info(what, dtype, shape) for what, (there, dtype, shape) in optional.items() if there]
    names = ["x", "w", "r", "b" if bias else ""]
    names += [what if optional[what][0] else "" for what in optional] + ["p" if peepholes else ""]
    while not names[-1]:
        names.pop()
    outputs = ["y", "y_h"] + ["y_c"] * cell
    node = helper.make_node(op, names, outputs, name="layer", hidden_size=hidden, direction=direction, **attributes)

    def data(t, n):
        values = {"x": make.draw(t, n, inputs)}
        if lengths:
            values["lengths"] = make.rng.integers(1, t + 1, n).astype(np.int32)
        for what in ["h0", "c0"]:
            if optional[what][0]:
                values[what] = make.draw(directions, n, hidden)
        return values

    make.write([node], given, [(what, FLOAT, None) for what in outputs], initializers, [data(t, n) for t, n in sizes])


def body(nodes, inputs, outputs, initializers=()):
    return helper.make_graph(nodes, "body", [info(*i) for i in inputs], [info(*o) for o in outputs], list(initializers))


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def scan_mixed():
    """States of several shapes and types, both directions, other axes, a value from outside."""
    make = Maker("scan_mixed")
    step = body(
        [
            node("Add", "s xt", "s1"),
            node("Add", "n one", "n1"),
            node("Mul", "s1 scale", "o1"),
            node("Greater", "xt zero", "positive"),
            node("Or", "flag positive", "flag1"),
            node("ReduceMax", "yt", "most", keepdims=0),
            node("Cast", "n1", "number", to=FLOAT),
            node("Mul", "most number", "o2"),
            node("Transpose", "yt", "o3", perm=[1, 0]),
        ],
        [("s", FLOAT, ["N"]), ("n", INT64, []), ("flag", BOOL, ["N"]), ("xt", FLOAT, ["N"]), ("yt", FLOAT, [4, 3])],
        [("s1", FLOAT, ["N"]), ("n1", INT64, []), ("flag1", BOOL, ["N"]), ("o1", FLOAT, ["N"]), ("o2", FLOAT, []), ("o3", FLOAT, [3, 4])],
        [stored("one", np.int64(1)), stored("zero", np.float32(0.5))],
    )
    nodes = [
        node("ReduceSum", "s0", "scale", keepdims=0),
        node(
            "Scan", "s0 n0 flag0 x y", "s_end n_end flag_end o1s o2s o3s", name="scan", body=step, num_scan_inputs=2,
            scan_input_axes=[1, 0], scan_input_directions=[1, 0], scan_output_axes=[1, 0, 2], scan_output_directions=[0, 1, 1],
        ),
    ]
    inputs = [info("s0", FLOAT, ["N"]), info("n0", INT64, []), info("flag0", BOOL, ["N"]), info("x", FLOAT, ["N", "T"]), info("y", FLOAT, ["T", 4, 3])]
    outputs = [("s_end", FLOAT, ["N"]), ("n_end", INT64, []), ("flag_end", BOOL, ["N"])]
    outputs += [(what, FLOAT, None) for what in ["o1s", "o2s", "o3s"]]
    sets = [
        {"s0": make.draw(n), "n0": np.array(k), "flag0": make.rng.random(n) > 0.5, "x": make.draw(n, t), "y": make.draw(t, 4, 3)}
        for n, t, k in [(2, 1, 5), (3, 9, -2), (1, 80, 0)]
    ]
    make.write(nodes, inputs, outputs, [], sets)


def scan_conv():
    """A convolutional recurrent network."""
    make = Maker("scan_conv")
    initializers = [stored("k1", make.draw(6, 3, 3, 3) * np.float32(0.2)), stored("k2", make.draw(6, 6, 3, 3) * np.float32(0.2))]
    step = body(
        [node("Conv", "xt k1", "a", pads=[1] * 4), node("Conv", "h k2", "b", pads=[1] * 4), node("Add", "a b", "ab"), node("Tanh", "ab", "h1"), node("Identity", "h1", "o")],
        [("h", FLOAT, ["N", 6, 4, 4]), ("xt", FLOAT, ["N", 3, 4, 4])],
        [("h1", FLOAT, ["N", 6, 4, 4]), ("o", FLOAT, ["N", 6, 4, 4])],
    )
    inputs = [info("h0", FLOAT, ["N", 6, 4, 4]), info("x", FLOAT, ["T", "N", 3, 4, 4])]
    sets = [{"h0": make.draw(n, 6, 4, 4), "x": make.draw(t, n, 3, 4, 4)} for n, t in [(1, 1), (2, 7)]]
    make.write([node("Scan", "h0 x", "h_end all", name="scan", body=step, num_scan_inputs=1)], inputs, [("h_end", FLOAT, None), ("all", FLOAT, None)], initializers, sets)


def scan_swap():
    """Two states that change places."""
    make = Maker("scan_swap")
    step = body(
        # ONNX Runtime's results are not initialized where an input of a body is one of its outputs.
        [node("Add", "a b", "c"), node("Mul", "xt c", "o"), node("Identity", "b", "a1"), node("Identity", "a", "b1")],
        [("a", FLOAT, [3]), ("b", FLOAT, [3]), ("xt", FLOAT, [3])],
        [("a1", FLOAT, [3]), ("b1", FLOAT, [3]), ("o", FLOAT, [3])],
    )
    inputs = [info("a0", FLOAT, [3]), info("b0", FLOAT, [3]), info("x", FLOAT, ["T", 3])]
    sets = [{"a0": make.draw(3), "b0": make.draw(3), "x": make.draw(t, 3)} for t in [1, 4, 5, 90]]
    make.write([node("Scan", "a0 b0 x", "a_end b_end all", name="scan", body=step, num_scan_inputs=1)], inputs, [("a_end", FLOAT, [3]), ("b_end", FLOAT, [3]), ("all", FLOAT, None)], [], sets)


def loop_size():
    """As many steps as a tensor has rows; the number of the step selects one, and whole numbers grow."""
    make = Maker("loop_size")
    step = body(
        [
            node("Gather", "x i", "row", axis=0),
            node("Add", "sum row", "sum1"),
            node("Cast", "i", "number", to=FLOAT),
            node("Mul", "row number", "o"),
            node("Identity", "go", "go1"),
            node("Add", "count i", "count1"),
        ],
        [("i", INT64, []), ("go", BOOL, []), ("sum", FLOAT, [4]), ("count", INT64, [])],
        [("go1", BOOL, []), ("sum1", FLOAT, [4]), ("count1", INT64, []), ("o", FLOAT, [4])],
    )
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "rows", axis=0),
        node("Loop", "rows true sum0 zero", "sum_end count_end all", name="loop", body=step),
    ]
    initializers = [stored("zero", np.int64(0)), stored("true", np.bool_(True))]
    outputs = [("sum_end", FLOAT, [4]), ("count_end", INT64, []), ("all", FLOAT, None)]
    sets = [{"x": make.draw(t, 4), "sum0": make.draw(4)} for t in [1, 3, 77]]
    make.write(nodes, [info("x", FLOAT, ["T", 4]), info("sum0", FLOAT, [4])], outputs, initializers, sets)


def loop_2000():
    """A fixed number of steps that is too large to be written out."""
    make = Maker("loop_2000")
    step = body(
        [node("Mul", "s decay", "d"), node("Add", "d x", "s1"), node("Identity", "go", "go1")],
        [("i", INT64, []), ("go", BOOL, []), ("s", FLOAT, [5])],
        [("go1", BOOL, []), ("s1", FLOAT, [5])],
        [stored("decay", np.float32(0.99))],
    )
    loop = helper.make_node("Loop", ["count", "", "x"], ["y"], name="loop", body=step)
    make.write([loop], [info("x", FLOAT, [5])], [("y", FLOAT, [5])], [stored("count", np.int64(2000))], [{"x": make.draw(5)}])


def main():
    recurrent("lstm_symbolic", "LSTM", "forward")
    recurrent("lstm_bidirectional_lengths", "LSTM", "bidirectional", lengths=True, first=True)
    recurrent("lstm_peepholes", "LSTM", "reverse", [(1, 2), (7, 2), (70, 2)], batch=2, peepholes=True, hidden=8)
    recurrent(
        "lstm_activations", "LSTM", "bidirectional", [(5, 2), (70, 2)], batch=2,
        activations=["HardSigmoid", "ScaledTanh", "Elu", "Sigmoid", "Softsign", "Relu"], activation_alpha=[0.3, 1.1, 0.9], activation_beta=[0.4, 0.8],
    )
    recurrent("lstm_1500", "LSTM", "bidirectional", [(1500, 1)], steps=1500, batch=1, hidden=4)
    recurrent("gru_bidirectional_lengths", "GRU", "bidirectional", lengths=True)
    recurrent("gru_linear_before_reset", "GRU", "reverse", linear_before_reset=1, first=True, hidden=4)
    recurrent("gru_without_bias", "GRU", "forward", [(9, 3)], batch=3, bias=False, hidden=6)
    recurrent("rnn_bidirectional", "RNN", "bidirectional", lengths=True, first=True, activations=["Relu", "Tanh"])
    recurrent("rnn_100", "RNN", "forward", [(100, 2)], steps=100, batch=2, hidden=16)
    for make in [scan_mixed, scan_conv, scan_swap, loop_size, loop_2000]:
        make()


if __name__ == "__main__":
    main()
