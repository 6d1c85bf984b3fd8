"""Networks whose kernels `scripts/gpu-check` compiles besides those of `models/`: MobileNetV2 (Sandler and others, 2018),
which has what residual networks lack, depthwise convolutions and blocks that are narrow at both ends. As in torchvision,
with 3,504,872 parameters.
"""

import torch
from torch import nn

# Of each stage: how much its blocks widen inside, their channels, their number, the stride of the first one.
STAGES = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def conv_bn(inputs, outputs, kernel, stride=1, groups=1):
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, widen):
        super().__init__()
        inner = inputs * widen
        layers = []
        if widen != 1:
            layers += [*conv_bn(inputs, inner, 1), nn.ReLU6()]
        layers += [*conv_bn(inner, inner, 3, stride, groups=inner), nn.ReLU6()]
        layers += conv_bn(inner, outputs, 1)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


# kiln: --input 3,224,224
class MobileNetV2(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        layers = [*conv_bn(3, 32, 3, stride=2), nn.ReLU6()]
        channels = 32
        for widen, outputs, blocks, stride in STAGES:
            for block in range(blocks):
                layers.append(InvertedResidual(channels, outputs, stride if block == 0 else 1, widen))
                channels = outputs
        layers += [*conv_bn(channels, 1280, 1), nn.ReLU6()]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(1280, num_classes)

    def forward(self, x):
        x = self.features(x)
        x = nn.functional.adaptive_avg_pool2d(x, 1)
        return self.classifier(torch.flatten(x, 1))
