# kiln: --input 4,6
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(6, 4, 2, nonlinearity="relu", bidirectional=True, batch_first=True, dropout=0.1)
        self.lstm = nn.LSTM(8, 6, batch_first=True)
        self.cell = nn.GRUCell(6, 6)
        self.attention = nn.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True)
        layer = nn.TransformerEncoderLayer(6, 3, 8, norm_first=True, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(6))
        self.decoder = nn.TransformerDecoderLayer(6, 2, 8, activation="gelu", batch_first=True)

    def forward(self, x):
        y, h = self.rnn(x)
        y, (h, c) = self.lstm(y, (torch.zeros(1, x.size(0), 6), torch.ones(1, x.size(0), 6)))
        h = self.cell(y[:, 0], h[0])
        mask = nn.Transformer.generate_square_subsequent_mask(4)
        z, w = self.attention(y, x, x, attn_mask=None, average_attn_weights=False)
        z = self.encoder(z, mask, src_key_padding_mask=x[:, :, 0] > 0.5)
        z = self.decoder(z, y, tgt_mask=mask)
        return F.scaled_dot_product_attention(z, y, x, is_causal=True) + h.unsqueeze(1), w, c
