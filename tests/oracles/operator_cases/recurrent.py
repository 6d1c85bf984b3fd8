"""Recurrent layers: what the suite of ONNX leaves out, with a batch that is a symbol."""

from .case import Batch, Const, Fixed, Weight, case


def layer(name, op, gates, *, steps=3, batch=2, size=4, hidden=3, directions=1, bias=True, lengths=None, state=False, cell=False, peepholes=False, outputs=2, batch_first=False, **attributes):
    """Weights are small, so that gates stay where their functions bend."""
    small = lambda *shape: Weight(*shape, draw="unit")
    x = Batch(steps, size) if batch_first else Fixed(steps, batch, size)
    first = lambda: Batch(directions, hidden) if batch_first else Fixed(directions, batch, hidden)
    inputs = [
        x,
        small(directions, gates * hidden, size),
        small(directions, gates * hidden, hidden),
        small(directions, 2 * gates * hidden) if bias else None,
        None if lengths is None else Const(lengths, "int32"),
        first() if state else None,
        first() if cell else None,
        small(directions, 3 * hidden) if peepholes else None,
    ]
    while inputs[-1] is None:
        inputs.pop()
    layout = {"layout": 1} if batch_first else {}
    return case(name, op, inputs, outputs=outputs, hidden_size=hidden, **layout, **attributes)


CASES = [
    layer("rnn_plain", "RNN", 1),
    layer("rnn_lengths_reverse", "RNN", 1, steps=4, batch=3, lengths=[4, 1, 3], direction="reverse", state=True),
    layer("rnn_relu_clip", "RNN", 1, activations=["Relu"], clip=0.4),
    layer("rnn_bidirectional_alphas", "RNN", 1, directions=2, direction="bidirectional", activations=["LeakyRelu", "HardSigmoid"], activation_alpha=[0.1, 0.3], activation_beta=[0.4]),
    layer("gru_plain", "GRU", 3, steps=4, state=True),
    layer("gru_linear_before_reset", "GRU", 3, steps=4, linear_before_reset=1),
    layer("gru_without_bias", "GRU", 3, bias=False, state=True),
    layer("gru_bidirectional_lengths", "GRU", 3, steps=4, batch=3, directions=2, direction="bidirectional", lengths=[2, 4, 1], linear_before_reset=1),
    layer("gru_softsign_clip", "GRU", 3, activations=["HardSigmoid", "Softsign"], clip=0.5),
    layer("lstm_plain", "LSTM", 4, steps=4, state=True, cell=True, outputs=3),
    layer("lstm_peepholes_lengths", "LSTM", 4, steps=4, batch=3, lengths=[4, 2, 3], peepholes=True, cell=True, outputs=3),
    layer("lstm_bidirectional", "LSTM", 4, directions=2, direction="bidirectional", outputs=3),
    layer("lstm_reverse_clip", "LSTM", 4, direction="reverse", clip=0.3, outputs=3),
    layer("lstm_input_forget", "LSTM", 4, input_forget=1, outputs=3),
]
