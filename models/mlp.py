"""Multilayer perceptrons for data in the plane, as in chapter 2 of *Inside Deep Learning* (Raff) and chapter 6 of *Deep
Learning with PyTorch* (Stevens, Antiga, Viehmann).

    Moons       two interleaved half circles: a point in the plane, two scores; 1,082 parameters
    Regression  a curve: a number, the number that belongs to it; 1,153
"""

import torch
import torch.nn as nn


class MLP(nn.Module):
    """Linear layers of these sizes, with tanh between them."""

    def __init__(self, *sizes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in zip(sizes[:-1], sizes[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)


# kiln: --input 2
class Moons(MLP):
    def __init__(self, hidden=30):
        super().__init__(2, hidden, hidden, 2)


# kiln: --input 1
class Regression(MLP):
    def __init__(self, hidden=32):
        super().__init__(1, hidden, hidden, 1)
