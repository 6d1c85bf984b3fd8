"""Every network there is an oracle for: how to build it, what it eats, which of its exports are committed."""

from dataclasses import dataclass
from functools import partial
from typing import Callable

import torchvision.models as zoo

from . import deep_learning_with_pytorch as dlwpt
from . import mnist


@dataclass(frozen=True)
class Network:
    name: str
    build: Callable
    input: tuple
    # Exporters whose result is small and telling enough to live in the repository.
    committed: tuple = ()


def small(name, build, shape, *also):
    return Network(name, build, shape, ("legacy", *also))


def torchvision(name, size=224, **arguments):
    return Network(name, partial(getattr(zoo, name), weights=None, **arguments), (3, size, size))


NETWORKS = [
    small("net", dlwpt.Net, dlwpt.INPUT, "dynamo"),
    small("net_width", partial(dlwpt.Net, 32, 16), dlwpt.INPUT),
    small("net_dropout", dlwpt.NetDropout, dlwpt.INPUT),
    small("net_batch_norm", dlwpt.NetBatchNorm, dlwpt.INPUT, "preserve"),
    small("net_depth", dlwpt.NetDepth, dlwpt.INPUT),
    small("net_res", partial(dlwpt.NetDepth, residual=True), dlwpt.INPUT, "dynamo"),
    small("net_res_deep", dlwpt.NetResDeep, dlwpt.INPUT, "preserve"),
    Network("net_res_deep_unshared", partial(dlwpt.NetResDeep, shared=False), dlwpt.INPUT),
    small("fleuret_mnist", mnist.FleuretNet, mnist.INPUT),
    small("mlp", mnist.mlp, mnist.INPUT),
    small("lenet5", mnist.LeNet5, mnist.INPUT),
    small("fastai_simple_cnn", mnist.fastai_simple_cnn, mnist.INPUT),
    small("fastai_simple_cnn_bn", partial(mnist.fastai_simple_cnn, True), mnist.INPUT, "dynamo", "preserve"),
    torchvision("alexnet"),
    torchvision("vgg11_bn"),
    torchvision("resnet18"),
    torchvision("resnet50"),
    torchvision("squeezenet1_1"),
    torchvision("mobilenet_v2"),
    torchvision("mobilenet_v3_small"),
    torchvision("densenet121"),
    torchvision("shufflenet_v2_x1_0"),
    torchvision("googlenet", init_weights=False),
    torchvision("inception_v3", size=299, init_weights=False),
    torchvision("efficientnet_b0"),
    torchvision("convnext_tiny"),
    torchvision("regnet_y_400mf"),
    torchvision("mnasnet1_0"),
]
