"""The networks of chapter 8 of *Deep Learning with PyTorch* (Stevens, Antiga, Viehmann): birds and airplanes from 32 x 32
colour images. They share a shape, so they are written here as variations of it:

    conv 3 -> C, tanh, halve;  conv C -> C/2, tanh, halve;  flatten;  linear -> 32, tanh;  linear -> 2
"""

import torch
import torch.nn.functional as F
from torch import nn

INPUT = (3, 32, 32)


class Net(nn.Module):
    """The first network of its own class. `channels` makes it the book's NetWidth."""

    def __init__(self, channels=16, second=8):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, second, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(8 * 8 * second, 32)
        self.fc2 = nn.Linear(32, 2)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(torch.tanh(self.conv2(x)), 2)
        x = x.view(-1, self.fc1.in_features)
        return self.fc2(torch.tanh(self.fc1(x)))


class NetDropout(Net):
    """Whole channels are dropped in training; in evaluation it is Net again."""

    def __init__(self, channels=32):
        super().__init__(channels, channels // 2)
        self.conv1_dropout = nn.Dropout2d(p=0.4)
        self.conv2_dropout = nn.Dropout2d(p=0.4)

    def forward(self, x):
        x = self.conv1_dropout(F.max_pool2d(torch.tanh(self.conv1(x)), 2))
        x = self.conv2_dropout(F.max_pool2d(torch.tanh(self.conv2(x)), 2))
        x = x.view(-1, self.fc1.in_features)
        return self.fc2(torch.tanh(self.fc1(x)))


class NetBatchNorm(Net):
    """Batch normalisation between each convolution and its tanh."""

    def __init__(self, channels=32):
        super().__init__(channels, channels // 2)
        self.conv1_batchnorm = nn.BatchNorm2d(channels)
        self.conv2_batchnorm = nn.BatchNorm2d(channels // 2)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1_batchnorm(self.conv1(x))), 2)
        x = F.max_pool2d(torch.tanh(self.conv2_batchnorm(self.conv2(x))), 2)
        x = x.view(-1, self.fc1.in_features)
        return self.fc2(torch.tanh(self.fc1(x)))


class NetDepth(nn.Module):
    """One convolution more, relu, and a skip connection around the last one if `residual`: the book's NetRes."""

    def __init__(self, channels=32, residual=False):
        super().__init__()
        self.residual = residual
        self.conv1 = nn.Conv2d(3, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels // 2, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(channels // 2, channels // 2, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(4 * 4 * channels // 2, 32)
        self.fc2 = nn.Linear(32, 2)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2)
        deeper = torch.relu(self.conv3(x))
        x = F.max_pool2d(deeper + x if self.residual else deeper, 2)
        x = x.view(-1, self.fc1.in_features)
        return self.fc2(torch.relu(self.fc1(x)))


class ResBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.batch_norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(self.batch_norm(self.conv(x))) + x


class NetResDeep(nn.Module):
    """Ten residual blocks. The book writes `n_blocks * [ResBlock(...)]`, which is one block applied ten times, with one
    set of weights; `shared=False` makes ten different ones."""

    def __init__(self, channels=32, blocks=10, shared=True):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, kernel_size=3, padding=1)
        stack = blocks * [ResBlock(channels)] if shared else [ResBlock(channels) for _ in range(blocks)]
        self.resblocks = nn.Sequential(*stack)
        self.fc1 = nn.Linear(8 * 8 * channels, 32)
        self.fc2 = nn.Linear(32, 2)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = F.max_pool2d(self.resblocks(x), 2)
        x = x.view(-1, self.fc1.in_features)
        return self.fc2(torch.relu(self.fc1(x)))
