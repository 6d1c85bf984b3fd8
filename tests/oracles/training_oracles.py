"""What a few steps of PyTorch make of networks whose gradients do not go everywhere, or whose parts do not all train.

`fixtures/training.json` has "alpha_dropout", what becomes of an element 1 that is kept and of one that is dropped, by
the share that is dropped; and "cases", each with

- "name", "source": a file with a class `Net`, which a test reads as it stands;
- "input": the shape of one sample; "loss": "mse" against values or "cross_entropy" against classes;
- "batches": of each micro-batch the number of its optimizer step. The gradients of those that belong to one step are
  divided by "accumulate" and added up, as in the usual loop; a number that is there less often than that is the rest of an
  epoch;
- "ignore_index" and "ignored": each how many-th target does not count;
- "optimizers": for each, the losses of all batches and the state dict after the last, in full.

Weights come from the formula in `source_oracles.py`, inputs and targets of batch k from `noise(100 + k)` and
`noise(200 + k)`, as there. All is computed with double precision. `model.train()` is called before each epoch (of one
batch, but for cases that say otherwise), unless the case is about what a constructor has put into evaluation.
"""

import importlib.util
import json
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from source_oracles import formula
from trace_oracles import noise

BATCH = 6
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\n"

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


@dataclass(frozen=True)
class Case:
    name: str
    init: str
    forward: str
    input: tuple = (5,)
    # Further methods of the class.
    others: str = ""
    # Functions and classes in front of it.
    before: str = ""
    loss: str = "mse"
    # Of each micro-batch, its step.
    batches: tuple = (0, 1, 2)
    accumulate: int = 1
    # The first batch of each epoch, in front of which stands `model.train()`.
    epochs: tuple = (0, 1, 2)
    ignored: int = 0
    decorator: str = ""


AB = "self.a = nn.Linear(5, 4)\nself.f = nn.Linear(4, 3)"
BN = "self.c = nn.Linear(5, 4)\nself.b = nn.BatchNorm1d(4)\nself.f = nn.Linear(4, 3)"
THROUGH = "return self.f(self.b(self.c(x)))"
IMAGES = "self.c = nn.Conv2d(2, 3, 1)\nself.b = nn.BatchNorm2d(3)\nself.f = nn.Linear(12, 3)"
WORDS = "i = (x.abs() * 6).long()\n"
TABLE = "self.e = nn.Embedding(6, 4{})\nself.f = nn.Linear(20, 3)"

LSTM = "self.a = nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True)\nself.f = nn.Linear(8, 3)"
HEADS = "self.a = nn.MultiheadAttention(6, 2, batch_first=True)\nself.f = nn.Linear(6, 3)"
ENCODER = "nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)"

