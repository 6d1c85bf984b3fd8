import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        name = f"layer{n}_{n * 1.5:.2f}_{n:>5}_{n!r:<8}_{n:,}_{0.25:%}_{255:#x}_{3:03d}"
        other = "{} {1} {k:>4}".format(1, 2, k=3) if n > 5 else "{:<6}|{:^7}|{:+.1e}".format("a", 2, 3.0)
        third = "%d %s %.3f" % (1, "two", 3.0)
        parts = "a,b,c".split(",") + "x y".split()
        self.k = len(name) + len(other.upper().lower().strip()) + len("-".join(parts)) + len("abc".replace("b", "dd"))
        assert "abc".startswith(("a", "b")) and not "abc".endswith("x") and "12".isdigit() and "b" in "abc"
        setattr(self, f"conv{n}", nn.Conv2d(3, 3, 1))
        self.u = "abc"[1:] + "abc"[::-1] + "x" * 3

    def forward(self, x):
        return getattr(self, "conv3")(x) * self.k
