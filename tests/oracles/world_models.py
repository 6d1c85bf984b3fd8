"""The models of `world.py`: networks as people export them, with the sizes that stay open.

`Model.inputs` has the shapes of the inputs; a string is an open size. `Model.sizes` binds them three times, and their
largest values are what a plan is compiled for. Weights are random and seeded; calibration (`calibration.py`) gives image
networks outputs that depend on the image.
"""

from dataclasses import dataclass, field
from typing import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models import detection, optical_flow, segmentation, video

from calibration import calibrate

WITHOUT = {"weights": None}
HEADLESS = {"weights": None, "weights_backbone": None}


class Detector(nn.Module):
    """torchvision's detectors take lists of images and return dicts."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        found = self.network([image])
        # In scripting mode, which the older exporter enters, there are losses in front.
        found = found[1] if isinstance(found, tuple) else found
        return found[0]["boxes"], found[0]["scores"], found[0]["labels"]


class Segmentation(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        return self.network(image)["out"]


class Flow(nn.Module):
    """The last of the flows that RAFT refines."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, first, second):
        return self.network(first, second)[-1]


class Captcha(nn.Module):
    """Letters in a row: columns of features of an image, read in both directions."""

    def __init__(self, letters=36):
        super().__init__()
        sizes = [1, 16, 32, 64]
        self.features = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
                for a, b in zip(sizes, sizes[1:])
            )
        )
        self.read = nn.LSTM(64 * 4, 48, num_layers=2, bidirectional=True)
        self.letters = nn.Linear(96, letters + 1)

    def forward(self, image):
        columns = self.features(image).flatten(1, 2).permute(2, 0, 1)
        states, _ = self.read(columns)
        return self.letters(states).log_softmax(-1)


class UNet(nn.Module):
    """Three levels, with bilinear enlargement to the size of the level above on one and transposed convolutions on the
    others."""

    def __init__(self, width=12, classes=3):
        super().__init__()

        def block(a, b):
            half = [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
            return nn.Sequential(*half, nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())

        self.down = nn.ModuleList([block(3, width), block(width, 2 * width), block(2 * width, 4 * width)])
        self.bottom = block(4 * width, 4 * width)
        self.up = nn.ModuleList([nn.ConvTranspose2d(4 * width, 4 * width, 2, 2), nn.ConvTranspose2d(2 * width, 2 * width, 2, 2)])
        self.join = nn.ModuleList([block(8 * width, 2 * width), block(4 * width, width), block(2 * width, width)])
        self.classes = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        levels = []
        for down in self.down:
            x = down(x)
            levels.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([levels.pop(), up(x)], 1))
        last = levels.pop()
        x = F.interpolate(x, size=last.shape[2:], mode="bilinear", align_corners=False)
        return self.classes(self.join[-1](torch.cat([last, x], 1)))


@dataclass(frozen=True)
class Model:
    name: str
    build: Callable
    inputs: dict
    sizes: tuple
    outputs: tuple = ("output",)
    # What a size has to be a multiple of.
    multiple: dict = field(default_factory=dict)
    tolerance: float = 1e-3
    opset: int = 17
    calibrated: bool = True
    # Whether rounding leaves the outputs as they are: with random weights detectors find boxes in another order, and what
    # is refined again and again ends elsewhere.
    stable: bool = True
    # Of onnxruntime.quantization, made from the older exporter's file.
    quantized: bool = False

    @property
    def symbols(self):
        return list(self.sizes[0])


def sizes(names, *values):
    return tuple(dict(zip(names, value)) for value in values)


IMAGE = {"input": ("N", 3, "H", "W")}
NHW = ("N", "H", "W")
ANY = sizes(NHW, (1, 224, 224), (2, 192, 256), (3, 160, 128))
SQUARE = {"input": ("N", 3, 224, 224)}
BATCHES = sizes(("N",), (1,), (2,), (3,))
PICTURE = {"input": (3, "H", "W")}
BOXES = ("boxes", "scores", "labels")
SMALL = {"min_size": 224, "max_size": 320}

