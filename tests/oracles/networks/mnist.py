"""Digit classifiers of the textbooks and lectures."""

import torch
import torch.nn.functional as F
from torch import nn

INPUT = (1, 28, 28)


class FleuretNet(nn.Module):
    """The convolutional network of Fleuret's deep learning course (EPFL, Geneva) for MNIST. Note that it pools before
    the non-linearity, the other way round than most."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=5)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=5)
        self.fc1 = nn.Linear(256, 200)
        self.fc2 = nn.Linear(200, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), kernel_size=3))
        x = F.relu(F.max_pool2d(self.conv2(x), kernel_size=2))
        x = x.view(-1, 256)
        return self.fc2(F.relu(self.fc1(x)))


class LeNet5(nn.Module):
    """LeCun's network as it is usually written today: full connection between the feature maps, average pooling, tanh.
    The first convolution pads 28 x 28 digits to the 32 x 32 of the paper."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(16, 120, kernel_size=5),
            nn.Tanh(),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


def fastai_simple_cnn(batch_norm=False):
    """The network of chapter 13 of fastai's *Deep Learning for Coders*: every convolution halves the image, 28 to 1; the
    first looks at 5 x 5 pixels so that it has more inputs than outputs. Batch normalisation follows the non-linearity in
    that chapter, so only the last one can be folded into the convolution before it. The convolutions then have no bias
    of their own (the book leaves them one)."""

    def conv(inputs, outputs, kernel=3, activation=True):
        layers = [nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=not batch_norm)]
        if activation:
            layers.append(nn.ReLU())
        if batch_norm:
            layers.append(nn.BatchNorm2d(outputs))
        return nn.Sequential(*layers)

    return nn.Sequential(
        conv(1, 8, kernel=5),
        conv(8, 16),
        conv(16, 32),
        conv(32, 64),
        conv(64, 10, activation=False),
        nn.Flatten(),
    )


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 30), nn.ReLU(), nn.Linear(30, 10))
