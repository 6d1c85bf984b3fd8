# kiln: --input 28,28
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(28, 64, num_layers=2, batch_first=True)

    def forward(self, x):
        h0 = torch.zeros(1, x.size(0), 64)
        _, h = self.rnn(x, h0)
        return h[-1]