MODELS = [
    Model("captcha", Captcha, {"input": ("N", 1, 32, "W")}, sizes(("N", "W"), (1, 96), (2, 64), (3, 128))),
    Model("unet", UNet, IMAGE, sizes(NHW, (1, 64, 64), (2, 96, 64), (1, 72, 120)), multiple={"H": 8, "W": 8}),
    Model("resnet18", lambda: torchvision.models.resnet18(**WITHOUT), IMAGE, ANY, quantized=True),
    Model("mobilenet_v2", lambda: torchvision.models.mobilenet_v2(**WITHOUT), IMAGE, ANY, quantized=True),
    Model("deeplabv3_mobilenet_v3_large", lambda: Segmentation(segmentation.deeplabv3_mobilenet_v3_large(**HEADLESS)), IMAGE, ANY),
    Model("lraspp_mobilenet_v3_large", lambda: Segmentation(segmentation.lraspp_mobilenet_v3_large(**HEADLESS)), IMAGE, ANY),
    Model("efficientnet_v2_s", lambda: torchvision.models.efficientnet_v2_s(**WITHOUT), IMAGE, ANY, calibrated=False),
    Model("ssdlite320_mobilenet_v3_large", lambda: Detector(detection.ssdlite320_mobilenet_v3_large(**HEADLESS)), PICTURE,
          # With random weights ONNX Runtime's own optimization levels are 6e-4 apart.
          sizes(("H", "W"), (320, 320), (240, 320), (300, 200)), BOXES, stable=False, tolerance=5e-3),
    Model("ssd300_vgg16", lambda: Detector(detection.ssd300_vgg16(**HEADLESS)), PICTURE,
          sizes(("H", "W"), (300, 300), (240, 320), (300, 200)), BOXES, stable=False),
    Model("retinanet_resnet50_fpn", lambda: Detector(detection.retinanet_resnet50_fpn(**HEADLESS, **SMALL)), PICTURE,
          sizes(("H", "W"), (224, 224), (224, 288), (160, 224)), BOXES, stable=False),
    Model("fcos_resnet50_fpn", lambda: Detector(detection.fcos_resnet50_fpn(**HEADLESS, **SMALL)), PICTURE,
          sizes(("H", "W"), (224, 224), (224, 288), (160, 224)), BOXES, stable=False),
    Model("raft_small", lambda: Flow(optical_flow.raft_small(**WITHOUT)), {"first": ("N", 3, "H", "W"), "second": ("N", 3, "H", "W")},
          sizes(NHW, (1, 128, 128), (2, 128, 160), (1, 136, 144)), ("flow",), multiple={"H": 8, "W": 8}, tolerance=1e-2, calibrated=False,
          stable=False),
    Model("r3d_18", lambda: video.r3d_18(**WITHOUT), {"input": ("N", 3, "T", "H", "W")},
          sizes(("N", "T", "H", "W"), (1, 8, 64, 64), (2, 4, 48, 64), (1, 6, 80, 40)), calibrated=False),
    Model("swin_t", lambda: torchvision.models.swin_t(**WITHOUT), IMAGE, ANY),
    Model("swin_v2_t", lambda: torchvision.models.swin_v2_t(**WITHOUT), IMAGE, ANY),
    # ONNX Runtime's answers move by 3e-4 when inputs move by 6e-8.
    Model("maxvit_t", lambda: torchvision.models.maxvit_t(**WITHOUT), SQUARE, BATCHES, tolerance=5e-3),
    Model("vit_b_16", lambda: torchvision.models.vit_b_16(**WITHOUT), SQUARE, BATCHES),
]


def shape(wanted, bound):
    return tuple(bound.get(size, size) for size in wanted)


def samples(model, bound, seed):
    """Inputs for a binding of the open sizes: smooth blobs with noise."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for wanted in model.inputs.values():
        full = shape(wanted, bound)
        coarse = [size if place < len(full) - 2 else 7 for place, size in enumerate(full)]
        flat = torch.randn(coarse, generator=generator).reshape(1, -1, 7, 7)
        smooth = F.interpolate(flat, full[-2:], mode="bilinear").reshape(full)
        made.append(smooth + 0.3 * torch.randn(full, generator=generator))
    return made


def built(model):
    """The network in evaluation mode, with its weights."""
    torch.manual_seed(0)
    network = model.build()
    if model.calibrated:
        images = samples(model, model.sizes[0], 1)
        calibrate(_Inputs(network, images), images[0], torch.Generator().manual_seed(2))
    else:
        # Statistics of a batch; those that constructors set would let outputs grow or vanish.
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
                module.momentum = None
        with torch.no_grad():
            network.train()(*samples(model, {**model.sizes[0], "N": 4}, 1))
    return network.eval()


class _Inputs(nn.Module):
    """A network on the inputs that it is calibrated with, whatever it is called with."""

    def __init__(self, network, images):
        super().__init__()
        self.network = network
        self.images = images

    def forward(self, _):
        return self.network(*self.images)
