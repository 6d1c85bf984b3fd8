# kiln: --input 1,28,28
import torch.nn as nn

model = nn.Sequential(
    nn.Conv2d(1, 8, kernel_size=5),
    nn.ReLU(),
    nn.MaxPool2d(3),
    nn.Conv2d(8, 16, kernel_size=5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, kernel_size=5),
    nn.Flatten(),
    nn.Linear(32, 10),
)
