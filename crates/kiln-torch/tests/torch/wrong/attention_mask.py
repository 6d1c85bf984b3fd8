# kiln: --input 16,64
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, batch_first=True), num_layers=2)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(12)
        return self.encoder(x, mask=mask)
