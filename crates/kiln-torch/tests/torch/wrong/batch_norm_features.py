# kiln: --input 3,32,32
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(16 * 32 * 32, 10)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        return self.fc(x.flatten(1))
