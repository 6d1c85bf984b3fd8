# kiln: --input 512
import torch.nn as nn

hidden = 512 / 2
model = nn.Sequential(
    nn.Linear(512, hidden),
    nn.ReLU(),
    nn.Linear(hidden, 10),
)
