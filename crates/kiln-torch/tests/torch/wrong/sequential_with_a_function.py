# kiln: --input 784
import torch.nn as nn
import torch.nn.functional as F

model = nn.Sequential(
    nn.Linear(784, 50),
    F.relu,
    nn.Linear(50, 10),
)
