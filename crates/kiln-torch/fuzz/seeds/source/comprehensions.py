import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.m = nn.ModuleList([nn.Conv2d(3, 3, k, padding=k // 2) for k in (1, 3, 5) if k > 1])
        d = {k: v for k, v in zip("ab", range(2))}
        s = {x % 3 for x in range(10)}
        t = tuple(i * j for i in range(3) for j in range(2) if i != j)
        self.total = sum(t) + len(s) + d["b"] + max(t, default=0) + min(3, 4)

    def forward(self, x):
        return torch.cat([m(x) for m in self.m], dim=1) + self.total
