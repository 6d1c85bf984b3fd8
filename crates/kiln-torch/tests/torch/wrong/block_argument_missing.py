# kiln: --input 3,32,32
import torch.nn as nn


class ResBlock(nn.Module):
    def __init__(self, n_chans):
        super().__init__()
        self.conv = nn.Conv2d(n_chans, n_chans, kernel_size=3, padding=1)

    def forward(self, x):
        return self.conv(x).relu() + x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, kernel_size=3, padding=1)
        self.block = ResBlock()

    def forward(self, x):
        return self.block(self.conv(x))
