# kiln: --input 64,3,32,32
import torch.nn as nn

model = nn.Sequential(
    nn.Conv2d(3, 16, kernel_size=3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(16 * 30 * 30, 10),
)
