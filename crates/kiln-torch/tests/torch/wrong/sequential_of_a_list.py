# kiln: --input 784
import torch.nn as nn

layers = [nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10)]
model = nn.Sequential(layers)
