# kiln: --input 784
import torch.nn as nn


class Net:
    def __init__(self):
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x)
