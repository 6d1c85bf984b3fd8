"""Digits read as sequences: row by row, and as patches that attend to each other."""

import torch
import torch.nn as nn
import torch.nn.functional as F


# kiln: --input 1,28,28
class RowReader(nn.Module):
    """An LSTM over the rows of an image of half the size, from both ends."""

    def __init__(self, hidden=16, classes=10, layers=1, dropout=0.0):
        super().__init__()
        self.lstm = nn.LSTM(14, hidden, layers, batch_first=True, bidirectional=True, dropout=dropout)
        self.fc = nn.Linear(2 * hidden, classes)

    def forward(self, x):
        rows = F.avg_pool2d(x, 2).squeeze(1)
        _, (h, _) = self.lstm(rows)
        return self.fc(torch.cat([h[-2], h[-1]], dim=1))


# kiln: --input 1,28,28
class PatchEncoder(nn.Module):
    """A transformer over 16 patches (Dosovitskiy et al. 2021)."""

    def __init__(self, width=16, heads=2, layers=2, classes=10, dropout=0.1):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 7, stride=7)
        self.places = nn.Parameter(torch.zeros(1, 16, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width))
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places
        return self.fc(self.encoder(x).mean(dim=1))
