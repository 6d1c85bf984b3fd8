import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.a = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 3, 1), act=nn.ReLU()))
        self.b = nn.ModuleList()
        for i in range(3):
            self.b.append(nn.Conv2d(3, 3, 3, padding=1))
        self.b.extend([nn.ReLU()])
        self.b.insert(1, nn.Tanh())
        self.c = nn.ModuleDict({"x": nn.Identity(), "y": self.a})
        self.c["z"] = nn.Sigmoid()
        self.p = nn.ParameterList([nn.Parameter(torch.ones(3, 1, 1)) for _ in range(2)])
        self.add_module("d", nn.Sequential(*[self.a[0], self.a[:1]]))
        self.a.append(copy.deepcopy(self.d))

    def forward(self, x):
        x = self.a(x)
        for m in self.b:
            x = m(x)
        for k in self.c:
            x = self.c[k](x)
        x = self.d(x) * self.p[0] + self.p[-1]
        return x + len(self.b)
