"""Recurrent layers in plain numpy, one sequence and one step at a time, as ONNX's equations say."""

import numpy as np

sigmoid = lambda x: 1 / (1 + np.exp(-x))
relu = lambda x: np.maximum(x, 0)
softsign = lambda x: x / (1 + np.abs(x))
leaky_relu = lambda alpha: lambda x: np.where(x >= 0, x, alpha * x)
hard_sigmoid = lambda alpha, beta: lambda x: np.clip(alpha * x + beta, 0, 1)


def clipped(function, clip):
    return function if clip is None else lambda x: function(np.clip(x, -clip, clip))


def walk(x, w, r, b, lengths, h0, c0, reverse, step):
    """`step(direction, projected by W, state h, state c)` gives the new states; all sequences, all directions."""
    steps, batch, _ = x.shape
    directions, _, hidden = r.shape
    y = np.zeros((steps, directions, batch, hidden))
    for d in range(directions):
        for n in range(batch):
            h = np.zeros(hidden) if h0 is None else h0[d, n].astype(np.float64)
            c = np.zeros(hidden) if c0 is None else c0[d, n].astype(np.float64)
            length = steps if lengths is None else lengths[n]
            for t in reversed(range(length)) if reverse[d] else range(length):
                h, c = step(d, w[d].astype(np.float64) @ x[t, n], h, c)
                y[t, d, n] = h
    return y


def biases(b, d, gates, hidden):
    size = gates * hidden
    return (np.zeros(size), np.zeros(size)) if b is None else (b[d, :size], b[d, size:])


def rnn(x, w, r, b=None, lengths=None, h0=None, reverse=(False,), functions=(np.tanh,), clip=None):
    def step(d, at, h, c):
        wb, rb = biases(b, d, 1, len(h))
        return clipped(functions[d], clip)(at + r[d] @ h + wb + rb), c

    return walk(x, w, r, b, lengths, h0, None, reverse, step)


def gru(x, w, r, b=None, lengths=None, h0=None, reverse=(False,), gate=sigmoid, hidden=np.tanh, clip=None, linear_before_reset=False):
    def step(d, at, h, c):
        n = len(h)
        wb, rb = biases(b, d, 3, n)
        at = at + wb
        z = clipped(gate, clip)(at[:n] + r[d, :n] @ h + rb[:n])
        reset = clipped(gate, clip)(at[n : 2 * n] + r[d, n : 2 * n] @ h + rb[n : 2 * n])
        rh, rbh = r[d, 2 * n :], rb[2 * n :]
        inner = reset * (rh @ h + rbh) if linear_before_reset else rh @ (reset * h) + rbh
        return (1 - z) * clipped(hidden, clip)(at[2 * n :] + inner) + z * h, c

    return walk(x, w, r, b, lengths, h0, None, reverse, step)


def lstm(x, w, r, b=None, lengths=None, h0=None, c0=None, p=None, reverse=(False,), clip=None, input_forget=False):
    gate, cell = clipped(sigmoid, clip), clipped(np.tanh, clip)

    def step(d, at, h, c):
        n = len(h)
        wb, rb = biases(b, d, 4, n)
        sums = np.split(at + r[d] @ h + wb + rb, 4)
        pi, po, pf = np.zeros((3, n)) if p is None else np.split(p[d], 3)
        i = gate(sums[0] + pi * c)
        f = 1 - i if input_forget else gate(sums[2] + pf * c)
        new = f * c + i * cell(sums[3])
        return gate(sums[1] + po * new) * cell(new), new

    return walk(x, w, r, b, lengths, h0, c0, reverse, step)
