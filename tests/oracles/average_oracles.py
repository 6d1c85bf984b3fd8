"""Averages of parameters as PyTorch makes them: fixtures/averages.json.

A linear layer is trained for some steps, with `torch.optim.swa_utils.AveragedModel` beside it. All numbers are given by formulas,
which tests/end_to_end/averages.rs repeats.
"""

import json
import pathlib

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

DECAY, LR, MOMENTUM, STEPS = 0.8, 0.05, 0.9, 5


def main() -> None:
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight.copy_((torch.arange(6).float().reshape(2, 3) - 2) / 4)
        net.bias.copy_(torch.tensor([0.5, -0.25]))
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM)
    for step in range(STEPS):
        x = (torch.arange(12).float().reshape(4, 3) * (step + 1) % 7 - 3) / 4
        target = (torch.arange(8).float().reshape(4, 2) * (step + 2) % 5 - 2) / 2
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x), target).backward()
        optimizer.step()
        average.update_parameters(net)
    x = (torch.arange(12).float().reshape(4, 3) % 7 - 3) / 4
    target = (torch.arange(8).float().reshape(4, 2) % 5 - 2) / 2
    known = {
        "decay": DECAY, "lr": LR, "momentum": MOMENTUM, "steps": STEPS,
        "weight": net.weight.flatten().tolist(), "bias": net.bias.tolist(),
        "average_weight": average.module.weight.flatten().tolist(), "average_bias": average.module.bias.tolist(),
        "average_loss": nn.functional.mse_loss(average(x), target).item(),
    }  # fmt: skip
    path = pathlib.Path(__file__).parent / "fixtures" / "averages.json"
    path.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
