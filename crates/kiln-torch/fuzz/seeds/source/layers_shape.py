import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ZeroPad2d((1, 2, 3, 4)),
            nn.ConstantPad2d(1, 3.5),
            nn.ReflectionPad2d(1),
            nn.ReplicationPad2d((1, 0, 2, 1)),
            nn.CircularPad2d(1),
            nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True),
            nn.UpsamplingNearest2d(scale_factor=2),
            nn.UpsamplingBilinear2d(size=(12, 12)),
            nn.PixelUnshuffle(2),
            nn.PixelShuffle(2),
            nn.Flatten(2),
            nn.Unflatten(2, (12, 12)),
            nn.Flatten(),
            nn.Linear(432, 10),
        )

    def forward(self, x):
        return self.layers(x)
