# kiln: --input 784
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = self.make_layers(784, 50)
        self.head = nn.Linear(self.hidden, 10)
        self.hidden = 50

    def make_layers(self, n_in, n_out):
        return nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU())

    def forward(self, x):
        return self.head(self.body(x))
