# kiln: --input 28,28
import torch.nn as nn

model = nn.Sequential(
    nn.Conv2d(1, 8, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(8 * 26 * 26, 10),
)
