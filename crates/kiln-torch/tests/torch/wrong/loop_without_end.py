# kiln: --input 784
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        n = 10
        while n > 0:
            x = x * 0.5
        return self.fc(x)
