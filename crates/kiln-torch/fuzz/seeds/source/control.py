import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

def outer(a):
    count = 0

    def inner(*args, b=1, **kwargs):
        nonlocal count
        count += a
        return count + b + len(args) + len(kwargs)

    inner(1, 2, c=3)
    return inner


class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        i = 0
        while i < 10:
            i += 1
            if i == 3:
                continue
            elif i > 7:
                break
        else:
            i = 100
        for j in range(10, 0, -3):
            i -= j if j % 2 else -j
        try:
            raise ValueError("no")
        except (ValueError, KeyError) as e:
            self.e = str(e)
        else:
            self.e = ""
        finally:
            i //= 2
        with torch.no_grad():
            i <<= 1
        assert i is not None, "i"
        self.i = (lambda a, b=2: a ** b)(i) & 7 | 1 ^ 2
        f = functools.partial(pow, 2)
        self.i += f(3) + functools.reduce(lambda a, b: a + b, [1, 2]) + outer(2)(3)
        if (k := i) > 3 and not (i < 0 or i >= 1000):
            self.k = ~k

    def forward(self, x):
        if self.training:
            x = x + 1
        for _ in range(self.i % 4):
            x = F.relu(x)
        return x
