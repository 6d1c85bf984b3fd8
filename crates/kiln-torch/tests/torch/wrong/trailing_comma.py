# kiln: --input 784
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 50),
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        return self.fc2(self.fc1(x).relu())
