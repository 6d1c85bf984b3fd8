import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.w = nn.Parameter(torch.randn(3, 1, 1) * 0.1)
        self.register_buffer("pos", torch.arange(16).float().view(1, 1, 16, 1) / 16)
        self.register_buffer("k", torch.tensor([[1.0, 2.0], [3.0, 4.0]]), persistent=False)
        self.e = torch.eye(3)[:2].unsqueeze(0)
        self.z = torch.cat([torch.zeros(1, 2), torch.ones(1, 2), torch.full((1, 2), 0.5), torch.linspace(0, 1, 2).reshape(1, 2)])
        self.register_parameter("s", nn.Parameter(torch.Tensor([1, 2, 3])))
        self.bias = None

    def forward(self, x):
        y = x * self.w + self.pos + self.s.view(1, -1, 1, 1)
        y = y + self.z.sum() + self.k.t().mean() - self.e.max()
        y = torch.where(y > 0, y, torch.zeros_like(y)).clamp(min=0, max=6)
        return F.conv2d(y, self.k.view(1, 1, 2, 2).repeat(3, 1, 1, 1), groups=3)