CASES = [
    Case("detach", AB, "h = torch.tanh(self.a(x))\nreturn self.f(h.detach())"),
    Case("detach_function", AB, "h = torch.tanh(self.a(x))\nreturn self.f(torch.detach(h) + h)"),
    Case("data", AB, "h = torch.tanh(self.a(x))\nreturn self.f(h.data * h)"),
    Case("weight_detach", AB, "return self.f(F.linear(x, self.a.weight.detach(), self.a.bias))"),
    Case("weight_data", AB, "return self.f(F.linear(x, self.a.weight.data[:, :], self.a.bias))"),
    Case("no_grad", AB, "with torch.no_grad():\n    h = torch.tanh(self.a(x))\nreturn self.f(h)"),
    Case("no_grad_part", AB, "h = self.a(x)\nwith torch.no_grad():\n    s = h.abs().mean(1, keepdim=True)\nreturn self.f(h / (1 + s))"),
    Case("no_grad_view", AB, "h = torch.tanh(self.a(x))\nwith torch.no_grad():\n    v = h.view(h.shape)\n    w = h[:]\n    u = h\nreturn self.f(v * w + u)"),
    Case("no_grad_in_place", AB, "h = self.a(x)\nwith torch.no_grad():\n    h.add_(0.5)\n    h[:, 0] = 2\nreturn self.f(h)"),
    Case("no_grad_decorator", AB, "return self.f(self.body(x) + self.a(x))", others="@torch.no_grad()\ndef body(self, x):\n    return torch.tanh(self.a(x))"),
    Case("no_grad_bare_decorator", AB, "return self.f(self.body(x))", others="@torch.no_grad\ndef body(self, x):\n    return torch.tanh(self.a(x))"),
    Case("no_grad_function", AB, "return self.f(body(self.a, x))", before="@torch.no_grad()\ndef body(layer, x):\n    return layer(x)\n\n\n"),
    Case("inference_mode", AB, "with torch.inference_mode():\n    h = torch.tanh(self.a(x))\nreturn self.f(h.clone())"),
    Case("enable_grad", AB, "with torch.no_grad():\n    h = self.a(x)\n    with torch.enable_grad():\n        g = self.a(x) * h\n    k = self.a(x)\nreturn self.f(g + k)"),
    Case("set_grad_enabled", AB, "torch.set_grad_enabled(False)\nh = self.a(x)\ntorch.set_grad_enabled(True)\nreturn self.f(h * 2)"),
    Case("set_grad_enabled_with", AB, "with torch.set_grad_enabled(not self.training):\n    h = self.a(x)\nassert torch.is_grad_enabled()\nreturn self.f(h)"),
    Case("straight_through", AB, "h = self.a(x)\nreturn self.f(h + (torch.round(h) - h).detach())"),
    Case("rounded", AB, "return self.f(x[:, :4] + torch.round(self.a(x)))"),
    Case("compared", AB, "return self.f(x[:, :4] * (self.a(x) > 0).float())"),
    Case("tensor_of", AB, "h = self.a(x)\nreturn self.f(torch.tensor(h) * h)"),
    Case("requires_grad_false", AB + "\nself.a.weight.requires_grad = False", "return self.f(torch.tanh(self.a(x)))"),
    Case("module_requires_grad", AB + "\nself.a.requires_grad_(False)", "return self.f(torch.tanh(self.a(x)))"),
    Case("frozen_in_train", AB, "return self.f(torch.tanh(self.a(x)))", others="def train(self, mode=True):\n    super().train(mode)\n    for p in self.a.parameters():\n        p.requires_grad_(not mode)\n    return self"),
    Case("kept_alive", AB, "with torch.no_grad():\n    self.a.eval()\nassert self.f.weight.requires_grad and not self.a.weight.detach().requires_grad\nh = self.a(x)\nassert h.requires_grad and not h.detach().requires_grad\nreturn self.f(h)"),
    Case("unused", AB + "\nself.u = nn.Linear(4, 4)\nself.p = nn.Parameter(torch.ones(3))", "return self.f(self.a(x))"),
    Case("unused_output", AB + "\nself.g = nn.Linear(4, 2)", "h = self.a(x)\nreturn self.f(h), self.g(h)"),
    Case("zero_gradient", AB + "\nself.p = nn.Parameter(torch.ones(3))", "return self.f(self.a(x)) + self.p * torch.zeros(3)"),
    Case("padding_idx", TABLE.format(", padding_idx=0"), WORDS + "return self.f(self.e(i).flatten(1))"),
    Case("padding_idx_negative", TABLE.format(", padding_idx=-2"), WORDS + "return self.f(self.e(i).flatten(1))"),
    Case("f_embedding_padding", TABLE.format(""), WORDS + "return self.f(F.embedding(i, self.e.weight, padding_idx=-5).flatten(1))"),
    Case("by_frequency", TABLE.format(", scale_grad_by_freq=True"), WORDS + "return self.f(self.e(i).flatten(1))"),
    Case("by_frequency_padded", TABLE.format(", padding_idx=2, scale_grad_by_freq=True"), WORDS + "return self.f(self.e(i).flatten(1))"),
    Case("embedding_tied", TABLE.format(", padding_idx=1"), WORDS + "return self.f(self.e(i).flatten(1)) + self.e.weight[:1, :3]"),
    Case("batch_norm_eval", BN, "self.b.eval()\n" + THROUGH),
    Case("batch_norm_eval_train", BN, THROUGH, others="def train(self, mode=True):\n    super().train(mode)\n    self.b.eval()\n    return self"),
    Case("batch_norm_eval_if", BN, THROUGH, others="def train(self, mode=True):\n    super().train(mode)\n    if mode:\n        for m in self.modules():\n            if isinstance(m, nn.BatchNorm1d):\n                m.eval()"),
    Case("batch_norm_eval_init", BN + "\nself.b.eval()", THROUGH, epochs=()),
    Case("batch_norm_mode", BN, "self.b.training = False\n" + THROUGH),
    Case("batch_norm_train_false", IMAGES, "self.b.train(False)\nreturn self.f(self.b(self.c(x)).flatten(1))", input=(2, 2, 2)),
    Case("batch_norm_frozen_weight", BN + "\nself.b.weight.requires_grad = False", "self.b.eval()\n" + THROUGH),
    Case("batch_norm_and_frozen", BN, "h = self.b(self.c(x))\nself.b.eval()\nh = self.b(h)\nself.b.train()\nreturn self.f(h)"),
    Case("batch_norm_untracked", BN.replace("(4)", "(4, track_running_stats=False)"), "self.b.eval()\n" + THROUGH),
    Case("batch_norm_untracked_later", BN + "\nself.b.track_running_stats = False", THROUGH),
    Case("f_batch_norm", BN, "h = F.batch_norm(self.c(x), self.b.running_mean, self.b.running_var, self.b.weight, self.b.bias)\nreturn self.f(h)"),
    Case("f_batch_norm_training", BN, "h = F.batch_norm(self.c(x), self.b.running_mean, self.b.running_var, self.b.weight, self.b.bias, training=True, momentum=0.3)\nreturn self.f(h)"),
    Case("f_batch_norm_follows", BN, "h = F.batch_norm(self.c(x), self.b.running_mean, self.b.running_var, self.b.weight, self.b.bias, self.training or not self.b.track_running_stats)\nreturn self.f(h)"),
    Case("dropout_eval", AB + "\nself.d = nn.Dropout(0.5)", "self.d.eval()\nreturn self.f(self.d(self.a(x)))"),
    Case("rrelu_eval", AB + "\nself.d = nn.RReLU()", "self.d.eval()\nreturn self.f(self.d(self.a(x)) + F.rrelu(self.a(x)))"),
    Case("frozen_by_forward", AB, "self.a.weight.requires_grad_(False)\nreturn self.f(torch.tanh(self.a(x)))"),
    Case("view_of_a_weight", AB + "\nself.w = self.a.weight.view(-1)", "return self.f(F.linear(x, self.w.view(4, 5)))"),
    Case("data_of_a_weight", AB + "\nself.w = self.a.weight.data", "return self.f(F.linear(x, self.w) + F.linear(x, self.a.weight))"),
    # All of it: frozen batch norm, a detached branch, an unused parameter, padding rows, a rest of micro-batches, labels
    # that do not count; five steps of the optimizer.
    Case(
        "everything",
        "self.e = nn.Embedding(6, 3, padding_idx=1)\nself.a = nn.Linear(4, 4)\nself.b = nn.BatchNorm1d(4)\n"
        "self.k = nn.BatchNorm1d(4)\nself.side = nn.Linear(4, 4)\nself.gate = nn.Linear(4, 4)\n"
        "self.u = nn.Linear(3, 3)\nself.f = nn.Linear(7, 5)",
        "i = (x[:, 4] * 6).abs().long()\nh = torch.tanh(self.b(self.a(x[:, :4])))\n"
        "h = self.k(h) * torch.sigmoid(self.side(h.detach()))\nwith torch.no_grad():\n    g = torch.sigmoid(self.gate(h))\n"
        "return self.f(torch.cat([h * g, self.e(i)], 1))",
        others="def train(self, mode=True):\n    super().train(mode)\n    self.b.eval()\n    return self",
        loss="cross_entropy",
        batches=(0, 0, 1, 2, 2, 3, 4, 4),
        accumulate=2,
        epochs=(0, 3, 6),
        ignored=3,
    ),
    Case("lstm", LSTM, "return self.f(self.a(x)[0][:, -1])", input=(4, 3)),
    Case("lstm_one_step", LSTM, "return self.f(self.a(x)[0][:, -1])", input=(1, 3)),
    Case("lstm_first_state", LSTM, "h = x[:, :1, :].expand(-1, 4, 3).transpose(0, 1)\nh = torch.cat([h, h[:, :, :1]], 2)\nreturn self.f(self.a(x, (h, h * 2))[0][:, 0])", input=(3, 3)),
    Case("lstm_hidden", LSTM, "_, (h, c) = self.a(x)\nreturn self.f(torch.cat([h[-1], c[0]], 1))", input=(3, 3)),
    Case("lstm_no_bias", LSTM.replace("True)", "True, bias=False)", 1), "return self.f(self.a(x)[0].mean(1))", input=(3, 3)),
    Case("gru", LSTM.replace("LSTM", "GRU"), "return self.f(self.a(x)[0][:, -1])", input=(4, 3)),
    Case("rnn_relu", LSTM.replace("LSTM(3, 4, 2", "RNN(3, 4, 2, 'relu'"), "return self.f(self.a(x)[0][:, -1])", input=(4, 3)),
    Case("lstm_cell_once", "self.a = nn.LSTMCell(5, 4)\nself.f = nn.Linear(4, 3)", "return self.f(self.a(x)[0])"),
    Case("gru_cell", "self.a = nn.GRUCell(3, 4)\nself.f = nn.Linear(4, 3)", "h = None\nfor t in range(3):\n    h = self.a(x[:, t], h)\nreturn self.f(h)", input=(3, 3)),
    Case("attention_weights", HEADS, "h, w = self.a(x, x, x)\nreturn self.f(h.mean(1)) + w.square().sum(2).mean(1, keepdim=True)", input=(4, 6)),
    Case("attention_masked", HEADS.replace("batch", "add_bias_kv=True, batch"), "m = torch.triu(torch.ones(4, 4), 1).bool()\nreturn self.f(self.a(x, x * 2, x, key_padding_mask=x[:, :, 0] > 0.9, attn_mask=m)[0].mean(1))", input=(4, 6)),
    Case("attention_sizes", "self.a = nn.MultiheadAttention(6, 2, kdim=3, vdim=4, add_zero_attn=True, batch_first=True)\nself.f = nn.Linear(6, 3)", "return self.f(self.a(x, x[..., :3], x[..., 1:5], need_weights=False)[0].mean(1))", input=(4, 6)),
    Case("attention_function", "self.a = nn.Linear(6, 18)\nself.f = nn.Linear(6, 3)", "q, k, v = self.a(x).view(-1, 4, 3, 2, 3).permute(2, 0, 3, 1, 4)\nreturn self.f(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2).mean(1))", input=(4, 6)),
    Case("transformer_encoder", f"self.a = nn.TransformerEncoder({ENCODER}, 2, nn.LayerNorm(6))\nself.f = nn.Linear(6, 3)", "return self.f(self.a(x, src_key_padding_mask=x[:, :, 0] > 0.9).mean(1))", input=(4, 6)),
    Case("transformer_norm_first", f"self.a = {ENCODER.replace('batch_first', 'norm_first=True, batch_first')}\nself.f = nn.Linear(6, 3)", "return self.f(self.a(x).mean(1))", input=(4, 6)),
    Case("transformer", "self.a = nn.Transformer(6, 2, 1, 1, 8, 0.0, 'gelu', batch_first=True)\nself.f = nn.Linear(6, 3)", "m = nn.Transformer.generate_square_subsequent_mask(2)\nreturn self.f(self.a(x, x[:, :2] * 2, tgt_mask=m)[:, -1])", input=(4, 6)),
]


