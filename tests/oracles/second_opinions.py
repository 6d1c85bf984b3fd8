"""A second answer, in plain numpy, for the cases ONNX's reference evaluator gets wrong or does not know.

Each entry says what is amiss there. The functions take the values of the node's inputs in order (None where left out)
and return the one output. They are written for the case they check, not for the operator in general.
"""

from functools import partial

import numpy as np

from second_opinions_recurrent import gru, leaky_relu, lstm, relu, hard_sigmoid, rnn, softsign


def softmax_of_flattened(x, axis, log=False):
    """Before opset 13: coerce to a matrix at `axis`, then along its rows."""
    rows = x.astype(np.float64).reshape(int(np.prod(x.shape[:axis])), -1)
    shifted = rows - rows.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return (logs if log else np.exp(logs)).reshape(x.shape)


def hardmax_of_flattened(x, axis):
    """Before opset 13: coerce to a matrix at `axis`, then along its rows."""
    rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
    ones = np.arange(rows.shape[1]) == rows.argmax(axis=1)[:, None]
    return ones.astype(x.dtype).reshape(x.shape)


def batch_norm(x, scale, bias, mean, variance, epsilon=1e-5):
    spread = (1, -1) + (1,) * (x.ndim - 2)
    normal = (x - mean.reshape(spread)) / np.sqrt(variance.reshape(spread) + epsilon)
    return normal * scale.reshape(spread) + bias.reshape(spread)


def local_response_norm(x, size, alpha, beta, bias):
    squares, sums = x.astype(np.float64) ** 2, np.zeros(x.shape)
    for channel in range(x.shape[1]):
        window = slice(max(0, channel - (size - 1) // 2), channel + size // 2 + 1)
        sums[:, channel] = squares[:, window].sum(axis=1)
    return x / (bias + alpha / size * sums) ** beta


def max_pool(x, kernel, stride, low, high):
    """`low` and `high` are the padding before and after, on both axes alike given as pairs."""
    padded = np.pad(x, [(0, 0), (0, 0), (low[0], high[0]), (low[1], high[1])], constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]].max(axis=(4, 5))


def conv_transpose(x, weight, bias=None, *, stride, crop_low=0, crop_high=0, extra=0, group=1):
    """Scatter: every input element adds its multiple of the kernel to the output. `crop_low`, `crop_high` and `extra`
    (ONNX's pads and output_padding) are numbers or one number an axis."""
    spatial = x.ndim - 2
    each = lambda v: np.broadcast_to(np.asarray(v), (spatial,))
    stride, low, high, extra = each(stride), each(crop_low), each(crop_high), each(extra)
    kernel = np.array(weight.shape[2:])
    full = (np.array(x.shape[2:]) - 1) * stride + kernel + extra
    per_group_in, per_group_out = x.shape[1] // group, weight.shape[1]
    out = np.zeros((x.shape[0], per_group_out * group, *full))
    for g in range(group):
        ins = slice(g * per_group_in, (g + 1) * per_group_in)
        outs = slice(g * per_group_out, (g + 1) * per_group_out)
        for position in np.ndindex(*x.shape[2:]):
            at = tuple(slice(p * s, p * s + k) for p, s, k in zip(position, stride, kernel))
            pixel = x[(slice(None), ins, *position)].astype(np.float64)
            out[(slice(None), outs, *at)] += np.tensordot(pixel, weight[ins], axes=1)
    out = out[(slice(None), slice(None), *(slice(l, n - h) for l, h, n in zip(low, high, full)))]
    return out if bias is None else out + bias.reshape(1, -1, *[1] * spatial)


def upsample_nearest(x, *_, factors=(2, 2)):
    return x.repeat(factors[0], axis=2).repeat(factors[1], axis=3)


def upsample_linear_by_two(x, *_):
    """Coordinates are output / 2 (what later became "asymmetric"), held at the far edge."""
    for axis in (2, 3):
        along = np.minimum(np.arange(2 * x.shape[axis]) / 2, x.shape[axis] - 1)
        left = np.floor(along).astype(int)
        right = np.minimum(left + 1, x.shape[axis] - 1)
        share = (along - left).reshape([-1 if a == axis else 1 for a in range(4)])
        x = x.take(left, axis) * (1 - share) + x.take(right, axis) * share
    return x


def grid_sample(x, grid, **how):
    import torch

    return torch.nn.functional.grid_sample(torch.from_numpy(x), torch.from_numpy(grid), **how).numpy()


def roi_align(x, regions, images, **how):
    import torch
    import torchvision

    boxes = np.concatenate([images[:, None].astype(np.float32), regions], axis=1)
    return torchvision.ops.roi_align(torch.from_numpy(x), torch.from_numpy(boxes), **how).numpy()


def resized(x, places):
    """Linear interpolation at these places of the axes behind the channels."""
    for axis, places in enumerate(places, 2):
        low = np.clip(np.floor(places).astype(int), 0, x.shape[axis] - 1)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        share = np.clip(places - low, 0, 1).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x


def aligned_cubic(x, sizes, a=-0.75):
    """Cubic convolution with the corners of both images at the same places, borders repeated."""
    for axis, size in enumerate(sizes, 2):
        places = np.linspace(0, x.shape[axis] - 1, size)
        weights = np.zeros((size, x.shape[axis]))
        for row, place in enumerate(places):
            for at in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
                d = abs(at - place)
                near = ((a + 2) * d - (a + 3)) * d * d + 1
                far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
                weights[row, np.clip(at, 0, x.shape[axis] - 1)] += near if d <= 1 else far if d < 2 else 0
        x = np.moveaxis(np.tensordot(weights, x, (1, axis)), 0, axis)
    return x


def non_max_suppression(boxes, scores, most=0, iou_threshold=0.0):
    """Corners in any order; greedy, by falling score, of equal scores the first."""

    def sides(box):
        return [(min(box[axis], box[axis + 2]), max(box[axis], box[axis + 2])) for axis in (0, 1)]

    def overlap(one, other):
        area = lambda spans: np.prod([np.float32(high - low) for low, high in spans], dtype=np.float32)
        common = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(one, other)]
        if any(high <= low for low, high in common):
            return np.float32(0)
        inside = area(common)
        return inside / (area(one) + area(other) - inside)

    kept = []
    for image, of_classes in enumerate(scores):
        spans = [sides(box) for box in boxes[image]]
        for label, of_boxes in enumerate(of_classes):
            chosen = []
            for place in np.argsort(-of_boxes, kind="stable"):
                if len(chosen) < int(np.max(most)) and all(overlap(spans[c], spans[place]) <= np.max(iou_threshold) for c in chosen):
                    chosen.append(place)
            kept += [[image, label, place] for place in chosen]
    return np.array(kept, np.int64).reshape(-1, 3)


