import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        a = [3, 1, 2]
        a.append(4)
        a.extend((5, 6))
        a.insert(0, 9)
        a.pop()
        a.pop(0)
        a.reverse()
        a.sort()
        a[1:2] = [7, 8]
        a[0] += 1
        del a[-1]
        b = a.copy() + a[::-1] + a[-2:] + [0] * 3
        d = dict(a=1, b=2)
        d.update({"c": 3}, e=5)
        d["f"] = d.get("g", 4) + d.pop("a") + d.setdefault("h", 6)
        d = {**d, "z": 0} | {"y": 1}
        s = set(b)
        s.add(3)
        for i, (k, v) in enumerate(d.items()):
            s.add((k, v, i))
        first, *rest = b
        self.k = len(s) + b.index(7) + b.count(0) + first + len(rest) + sum(d.values()) + len(list(d.keys()))
        self.o = OrderedDict([("x", nn.ReLU()), ("y", nn.Tanh())])
        self.s = nn.Sequential(self.o)

    def forward(self, x):
        return self.s(x) + self.k