def indented(text, by):
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


def source(case):
    init = "    def __init__(self):\n        super().__init__()\n" + indented(case.init, 8)
    others = "\n" + indented(case.others, 4) if case.others else ""
    forward = "\n    def forward(self, x):\n" + indented(case.forward, 8)
    return f"{HEAD}{case.before}class Net(nn.Module):\n{init}{others}{forward}"


def build(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("net", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    net = module.Net()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(formula(name, tuple(tensor.shape)))
    # As `double()`, but of the same tensors: what looks at a weight goes on looking at it.
    for module in net.modules():
        for tensor in [*module._parameters.values(), *module._buffers.values()]:
            if tensor is not None and tensor.is_floating_point():
                assert tensor.dtype == torch.float64, "the default is set"
    return net


def batch(case, k, outputs):
    x = torch.from_numpy(noise(100 + k, BATCH * torch.Size(case.input).numel())).float().double()
    x = x.reshape(BATCH, *case.input)
    if case.loss == "mse":
        return x, torch.from_numpy(noise(200 + k, BATCH * outputs)).float().double().reshape(BATCH, outputs)
    y = ((torch.from_numpy(noise(200 + k, BATCH)) + 1) / 2 * outputs).long()
    if case.ignored:
        y[:: case.ignored] = -100
    return x, y


def run(case, make):
    net = build(source(case))
    optimizer = make([p for p in net.parameters()])
    losses = []
    for k, step in enumerate(case.batches):
        if k in case.epochs:
            net.train()
        y = net(batch(case, k, 1)[0])
        y = y[0] if isinstance(y, tuple) else y
        target = batch(case, k, y.shape[1])[1]
        loss = F.mse_loss(y, target) if case.loss == "mse" else F.cross_entropy(y, target, ignore_index=-100)
        (loss / case.accumulate).backward()
        losses.append(loss.item())
        if case.batches[k + 1 : k + 2] != (step,):
            optimizer.step()
            optimizer.zero_grad()
    state = {n: t for n, t in net.state_dict().items() if t.is_floating_point()}
    return {"losses": losses, "state": {n: [float(f"{x:.9g}") for x in t.reshape(-1)] for n, t in state.items()}}


def write_all(directory):
    """Writes all cases; returns how many."""
    torch.set_default_dtype(torch.float64)
    warnings.filterwarnings("ignore", message="To copy construct from a tensor")
    done = []
    for case in CASES:
        entry = {
            "name": case.name,
            "source": source(case),
            "input": list(case.input),
            "loss": case.loss,
            "batches": list(case.batches),
            "accumulate": case.accumulate,
            "ignored": case.ignored,
            "optimizers": {name: run(case, make) for name, make in OPTIMIZERS.items()},
        }
        done.append(json.dumps(entry, separators=(",", ":")))
    alpha = {}
    for p in (0.2, 0.5, 0.9):
        torch.manual_seed(0)
        dropped, kept = F.alpha_dropout(torch.ones(1000), p, training=True).unique().tolist()
        alpha[str(p)] = {"kept": kept, "dropped": dropped}
    torch.set_default_dtype(torch.float32)
    text = f'{{"alpha_dropout":{json.dumps(alpha)},\n"cases":[\n' + ",\n".join(done) + "\n]}\n"
    (directory / "training.json").write_text(text)
    return len(done)


if __name__ == "__main__":
    print(write_all(Path(__file__).resolve().parent / "fixtures"))
