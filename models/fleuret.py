"""Convolutional networks of François Fleuret's course (EE-559, *Deep Learning*) and of *The Little Book of Deep
Learning*, for digits: they take a grey image of 28 x 28 pixels and give ten scores.

    Net         the LeNet-like one of the first lectures; 105,506 parameters, 1,333,200 multiply-adds
    NetDropout  the same with dropout around the first layer of the perceptron
    ResNet      residual blocks, ten of 16 channels; 47,242 parameters
"""

import torch
from torch import nn
from torch.nn import functional as F


# kiln: --input 1,28,28
class Net(nn.Module):
    """Pools before the non-linearity, which gives the same and computes less."""

    def __init__(self, nb_hidden=200):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=5)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=5)
        self.fc1 = nn.Linear(256, nb_hidden)
        self.fc2 = nn.Linear(nb_hidden, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), kernel_size=3))  # 32 x 8 x 8
        x = F.relu(F.max_pool2d(self.conv2(x), kernel_size=2))  # 64 x 2 x 2
        x = x.view(x.size(0), -1)
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return x


# kiln: --input 1,28,28
class NetDropout(Net):
    """The function does not know what the module is doing, so it has to be told."""

    def __init__(self, nb_hidden=200, p=0.5):
        super().__init__(nb_hidden)
        self.p = p

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), kernel_size=3))
        x = F.relu(F.max_pool2d(self.conv2(x), kernel_size=2))
        x = x.view(x.size(0), -1)
        x = F.dropout(x, p=self.p, training=self.training)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, p=self.p, training=self.training)
        return self.fc2(x)


class ResBlock(nn.Module):
    def __init__(self, nb_channels, kernel_size):
        super().__init__()
        padding = (kernel_size - 1) // 2
        self.conv1 = nn.Conv2d(nb_channels, nb_channels, kernel_size, padding=padding)
        self.bn1 = nn.BatchNorm2d(nb_channels)
        self.conv2 = nn.Conv2d(nb_channels, nb_channels, kernel_size, padding=padding)
        self.bn2 = nn.BatchNorm2d(nb_channels)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x
        return F.relu(y)


# kiln: --input 1,28,28
class ResNet(nn.Module):
    def __init__(self, nb_channels=16, kernel_size=3, nb_blocks=10):
        super().__init__()
        self.conv0 = nn.Conv2d(1, nb_channels, kernel_size=1)
        self.resnet_blocks = nn.Sequential(*(ResBlock(nb_channels, kernel_size) for _ in range(nb_blocks)))
        self.avg = nn.AvgPool2d(kernel_size=28)
        self.fc = nn.Linear(nb_channels, 10)

    def forward(self, x):
        x = F.relu(self.conv0(x))
        x = self.resnet_blocks(x)
        x = F.relu(self.avg(x))
        x = x.flatten(1)
        return self.fc(x)
