import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

from dataclasses import dataclass


@dataclass
class Config:
    depth: int = 3
    width: int = 4


class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.x = type(self).__name__ + self.__class__.__name__
        print(*self.named_parameters(), sep="")
        for name, m in self.named_modules():
            print(name, hasattr(m, "weight"), isinstance(m, nn.Module), callable(m), id(m))
        self.k = round(math.log2(8)) + int("3") + int(2.5) + abs(-1) + divmod(7, 2)[0] + bool(0) + float("1e3")
        self.z = list(map(lambda a: a + 1, filter(None, reversed(sorted([2, 0, 1]))))) + list(itertools.chain([1], (2,)))
        self.q = any([0, 1]) and all([]) or next(iter([1]), None)
        self.w = Config(3, width=5).width

    def forward(self, x):
        return x * self.k
