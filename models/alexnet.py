"""AlexNet (Krizhevsky, Sutskever, Hinton 2012) in the single-column form of torchvision, whose parameter names it has,
so that its weights load. Takes a normalized colour image of 224 x 224 pixels (with adaptive pooling, 63 or more), gives
1000 scores; 61,100,840 parameters.
"""

import torch
from torch import nn


# kiln: --input 3,224,224
class AlexNet(nn.Module):
    """`grid` is the side of the grid of features that the classifier sees."""

    def __init__(self, num_classes=1000, dropout=0.5, hidden=4096, grid=6):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((grid, grid))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * grid * grid, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


# kiln: --input 3,224,224
def alexnet(**kwargs) -> AlexNet:
    return AlexNet(**kwargs)