SECOND_OPINIONS = {
    # It aligns corners with the fractional size that a scale gives, not with the size of the output.
    "resize_linear_align_corners_fraction": lambda x, *_: resized(x, [np.linspace(0, 4, 8), np.linspace(0, 3, 6)]),
    "resize_cubic_align_corners_fraction": lambda x, *_: aligned_cubic(x, [8, 3]),
    # It interpolates by a scale that changes nothing.
    "resize_linear_same_shape": lambda x, *_: x,
    # Taken along one axis only.
    "hardmax_flattened": partial(hardmax_of_flattened, axis=1),
    # The evaluator mixes up the channels of a group when a group has more than one output.
    "conv_transpose_2d_groups": partial(conv_transpose, stride=(2, 1), crop_low=(1, 0), crop_high=(1, 0), group=3),
    "conv_transpose_3d_groups": partial(conv_transpose, stride=(1, 2, 2), crop_low=1, crop_high=1, group=2),
    # It does not derive pads from `output_shape`. Here the full size is 7 x 9, one more than asked for on each axis:
    # without SAME_UPPER the odd element is cut at the start.
    "conv_transpose_2d_output_shape": partial(conv_transpose, stride=2, crop_low=1),
    # It sizes the output of SAME_LOWER as if nothing had been padded.
    "max_pool_2d_same_lower": partial(max_pool, kernel=(2, 4), stride=(2, 2), low=(1, 1), high=(0, 1)),
    # It applies the meaning of opset 13 to older models.
    "softmax_opset_11_flattens": partial(softmax_of_flattened, axis=1),
    "log_softmax_opset_11_flattens": partial(softmax_of_flattened, axis=1, log=True),
    # It takes the logarithm of a softmax that has underflowed to zero.
    "log_softmax_large_values": partial(softmax_of_flattened, axis=1, log=True),
    # It refuses negative pads.
    "pad_crops": lambda x, _: np.pad(x[:, :, 1:, :-3], [(0, 0), (0, 0), (0, 1), (2, 0)]),
    # It lacks, or fails on, the Upsample and Resize of these opsets.
    "upsample_linear_opset_9": upsample_linear_by_two,
    "upsample_nearest_opset_7": upsample_nearest,
    "resize_opset_10": upsample_nearest,
    # It takes a model of opset 9 with `momentum` to be training, and fails on opset 7.
    "batch_norm_opset_9": batch_norm,
    "batch_norm_opset_7": batch_norm,
    # It walks as many channels as there are images.
    "lrn_size_5": partial(local_response_norm, size=5, alpha=0.05, beta=0.75, bias=1.0),
    "lrn_size_3": partial(local_response_norm, size=3, alpha=0.3, beta=0.5, bias=2.0),
    # It does not know the names that modes had in opset 16.
    "grid_sample_opset_16": partial(grid_sample, mode="bilinear", align_corners=False),
    # It moves the place to the border, not the elements around it.
    "grid_sample_cubic_border": partial(grid_sample, mode="bicubic", padding_mode="border", align_corners=True),
    # It applies the default of opset 16 to older models.
    "roi_align_opset_10": partial(roi_align, output_size=(2, 2), sampling_ratio=3, aligned=False),
    # It counts from the beginning of a line instead of that of the tensor. (The values are compared.)
    "max_pool_indices_1d": lambda x: np.maximum(np.maximum(x[..., :-2], x[..., 1:-1]), x[..., 2:]),
    # Of recurrent layers it leaves out lengths and clipping, most activations, and the coupling of gates.
    "rnn_lengths_reverse": partial(rnn, reverse=[True]),
    "rnn_relu_clip": partial(rnn, functions=[relu], clip=0.4),
    "rnn_bidirectional_alphas": partial(rnn, reverse=[False, True], functions=[leaky_relu(0.1), hard_sigmoid(0.3, 0.4)]),
    "gru_bidirectional_lengths": partial(gru, reverse=[False, True], linear_before_reset=True),
    "gru_softsign_clip": partial(gru, gate=hard_sigmoid(0.2, 0.5), hidden=softsign, clip=0.5),
    "lstm_peepholes_lengths": lstm,
    "lstm_reverse_clip": partial(lstm, reverse=[True], clip=0.3),
    "lstm_input_forget": partial(lstm, input_forget=True),
    # It needs all inputs, and thresholds without dimensions.
    "non_max_suppression_of_all": non_max_suppression,
    "non_max_suppression_without_threshold": non_max_suppression,
    "non_max_suppression_without_limit": non_max_suppression,
}
