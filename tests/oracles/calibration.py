"""Random weights with which a deep network still says something.

Plain random weights are a poor oracle: after fifty layers everything is zero or infinite, or every image gives the same
answer, and then a wrong kernel goes unnoticed. So the weights are drawn at random and then each layer in turn, while
a batch of images passes through, is scaled to outputs of about unit size. Batch normalisation gets running statistics
near those it sees but not equal to them: mean and variance, scale and shift all differ from the identity, by channel.
"""

import torch
from torch import nn

LINEAR = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)
# The share of a channel's mean that stays in its output. Taking all of it away would leave a small difference of large
# numbers, and rounding errors would grow from layer to layer until no tolerance is tight and fair at once.
KEPT = 0.3

BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def images(count, shape, generator):
    """Smooth blobs of different brightness under some noise: white noise alone would look the same to any network that
    averages over the image."""
    channels, height, width = shape
    coarse = torch.randn(count, channels, 7, 7, generator=generator)
    smooth = nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    brightness = 0.5 * torch.randn(count, channels, 1, 1, generator=generator)
    return smooth + brightness + 0.3 * torch.randn(count, channels, height, width, generator=generator)


def channel_statistics(values, axis):
    """(mean, variance) over everything but `axis`."""
    others = [a for a in range(values.dim()) if a != axis % values.dim()]
    return values.mean(dim=others), values.var(dim=others, unbiased=False)


def draw(tensor, low, high, generator):
    tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)


def normal(shape, deviation, generator):
    return deviation * torch.randn(shape, generator=generator)


def calibrate(network, images, generator):
    """Sets all weights and statistics of `network`, which stays in evaluation mode."""
    done = set()

    def settle_linear(module, inputs, output):
        """Unit size, channel means mostly (not wholly) taken away by the bias."""
        if module in done:
            return None
        done.add(module)
        axis = -1 if isinstance(module, nn.Linear) else 1
        mean, variance = channel_statistics(output, axis)
        size = (variance.mean() + KEPT * mean.square().mean()).sqrt().clamp(min=1e-3)
        module.weight.data /= size
        if module.bias is not None:
            module.bias.data = normal(mean.shape, 0.1, generator) - (1 - KEPT) * mean / size
        return module.forward(inputs[0])

    def settle_batch_norm(module, inputs, output):
        if module in done:
            return None
        done.add(module)
        mean, variance = channel_statistics(inputs[0], 1)
        size = variance + KEPT * (variance.mean() + mean.square().mean()) + 1e-3
        draw(module.running_var, 0.5, 2.0, generator)
        module.running_var *= size
        module.running_mean.copy_((1 - KEPT) * mean + normal(mean.shape, 0.2, generator) * size.mean().sqrt())
        draw(module.weight, 0.5, 1.5, generator)
        module.bias.data = normal(mean.shape, 0.2, generator)
        return module.forward(inputs[0])

    network.eval()
    hooks = []
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, LINEAR):
                module.weight.data = normal(module.weight.shape, 1.0, generator) / module.weight[0].numel() ** 0.5
                if module.bias is not None:
                    module.bias.data.zero_()
                hooks.append(module.register_forward_hook(settle_linear))
            elif isinstance(module, BATCH_NORM):
                hooks.append(module.register_forward_hook(settle_batch_norm))
            elif isinstance(module, nn.LayerNorm):
                draw(module.weight, 0.5, 1.5, generator)
                module.bias.data = normal(module.bias.shape, 0.2, generator)
        for name, parameter in network.named_parameters():
            if name.endswith("layer_scale"):
                draw(parameter, 0.2, 1.0, generator)
        network(images)
    for hook in hooks:
        hook.remove()
