"""An epoch of fastai's simple_cnn with batch normalization on MNIST as a PyTorch program: `epoch_python.py DIR WORKERS`.

The loop of PyTorch's tutorials: torchvision's data set, `ToTensor` and `Normalize` for each sample, a DataLoader with so many
worker processes, AdamW with a one-cycle schedule as in the book, an evaluation of the test images at the end. Prints the
accuracy.
"""

import os
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torchvision import datasets, transforms

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models"))
from fastai import simple_cnn_bn  # noqa: E402


def main():
    root, workers = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    torch.manual_seed(0)
    change = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.1307, 0.3081)])

    def loader(train):
        data = datasets.MNIST(root, train=train, transform=change)
        return torch.utils.data.DataLoader(data, 512, shuffle=train, num_workers=workers)

    train, test = loader(True), loader(False)
    model = simple_cnn_bn()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.06, betas=(0.95, 0.99), eps=1e-5, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.06, total_steps=len(train), pct_start=0.25, base_momentum=0.85, max_momentum=0.95
    )
    model.train()
    for x, y in train:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in test)
    print(right / len(test.dataset))


if __name__ == "__main__":
    main()
