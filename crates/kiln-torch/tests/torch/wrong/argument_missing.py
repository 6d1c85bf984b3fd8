# kiln: --input 3,32,32
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16)

    def forward(self, x):
        return self.conv1(x)
