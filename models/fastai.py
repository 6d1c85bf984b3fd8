"""Networks of *Deep Learning for Coders with fastai and PyTorch* (Howard, Gugger).

    simple_net     chapter 4: is it a three? From 28 x 28 pixels in a row; one score; 23,581 parameters
    simple_cnn     chapter 13: three or seven, from a grey image; two scores; 6,722
    simple_cnn_bn  chapter 13, later: ten digits, with batch normalization; 30,542
    resnet         chapter 14: residual blocks with a deep stem; any colour image of 32 x 32 or more; 10 classes
                   and [2, 2, 2, 2] blocks: 11,200,874 with the default arguments
"""

import torch.nn as nn
import torch.nn.functional as F


# kiln: --input 784
def simple_net():
    return nn.Sequential(nn.Linear(28 * 28, 30), nn.ReLU(), nn.Linear(30, 1))


def conv(ni, nf, ks=3, act=True):
    """Halves the image."""
    res = nn.Conv2d(ni, nf, stride=2, kernel_size=ks, padding=ks // 2)
    if act:
        res = nn.Sequential(res, nn.ReLU())
    return res


# kiln: --input 1,28,28
def simple_cnn():
    return nn.Sequential(
        conv(1, 4),  # 14 x 14
        conv(4, 8),  # 7 x 7
        conv(8, 16),  # 4 x 4
        conv(16, 32),  # 2 x 2
        conv(32, 2, act=False),  # 1 x 1
        nn.Flatten(),
    )


def conv_bn(ni, nf, ks=3, act=True):
    """Halves the image; the normalization comes after the activation."""
    layers = [nn.Conv2d(ni, nf, stride=2, kernel_size=ks, padding=ks // 2)]
    if act:
        layers.append(nn.ReLU())
    layers.append(nn.BatchNorm2d(nf))
    return nn.Sequential(*layers)


# kiln: --input 1,28,28
def simple_cnn_bn():
    return nn.Sequential(
        conv_bn(1, 8, ks=5),  # 5 x 5, so that there is less to say than there was to see
        conv_bn(8, 16),
        conv_bn(16, 32),
        conv_bn(32, 64),
        conv_bn(64, 10, act=False),
        nn.Flatten(),
    )


def conv_layer(ni, nf, ks=3, stride=1, act=True):
    """What the library calls `ConvLayer`: convolution, batch normalization and perhaps an activation."""
    layers = [nn.Conv2d(ni, nf, ks, stride=stride, padding=ks // 2, bias=False), nn.BatchNorm2d(nf)]
    if act:
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def noop(x):
    return x


class ResBlock(nn.Module):
    """Where the shapes differ, the shortcut pools and has a 1 x 1 convolution."""

    def __init__(self, ni, nf, stride=1):
        super().__init__()
        self.convs = nn.Sequential(conv_layer(ni, nf, stride=stride), conv_layer(nf, nf, act=False))
        self.idconv = noop if ni == nf else conv_layer(ni, nf, 1, act=False)
        self.pool = noop if stride == 1 else nn.AvgPool2d(2, ceil_mode=True)

    def forward(self, x):
        return F.relu(self.convs(x) + self.idconv(self.pool(x)))


def resnet_stem(*sizes):
    return [
        conv_layer(sizes[i], sizes[i + 1], 3, stride=2 if i == 0 else 1) for i in range(len(sizes) - 1)
    ] + [nn.MaxPool2d(kernel_size=3, stride=2, padding=1)]


class ResNet(nn.Sequential):
    def __init__(self, n_out, layers, width=64):
        stem = resnet_stem(3, width // 2, width // 2, width)
        sizes = [width] + [width * 2**i for i in range(len(layers))]
        blocks = [
            self._make_layer(idx, n_layers, ni, nf)
            for idx, (n_layers, ni, nf) in enumerate(zip(layers, sizes[:-1], sizes[1:]))
        ]
        super().__init__(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sizes[-1], n_out))

    def _make_layer(self, idx, n_layers, ni, nf):
        stride = 1 if idx == 0 else 2
        return nn.Sequential(
            *[ResBlock(ni if i == 0 else nf, nf, stride if i == 0 else 1) for i in range(n_layers)]
        )


# kiln: --input 3,128,128
def resnet(n_out=10, layers=(2, 2, 2, 2), width=64):
    return ResNet(n_out, layers, width)
