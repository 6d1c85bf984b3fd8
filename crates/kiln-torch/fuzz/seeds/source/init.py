import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3)
        self.l = nn.Linear(8, 2)
        nn.init.kaiming_normal_(self.c.weight, mode="fan_out", nonlinearity="relu")
        nn.init.xavier_uniform_(self.l.weight, gain=nn.init.calculate_gain("tanh"))
        nn.init.orthogonal_(self.l.weight, gain=0.5)
        nn.init.trunc_normal_(self.l.weight, std=0.02, a=-1, b=1)
        nn.init.uniform_(self.c.bias, -0.1, 0.1)
        nn.init.zeros_(self.l.bias)
        nn.init.dirac_(self.c.weight)
        nn.init.eye_(self.l.weight)
        self.l.weight.data.normal_(0, 0.01)
        self.l.bias.data.fill_(0.5)
        with torch.no_grad():
            self.l.weight.mul_(2).clamp_(-1, 1)
        self.apply(self.setup)
        for p in self.parameters():
            p.requires_grad = False
        self.count = sum(p.numel() for p in self.parameters() if p.requires_grad)

    def forward(self, x):
        return self.l(self.c(x).mean((2, 3)))
        
    @staticmethod
    def setup(m):
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(m.weight, 0, 0.02)
            nn.init.constant_(m.bias, 0)
