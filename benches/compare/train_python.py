"""Times training steps of PyTorch, eager, on the CPU: `train_python.py NETWORK BATCH STEPS` prints one line of JSON."""

import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "oracles"))
from networks import NETWORKS  # noqa: E402


def main():
    name, batch, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    network = next(network for network in NETWORKS if network.name == name)
    start = time.perf_counter()
    module = network.build().train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    x = torch.rand(batch, *network.input) * 2 - 1
    y = torch.arange(batch) % module(x).shape[1]

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(module(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    step()
    first = (time.perf_counter() - start) * 1e3
    for _ in range(5):
        step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    print(json.dumps({"median_ms": round(times[len(times) // 2], 3), "first_ms": round(first, 1)}))


if __name__ == "__main__":
    main()
