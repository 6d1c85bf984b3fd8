"""Convolutional networks of *Inside Deep Learning* (Raff), chapters 3 to 6. They take a grey image of 28 x 28 pixels and
give ten scores.

    simple_cnn      chapter 3: one convolution, tanh, one linear layer             125,610 parameters
    deep_cnn        chapter 3: three convolutions before each of two poolings      129,002
    batch_norm_cnn  chapter 6: leaky relu and batch normalization                  129,274
    SkipNet         chapter 6: the outputs of all layers of a block, concatenated   15,986
    ResidualNet     chapter 6: residual blocks, then narrow ones (bottlenecks)      16,778
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

# Width, height and channels of a digit, and how many there are.
W, H, C = 28, 28, 1
classes = 10


# kiln: --input 1,28,28
def simple_cnn(filters=16, K=3):
    return nn.Sequential(
        nn.Conv2d(C, filters, K, padding=K // 2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(filters * W * H, classes),
    )


def getLayer(in_channels, out_channels, kernel_size=3):
    """A convolution that keeps the size of the image, with its activation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2),
        nn.Tanh(),
    )


# kiln: --input 1,28,28
def deep_cnn(n_filters=16, depth=3):
    layers = [getLayer(C, n_filters)]
    layers.extend([getLayer(n_filters, n_filters) for _ in range(depth - 1)])
    layers.append(nn.MaxPool2d((2, 2)))
    layers.append(getLayer(n_filters, 2 * n_filters))
    layers.extend([getLayer(2 * n_filters, 2 * n_filters) for _ in range(depth - 1)])
    layers.append(nn.MaxPool2d((2, 2)))
    # Two poolings have left a quarter of the width and of the height.
    D = 2 * n_filters * (W // 4) * (H // 4)
    layers += [nn.Flatten(), nn.Linear(D, 4 * n_filters), nn.Tanh(), nn.Linear(4 * n_filters, classes)]
    return nn.Sequential(*layers)


def cnnLayer(in_filters, out_filters=None, kernel_size=3, leak_rate=0.1):
    """Convolution, batch normalization, leaky relu; as many filters as before if not said otherwise."""
    if out_filters is None:
        out_filters = in_filters
    return nn.Sequential(
        nn.Conv2d(in_filters, out_filters, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_filters),
        nn.LeakyReLU(leak_rate),
    )


# kiln: --input 1,28,28
def batch_norm_cnn(n_filters=16, leak_rate=0.1):
    return nn.Sequential(
        cnnLayer(C, n_filters, leak_rate=leak_rate),
        *[cnnLayer(n_filters, leak_rate=leak_rate) for _ in range(2)],
        nn.MaxPool2d(2),
        cnnLayer(n_filters, 2 * n_filters, leak_rate=leak_rate),
        *[cnnLayer(2 * n_filters, leak_rate=leak_rate) for _ in range(2)],
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * n_filters * W * H // 16, 64),
        nn.BatchNorm1d(64),
        nn.LeakyReLU(leak_rate),
        nn.Linear(64, classes),
    )


class SkipBlock(nn.Module):
    """Layers in a row, whose outputs are all put beside each other before a last one looks at them."""

    def __init__(self, n_layers, in_filters, out_filters):
        super().__init__()
        self.layers = nn.ModuleList(
            [cnnLayer(in_filters if i == 0 else out_filters, out_filters) for i in range(n_layers)]
        )
        self.combine = cnnLayer(n_layers * out_filters, out_filters, kernel_size=1)

    def forward(self, x):
        activations = []
        for layer in self.layers:
            x = layer(x)
            activations.append(x)
        return self.combine(torch.cat(activations, dim=1))


# kiln: --input 1,28,28
class SkipNet(nn.Module):
    def __init__(self, n_filters=8, n_layers=3, n_blocks=2):
        super().__init__()
        self.n_blocks = n_blocks
        for i in range(n_blocks):
            inputs = C if i == 0 else n_filters * 2 ** (i - 1)
            self.add_module(f"block{i + 1}", SkipBlock(n_layers, inputs, n_filters * 2**i))
        self.pred = nn.Linear(n_filters * 2 ** (n_blocks - 1) * (W >> n_blocks) * (H >> n_blocks), classes)

    def forward(self, x):
        for i in range(self.n_blocks):
            block = getattr(self, f"block{i + 1}")
            x = F.max_pool2d(block(x), kernel_size=2)
        return self.pred(x.flatten(start_dim=1))


class ResidualBlock(nn.Module):
    """Two layers and a way around them; it has a convolution of its own where the number of filters changes."""

    def __init__(self, in_filters, out_filters, kernel_size=3, leak_rate=0.1):
        super().__init__()
        self.leak_rate = leak_rate
        self.body = self.path(in_filters, out_filters, kernel_size)
        self.shortcut = nn.Identity()
        if in_filters != out_filters:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_filters, out_filters, 1, bias=False), nn.BatchNorm2d(out_filters)
            )

    def path(self, in_filters, out_filters, kernel_size):
        return nn.Sequential(
            cnnLayer(in_filters, out_filters, kernel_size, self.leak_rate),
            nn.Conv2d(out_filters, out_filters, kernel_size, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(out_filters),
        )

    def forward(self, x):
        return F.leaky_relu(self.shortcut(x) + self.body(x), negative_slope=self.leak_rate)


class ResidualBottleneck(ResidualBlock):
    """Three layers: to few filters, among them, and back to many."""

    def path(self, in_filters, out_filters, kernel_size):
        narrow = max(out_filters // 4, in_filters // 4, 1)
        layers = [
            cnnLayer(in_filters, narrow, 1, self.leak_rate),
            cnnLayer(narrow, narrow, kernel_size, self.leak_rate),
            cnnLayer(narrow, out_filters, 1, self.leak_rate),
        ]
        # The activation of the last one comes after the sum.
        layers[-1] = layers[-1][:-1]
        return nn.Sequential(*layers)


# kiln: --input 1,28,28
class ResidualNet(nn.Module):
    def __init__(self, n_filters=16, leak_rate=0.1, dropout=0.2):
        super().__init__()
        sizes = [n_filters, 2 * n_filters, 4 * n_filters]
        self.first = ResidualBlock(C, n_filters, leak_rate=leak_rate)
        self.stages = nn.ModuleList()
        for before, after in zip(sizes, sizes[1:]):
            blocks = [ResidualBottleneck(n, after, leak_rate=leak_rate) for n in (before, after)]
            self.stages.append(nn.Sequential(nn.MaxPool2d(2), *blocks))
        self.dropout = dropout
        self.pred = nn.Linear(sizes[-1], classes)

    def forward(self, x):
        x = self.first(x)
        for stage in self.stages:
            x = stage(x)
        x = F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)
        if self.training and self.dropout > 0:
            x = F.dropout(x, self.dropout)
        return self.pred(x)
