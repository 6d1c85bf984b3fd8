# kiln: --input a=20 --input b=30
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.both = nn.Bilinear(20, 30, 40)

    def forward(self, a, b):
        return self.both(a, b)
