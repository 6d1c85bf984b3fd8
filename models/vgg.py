"""VGG (Simonyan, Zisserman 2014) with the parameter names of torchvision, so that its weights load. Takes a normalized
colour image of 224 x 224 pixels, gives 1000 scores.

    vgg11     132,863,336 parameters
    vgg11_bn  132,868,840
    vgg16     138,357,544
"""

from typing import Any, List, Union

import torch
from torch import nn

# Columns A and D of the paper's table: output channels of 3 x 3 convolutions; "M" halves the image.
CONFIGS = {
    "A": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "D": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
}


def _make_layers(config: List[Union[int, str]], batch_norm: bool = False) -> nn.Sequential:
    layers: List[nn.Module] = []
    in_channels = 3
    for entry in config:
        if entry == "M":
            layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            continue
        conv = nn.Conv2d(in_channels, entry, kernel_size=3, padding=1)
        if batch_norm:
            layers += [conv, nn.BatchNorm2d(entry), nn.ReLU(inplace=True)]
        else:
            layers += [conv, nn.ReLU(inplace=True)]
        in_channels = entry
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """`grid` is the side of the grid of features that the classifier sees."""

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        dropout: float = 0.5,
        hidden: int = 4096,
        grid: int = 7,
        init_weights: bool = True,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((grid, grid))
        self.classifier = nn.Sequential(
            nn.Linear(512 * grid * grid, hidden),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(hidden, num_classes),
        )
        if init_weights:
            self._initialize_weights()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        x = self.classifier(x)
        return x

    def _initialize_weights(self) -> None:
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                if m.bias is not None:
                    nn.init.constant_(m.bias, 0)
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.constant_(m.bias, 0)


def _vgg(config: str, batch_norm: bool, **kwargs: Any) -> VGG:
    return VGG(_make_layers(CONFIGS[config], batch_norm=batch_norm), **kwargs)


# kiln: --input 3,224,224
def vgg11(**kwargs: Any) -> VGG:
    return _vgg("A", False, **kwargs)


# kiln: --input 3,224,224
def vgg11_bn(**kwargs: Any) -> VGG:
    return _vgg("A", True, **kwargs)


# kiln: --input 3,224,224
def vgg16(**kwargs: Any) -> VGG:
    return _vgg("D", False, **kwargs)
