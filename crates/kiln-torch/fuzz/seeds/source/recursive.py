import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.next = Net(n - 1) if n > 0 else None
        self.a = [1]
        self.a.append(self.a)
        self.s = str(self.a)
        self.d = {"d": {}}
        self.d["d"] = self.d
        self.b = copy.deepcopy(self.a)
        self.e = self.a == self.a

    def forward(self, x):
        return x if self.next is None else self.next(x)
