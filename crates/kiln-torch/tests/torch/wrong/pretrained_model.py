# kiln: --input 3,224,224
import torch.nn as nn
from torchvision import models

model = models.resnet18(weights="DEFAULT")
model.fc = nn.Linear(512, 2)
