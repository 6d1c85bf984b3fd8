# kiln: --input 3,32,32
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch1 = nn.Conv2d(3, 8, kernel_size=1)
        self.branch3 = nn.Conv2d(3, 8, kernel_size=3)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = torch.cat([self.branch1(x), self.branch3(x)], dim=1)
        x = x.mean(dim=(2, 3))
        return self.fc(x)
