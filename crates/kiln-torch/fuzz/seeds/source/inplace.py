import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.c = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        y = x.clone()
        y += self.c(x)
        y *= 2
        y[:, 0] = 1
        y[:, 1:, 2] += x[:, 1:, 2]
        y.relu_().add_(1).div_(x.size(0) * 2)
        n = x.size(0) // 1
        assert x.dim() == 4 and x.shape[1] == 3
        if n > 0 and x.size(2) >= 16:
            y = y.view(n, -1)
        return {"out": y, "two": [y + 1, (y - 1,)]}
