import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Unflatten(1, (1, 3)),
            nn.Conv3d(1, 2, 3, padding=1),
            nn.MaxPool3d(1),
            nn.BatchNorm3d(2),
            nn.AvgPool3d(2),
            nn.AdaptiveAvgPool3d(1),
            nn.ConvTranspose3d(2, 1, 2),
            nn.ZeroPad3d(1),
            nn.Dropout3d(),
            nn.InstanceNorm3d(1),
        )

    def forward(self, x):
        return self.layers(x)
