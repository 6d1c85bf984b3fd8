import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(2),
            nn.Conv1d(3, 4, 3),
            nn.MaxPool1d(2),
            nn.AvgPool1d(3, 1, 1),
            nn.BatchNorm1d(4),
            nn.InstanceNorm1d(4),
            nn.AdaptiveAvgPool1d(8),
            nn.ConvTranspose1d(4, 2, 3),
            nn.ZeroPad1d(1),
            nn.ReflectionPad1d(1),
            nn.Dropout1d(),
            nn.LPPool1d(1, 2),
            nn.GLU(1),
        )

    def forward(self, x):
        return self.layers(x)
