# kiln: --input 784
import torch.nn as nn

model = nn.Sequential(
    nn.Linear(784, 50),
    nn.Relu(),
    nn.Linear(50, 10),
)
