"""What constructors make of parameters and buffers, above all through views of them.

`fixtures/constructors.json` is a list of cases with "name", "init", the statements that `__init__` runs behind
`super().__init__()`, and "state", the state dict that PyTorch comes to, in full.
"""

import json
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

BEGIN = """self.a = nn.Linear(5, 4)
self.a.weight.data = torch.arange(20.0).view(4, 5)
self.a.bias.data = torch.arange(4.0)
"""

NO_GRAD = "with torch.no_grad():\n"

CASES = {
    "bias_detach_zero": "self.a.bias.detach().zero_()",
    "bias_data_zero": "self.a.bias.data.zero_()",
    "data_view_fill": "self.a.weight.data.view(-1).fill_(2)",
    "row_fill": NO_GRAD + "    self.a.weight[0].fill_(4)",
    "view_one": "self.b = nn.Linear(3, 1)\nself.b.weight.data.zero_()\nself.b.bias.data.view(1).zero_()",
    "view_item": NO_GRAD + "    w = self.a.weight.view(-1)\n    w[0] = 5\n    w[-1] = 6",
    "detach_item": "w = self.a.weight.detach()\nw[0, 0] = 3\nw[1:, 2] = -1",
    "turned": "self.a.weight.data.T[1] = 7\nself.a.weight.data.t()[2:4] += 1",
    "slice_of_slice": "w = self.a.weight.data[1:]\nv = w[:, 2:]\nv.mul_(2)\nv[0, 0] = -1\nw[2] = 0.5",
    "unsqueeze": "self.a.weight.data.unsqueeze(0)[0, 1] = 3\nself.a.weight.data[None, 2][0, 1] = 4",
    "squeeze": "self.a.weight.data[:1].squeeze(0)[2] = 9\nself.a.weight.data[1:2].squeeze().fill_(8)",
    "copy_row": "self.a.weight.data[2].copy_(torch.ones(5))\nself.a.weight.data[:, 1].copy_(torch.tensor(9.0))",
    "copy_whole": "self.a.weight.data.copy_(torch.ones(4, 5) * 3)\nself.a.bias.data.copy_(torch.tensor(2.0))",
    "copy_of_other": "self.a.weight.data[0].copy_(self.a.weight.data[1])\nself.a.weight.data[2] = self.a.weight.data[3] * 2",
    "augmented": "self.a.weight.data += 1\nself.a.weight.data[0] *= 3\nw = self.a.weight.data\nw -= 1\nw *= 2\nw[1, 1:] /= 4",
    "augmented_parameter": NO_GRAD + "    self.a.weight += 1\n    self.a.weight *= 0.5\n    b = self.a.bias\n    b -= 3",
    "all_parameters": "for p in self.parameters():\n    p.data.mul_(0.5)\n    p.data[0] = 1",
    "all_parameters_no_grad": NO_GRAD + "    for p in self.parameters():\n        p.add_(1)\n        p *= 2\n        p[-1].zero_()",
    "rows": "for n, row in enumerate(self.a.weight.data):\n    row[0] = 8 + n\n    row[1:3].fill_(n)",
    "chunk": "u, v = self.a.weight.data.chunk(2)\nu.zero_()\nv += 1",
    "split": "u, v = self.a.weight.data.split([2, 3], dim=1)\nv.fill_(1.5)\nu[0] = 7",
    "unbind": "rows = self.a.weight.data.unbind(0)\nrows[3].zero_()\nrows[0].add_(2)",
    "narrow": "self.a.weight.data.narrow(1, 1, 2).fill_(3)\nself.a.weight.data.select(0, 2).mul_(-1)",
    "flatten": "self.a.weight.data.flatten()[3:9] = 0\nself.a.weight.data.reshape(2, 10)[1, 0] = 77",
    "permute": "self.a.weight.data.permute(1, 0)[4] = torch.tensor([1.0, 2.0, 3.0, 4.0])\nself.a.weight.data.transpose(0, 1)[0, 1:] = 5\nself.a.weight.data.movedim(0, 1)[1].zero_()",
    "view_as": "self.a.weight.data.view_as(torch.zeros(5, 4))[0] = 6\nself.a.weight.data.unflatten(1, (1, 5))[0, 0, 1] = 3",
    "init_of_a_view": "nn.init.constant_(self.a.weight[0], 3)\nnn.init.zeros_(self.a.weight.data[:, 0])\nnn.init.ones_(self.a.bias[1:3])\nnn.init.eye_(self.a.weight.data[:, 1:])",
    "init_of_data": "nn.init.constant_(self.a.weight.data, 3)\nnn.init.zeros_(self.a.bias.detach())",
    "steps": "self.a.weight.data[::2, 1::2] = 0\nself.a.weight.data[1::2][0][::2] = -1",
    "ellipsis": "self.a.weight.data[..., 2] = 1\nself.a.weight.data[..., None][0] = 4\nself.a.weight.data[...][3] = 2",
    "in_place_functions": "self.a.weight.data.sub_(10).relu_()\nF.relu_(self.a.bias.data.sub_(2))\nself.a.weight.data[1:].clamp_(2, 5)\nself.a.weight.data[0].abs_().add_(1, alpha=2)",
    "clamp": NO_GRAD + "    self.a.weight.clamp_(2, 9)\n    self.a.weight[1].clamp_(max=6)",
    "item": "self.a.weight.data[0, 0] = self.a.weight.data[1, 1].item()",
    "follows": "w = self.a.weight.data.view(-1)\nu = self.a.weight.data[0]\nw[0] = 5\nself.a.bias.data[0] = u[0]\nu[1] = 6\nself.a.bias.data[1] = w[1]\nself.a.weight.data[0] = 3\nself.a.bias.data[2:] = w[:2] + u[3:]",
    "clone": "w = self.a.weight.data.clone()\nw.zero_()\nv = self.a.weight.data * 1\nv += 5\nu = self.a.weight.data[0] + 0\nu.fill_(9)",
    "deep_copy": "import copy\nself.b = copy.deepcopy(self.a)\nself.b.weight.data[0] = 1\nself.a.weight.data[1] = 2",
    "parameter_of_a_copy": "self.p = nn.Parameter(self.a.weight.data[0].clone())\nself.p.data[0] = 8\nself.a.weight.data[0] = 1",
    "ones_in_front": "self.a.weight.data[0] = torch.ones(1, 5)\nself.a.weight.data[1:3, :2] = torch.tensor([[5.0], [6.0]])",
    "buffer": "self.register_buffer('m', torch.zeros(2, 3))\nself.m[0] = 1\nself.m.view(-1)[4] = 2\nv = self.m[1]\nv += 1\nself.m.T[0].fill_(9)\nself.m += 1\nself.m.mul_(2)",
    "buffer_of_a_view": "t = torch.zeros(2, 3)\nv = t.view(-1)\nv[0] = 5\nt[1] = 2\nu = t[:, 1]\nu += 1\nself.register_buffer('m', t + v.view(2, 3))",
    "buffer_whole_numbers": "t = torch.arange(6)\nt.view(2, 3)[1] = 7\nself.register_buffer('m', t.float())",
    "running_statistics": "self.b = nn.BatchNorm1d(3)\nself.b.running_mean[1] = 4\nself.b.running_var.view(-1)[:2].fill_(0.25)\nself.b.weight.data[0] = 0",
    "filters": "self.c = nn.Conv2d(1, 2, 3)\nself.c.weight.data[0, 0] = torch.tensor([[-1.0, 0.0, 1.0]] * 3)\nself.c.weight.data[1] = self.c.weight.data[0].transpose(1, 2)\nself.c.bias.detach().zero_()",
    "weights_by_function": "def init(m):\n    if isinstance(m, nn.Linear):\n        m.weight.data[:, 0].zero_()\n        m.bias.data[0] = 9\nself.apply(init)",
    "data_of_data": "self.a.weight.data.data.detach()[0] = 2\nself.a.weight.detach().data.view(-1)[7] = 9",
    "contiguous": "self.a.weight.data.contiguous()[0] = 2\nself.a.weight.data.cpu().view(-1)[9] = 4\nself.a.bias.data.float().zero_()",
    "no_views": "self.a.weight.data.double().zero_()\nself.a.weight.data[[0, 1]].zero_()\nself.a.weight.data.repeat(1, 1).zero_()",
}


def write_all(directory):
    """Writes all cases; returns how many."""
    done = []
    for name, init in CASES.items():
        net = nn.Module()
        exec(BEGIN + init, {"torch": torch, "nn": nn, "F": F, "self": net})
        state = {n: t.reshape(-1).tolist() for n, t in net.state_dict().items() if t.is_floating_point()}
        done.append(json.dumps({"name": name, "init": BEGIN + init, "state": state}, separators=(",", ":")))
    (directory / "constructors.json").write_text("[\n" + ",\n".join(done) + "\n]\n")
    return len(done)


if __name__ == "__main__":
    print(write_all(Path(__file__).resolve().parent / "fixtures"))
