# kiln: --input 3,16,16
import torch.nn as nn

model = nn.Sequential(
    nn.Conv2d(3, 8, kernel_size=3, padding=1),
    nn.MaxPool2d(4),
    nn.Conv2d(8, 16, kernel_size=3, padding=1),
    nn.MaxPool2d(4),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(16, 10),
)
