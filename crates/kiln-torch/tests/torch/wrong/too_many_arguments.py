# kiln: --input 3,32,32
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, n_chans):
        super().__init__()
        self.conv = nn.Conv2d(n_chans, n_chans, kernel_size=3, padding=1)

    def forward(self, x):
        return F.relu(self.conv(x))


model = nn.Sequential(
    nn.Conv2d(3, 16, kernel_size=3),
    Block(16, 32),
)
