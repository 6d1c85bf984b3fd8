"""LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998) in PyTorch's terms, as the texts write it today: the second convolution
sees all six maps, the end is a linear layer. Takes a grey image of 28 x 28 pixels, which the first convolution pads to
the 32 x 32 of the paper; gives ten scores; 61,706 parameters.
"""

from collections import OrderedDict

from torch import nn


# kiln: --input 1,28,28
class LeNet5(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        # The names are the paper's: convolutions, subsamplings and full layers, numbered together.
        self.features = nn.Sequential(
            OrderedDict(
                [
                    ("c1", nn.Conv2d(1, 6, kernel_size=5, padding=2)),
                    ("tanh1", nn.Tanh()),
                    ("s2", nn.AvgPool2d(kernel_size=2, stride=2)),
                    ("c3", nn.Conv2d(6, 16, kernel_size=5)),
                    ("tanh3", nn.Tanh()),
                    ("s4", nn.AvgPool2d(kernel_size=2, stride=2)),
                    ("c5", nn.Conv2d(16, 120, kernel_size=5)),
                    ("tanh5", nn.Tanh()),
                ]
            )
        )
        self.classifier = nn.Sequential()
        self.classifier.add_module("f6", nn.Linear(120, 84))
        self.classifier.add_module("tanh6", nn.Tanh())
        self.classifier.add_module("output", nn.Linear(84, num_classes))

    def forward(self, x):
        x = self.features(x)
        return self.classifier(x.flatten(start_dim=1))
