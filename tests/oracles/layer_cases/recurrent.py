"""Recurrent layers and cells."""

from .case import Case

T = "4,3"
LSTM = "o, (h, c) = self.layer({}); return o, h, c"
OTHER = "o, h = self.layer({}); return o, h"
STEPS = "h = None; outs = []; \nfor t in range(x.size(1)):\n    h = self.layer(x[:, t], h)\n    outs.append({})\nreturn torch.stack(outs, 1)"


def lstm(name, init, given="x", *inputs):
    return Case(name, inputs or (T,), init, LSTM.format(given))


def other(name, init, given="x", *inputs):
    return Case(name, inputs or (T,), init, OTHER.format(given))


CASES = [
    lstm("lstm", "nn.LSTM(3, 5, batch_first=True)"),
    lstm("lstm_steps_first", "nn.LSTM(3, 5)", "x.transpose(0, 1)"),
    lstm("lstm_one_step", "nn.LSTM(3, 5, batch_first=True)", "x", "1,3"),
    lstm("lstm_layers", "nn.LSTM(3, 5, 3, batch_first=True, dropout=0.5)"),
    lstm("lstm_bidirectional", "nn.LSTM(3, 4, bidirectional=True, batch_first=True)"),
    lstm("lstm_bidirectional_layers", "nn.LSTM(3, 4, num_layers=2, bidirectional=True)", "x.permute(1, 0, 2)"),
    lstm("lstm_no_bias", "nn.LSTM(3, 5, 2, False, True)"),
    lstm("lstm_first", "nn.LSTM(3, 5, batch_first=True)", "x, (y.transpose(0, 1), y.transpose(0, 1) * 2)", T, "1,5"),
    lstm("lstm_first_layers", "nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True)", "x, (y.transpose(0, 1), y.transpose(0, 1).neg())", T, "4,4"),
    lstm("lstm_first_zeros", "nn.LSTM(3, 4, batch_first=True)", "x, (torch.zeros(1, x.size(0), 4), torch.ones(1, x.size(0), 4))"),
    lstm("lstm_first_named", "nn.LSTM(3, 4, batch_first=True)", "x, hx=[torch.zeros(1, x.size(0), 4), torch.ones(1, x.size(0), 4)]"),
    lstm("lstm_unbatched", "nn.LSTM(3, 5, 2, batch_first=True, bidirectional=True)", "x.sum(0)"),
    lstm("lstm_unbatched_first", "nn.LSTM(3, 5, 2)", "x.sum(0), (torch.ones(2, 5), torch.ones(2, 5) * 0.5)"),
    Case("lstm_last", (T,), "nn.LSTM(3, 5, bidirectional=True, batch_first=True)", "_, (h, _) = self.layer(x); return torch.cat([h[-2], h[-1]], 1)"),
    Case("lstm_flattened_parameters", (T,), "nn.LSTM(3, 5, batch_first=True)", "self.layer.flatten_parameters(); return self.layer(x)[0]"),
    Case("lstm_attributes", (T,), "nn.LSTM(3, 5, batch_first=True)", "return self.layer(x)[0] * self.layer.hidden_size + self.layer.num_layers * (2 if self.layer.bidirectional else 1)"),
    other("gru", "nn.GRU(3, 5, batch_first=True)"),
    other("gru_one_step", "nn.GRU(3, 5)", "x.transpose(0, 1)", "1,3"),
    other("gru_layers", "nn.GRU(3, 5, num_layers=2, bidirectional=True, dropout=0.1)", "x.transpose(0, 1)"),
    other("gru_no_bias", "nn.GRU(3, 5, bias=False, batch_first=True)"),
    other("gru_first", "nn.GRU(3, 5, 2, batch_first=True)", "x, y.transpose(0, 1)", T, "2,5"),
    other("gru_unbatched", "nn.GRU(3, 5)", "x.sum(0), torch.ones(1, 5)"),
    other("rnn", "nn.RNN(3, 5, batch_first=True)"),
    other("rnn_relu", "nn.RNN(3, 5, 2, 'relu', batch_first=True)"),
    other("rnn_options", "nn.RNN(3, 5, 2, nonlinearity='relu', bias=False, bidirectional=True)", "x.transpose(0, 1)"),
    other("rnn_first", "nn.RNN(3, 5, batch_first=True, bidirectional=True)", "x, y.transpose(0, 1)", T, "2,5"),
    Case("lstm_cell", (T,), "nn.LSTMCell(3, 5)", STEPS.format("torch.cat(h, 1)")),
    Case("lstm_cell_first", (T, "5"), "nn.LSTMCell(3, 5, bias=False)", "h, c = self.layer(x[:, 0], (y, y * 2)); return h, c"),
    Case("lstm_cell_unbatched", (T,), "nn.LSTMCell(3, 5)", "x = x.sum(0); h, c = self.layer(x[0]); h, c = self.layer(x[1], (h, c)); return h, c"),
    Case("gru_cell", (T,), "nn.GRUCell(3, 5)", STEPS.format("h")),
    Case("gru_cell_unbatched", (T,), "nn.GRUCell(3, 5, bias=False)", "x = x.sum(0); return self.layer(x[0], self.layer(x[1]))"),
    Case("rnn_cell", (T,), "nn.RNNCell(3, 5)", STEPS.format("h")),
    Case("rnn_cell_relu", (T, "5"), "nn.RNNCell(3, 5, nonlinearity='relu')", "return self.layer(x[:, 1], y)"),
]
