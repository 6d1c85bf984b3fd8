"""Gradients as PyTorch computes them, for functions in the middle of a small network.

Each case is exported as a model whose only output is a number, `loss`; beside the inputs lie PyTorch's gradients:

    NAME/model.onnx
    NAME/test_data_set_0/{input_0.pb, ..., output_0.pb, gradient_0.pb, ...}

Each floating point input passes something that is not linear before the function, and the function's results behind it.
"""

import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F

from onnx_testdata import draw_values, fresh_directory, generator, write_data_set, write_gradients, write_tensor

CASES = {}


def case(name, function, *inputs, bend=True, opset=17):
    """`inputs`: (shape, distribution), or an array for what is not differentiated."""
    CASES[name] = (function, inputs, bend, opset)


def unary(name, function, draw="normal"):
    case(name, function, ((3, 5), draw))


def written(function, write):
    """`function`, which the exporter does not know: it is exported as `write(g, *inputs)` says."""

    class Written(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            return function(*inputs)

        @staticmethod
        def symbolic(g, *inputs):
            return write(g, *inputs)

    return lambda *inputs: Written.apply(*inputs) if torch.onnx.is_in_onnx_export() else function(*inputs)


IMAGE = ((2, 3, 7, 6), "normal")
TIES = ((2, 3, 8, 6), "steps")

unary("relu", torch.relu)
unary("leaky_relu", lambda x: F.leaky_relu(x, 0.2))
unary("elu", F.elu)
unary("celu", lambda x: F.celu(x, 1.5))
unary("selu", F.selu)
unary("gelu", F.gelu)
unary("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"))
unary("silu", F.silu)
unary("mish", F.mish)
unary("softplus", F.softplus)
unary("softsign", F.softsign)
unary("hardswish", F.hardswish)
unary("hardsigmoid", F.hardsigmoid)
unary("hardtanh", lambda x: F.hardtanh(x, -0.5, 0.75))
unary("relu6", F.relu6, "wide")
unary("sigmoid", torch.sigmoid, "wide")
unary("tanh", torch.tanh)
unary("log_sigmoid", F.logsigmoid)
unary("exp", torch.exp)
unary("log", torch.log, "positive")
unary("sqrt", torch.sqrt, "positive")
unary("rsqrt", torch.rsqrt, "positive")
unary("reciprocal", torch.reciprocal, "positive")
unary("abs", torch.abs)
unary("sin", torch.sin)
unary("cos", torch.cos)
unary("tan", torch.tan, "unit")
unary("atan", torch.atan)
unary("erf", torch.erf)
unary("pow_cube", lambda x: x**3)
unary("pow_fraction", lambda x: x**1.5, "positive")
# Where they bend, as `subgradient_cases.py` has it for the functions themselves.
for name in ["relu", "leaky_relu", "elu", "relu6", "hardtanh", "hardsigmoid", "hardswish"]:
    case(f"{name}_bends", getattr(F, name), ((4, 24), "bends"), bend=False)
for name in ["hardshrink", "softshrink"]:
    case(f"{name}_bends", getattr(F, name), ((3, 11), "steps"), bend=False)
case("clamp_bends", lambda x: x.clamp(-1, 2), ((4, 24), "bends"), bend=False)
case("clamp_min_bends", lambda x: x.clamp(min=-1), ((4, 24), "bends"), bend=False)
case("prelu_bends", F.prelu, ((4, 24), "bends"), ((24,), "unit"), bend=False)
case("pow_tensor", torch.pow, ((3, 5), "positive"), ((3, 5), "normal"))
case("add_broadcast", lambda a, b: a + b, ((2, 3, 4), "normal"), ((3, 1), "normal"))
case("sub_broadcast", lambda a, b: a - b, ((4,), "normal"), ((2, 3, 4), "normal"))
case("mul_broadcast", lambda a, b: a * b, ((2, 3, 4), "normal"), ((1, 3, 1), "normal"))
case("div_broadcast", lambda a, b: a / b, ((2, 3, 4), "normal"), ((3, 4), "positive"))
case("maximum", torch.maximum, ((3, 5), "normal"), ((3, 5), "normal"))
case("maximum_of_equals", torch.maximum, ((3, 5), "steps"), ((3, 5), "steps"), bend=False)
case("where", lambda a, b: torch.where(a > b, a * b, b), ((3, 5), "normal"), ((3, 5), "normal"))
case("conv1d", lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1), ((2, 3, 11), "normal"), ((5, 3, 3), "normal"), ((5,), "normal"))
case("conv2d", lambda x, w, b: F.conv2d(x, w, b, padding=1), IMAGE, ((5, 3, 3, 3), "normal"), ((5,), "normal"))
case("conv2d_strided", lambda x, w: F.conv2d(x, w, stride=(2, 3), padding=(1, 0)), IMAGE, ((4, 3, 3, 2), "normal"))
case("conv2d_strided_leaves_a_rest", lambda x, w: F.conv2d(x, w, stride=3), ((2, 4, 8, 9), "normal"), ((8, 4, 2, 2), "normal"))
case("conv2d_dilated", lambda x, w: F.conv2d(x, w, dilation=2, padding=2), IMAGE, ((4, 3, 3, 3), "normal"))
case("conv2d_groups", lambda x, w: F.conv2d(x, w, groups=3), ((2, 6, 5, 5), "normal"), ((9, 2, 3, 3), "normal"))
case("conv2d_groups_of_four", lambda x, w: F.conv2d(x, w, groups=2, padding=1), ((2, 8, 5, 5), "normal"), ((8, 4, 3, 3), "normal"))
case("conv2d_depthwise", lambda x, w: F.conv2d(x, w, groups=6, padding=1, stride=2), ((2, 6, 7, 7), "normal"), ((6, 1, 3, 3), "normal"))
case("conv2d_pointwise", F.conv2d, ((2, 8, 5, 5), "normal"), ((12, 8, 1, 1), "normal"))
case("conv3d", lambda x, w: F.conv3d(x, w, padding=1), ((2, 3, 4, 5, 4), "normal"), ((4, 3, 3, 2, 3), "normal"))
case("conv_transpose2d", lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1), ((2, 4, 4, 3), "normal"), ((4, 3, 3, 3), "normal"), ((3,), "normal"))
case("conv_transpose2d_groups", lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2, dilation=2), ((2, 4, 4, 3), "normal"), ((4, 3, 3, 3), "normal"))
case("max_pool1d", lambda x: F.max_pool1d(x, 3, 2, 1), ((2, 3, 9), "normal"))
case("max_pool2d", lambda x: F.max_pool2d(x, 2), IMAGE)
case("max_pool2d_overlapping_ties", lambda x: F.max_pool2d(x, 3, 2, 1), TIES, bend=False)
case("max_pool2d_all_equal", lambda x: F.max_pool2d(x * 0, 2) + F.max_pool2d(x, 2), TIES, bend=False)
case("max_pool2d_dilated", lambda x: F.max_pool2d(x, 2, 2, dilation=2), IMAGE)
case("max_pool2d_ceil", lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), IMAGE)
case("max_pool3d", lambda x: F.max_pool3d(x, 2), ((2, 3, 4, 5, 4), "normal"))
case("avg_pool2d", lambda x: F.avg_pool2d(x, 3, 2, 1), IMAGE)
case("avg_pool2d_not_counted", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), IMAGE)
case("avg_pool2d_ceil", lambda x: F.avg_pool2d(x, 2, ceil_mode=True), IMAGE)
case("adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 1), IMAGE)
case("adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, 1), IMAGE)
case("adaptive_max_pool2d_ties", lambda x: F.adaptive_max_pool2d(x, 1), TIES, bend=False)
case("linear", F.linear, ((3, 5), "normal"), ((4, 5), "normal"), ((4,), "normal"))
case("matmul_batched", torch.matmul, ((2, 3, 4), "normal"), ((2, 4, 5), "normal"))
case("matmul_broadcast", torch.matmul, ((2, 3, 4), "normal"), ((4, 5), "normal"))
case("batch_norm_eval", lambda x, w, b, m, v: F.batch_norm(x, m, v, w, b), IMAGE, ((3,), "normal"), ((3,), "normal"), np.float32([0.1, -0.2, 0.3]), np.float32([1.5, 0.5, 1.0]))
case("layer_norm", lambda x, w, b: F.layer_norm(x, [6], w, b), ((2, 3, 6), "normal"), ((6,), "normal"), ((6,), "normal"))
case("group_norm", lambda x, w, b: F.group_norm(x, 2, w, b), ((2, 4, 3, 3), "normal"), ((4,), "normal"), ((4,), "normal"))
case("instance_norm", lambda x: F.instance_norm(x), IMAGE)
case("softmax", lambda x: F.softmax(x, 1), ((3, 5), "wide"))
case("log_softmax", lambda x: F.log_softmax(x, 1), ((3, 5), "wide"))
case("log_softmax_pixelwise", lambda x: F.log_softmax(x, 1), IMAGE)
case("sum", lambda x: x.sum((0, 2)), ((2, 3, 4), "normal"))
case("mean", lambda x: x.mean((2, 3), keepdim=True), IMAGE)
# Products near one: the sine behind a product of a hundred would show the rounding of single precision.
case("prod", lambda x: x.prod(1), ((3, 5), "normal"))
case("amax", lambda x: x.amax((2, 3)), IMAGE)
case("amax_ties", lambda x: x.amax((2, 3)), TIES, bend=False)
case("amin", lambda x: x.amin(1), ((3, 5), "normal"))
case("logsumexp", lambda x: x.logsumexp(1), ((3, 5), "wide"))
case("norm", lambda x: x.norm(dim=1), ((3, 5), "normal"))
case("norm_of_zero", lambda x: x.norm(dim=1), ((3, 5), "zero"), bend=False)
case("norm_1_of_zero", lambda x: x.norm(p=1, dim=1), ((3, 5), "zero"), bend=False)
case("normalize_zero", F.normalize, ((3, 5), "zero"), bend=False)
case("lp_pool_zero", lambda x: F.lp_pool2d(x, 2, 2), ((2, 3, 6, 4), "zero"), bend=False)
case("reshape", lambda x: x.reshape(2, -1), IMAGE)
case("transpose", lambda x: x.permute(0, 2, 3, 1), IMAGE)
case("slice", lambda x: x[:, 1:, ::2, 1:5], IMAGE)
case("concat", lambda a, b: torch.cat([a, b, a], 1), IMAGE, ((2, 2, 7, 6), "normal"))
case("pad", lambda x: F.pad(x, (1, 2, 0, 1)), IMAGE)
case("pad_reflect", lambda x: F.pad(x, (2, 1, 1, 2), mode="reflect"), IMAGE)
case("pad_replicate", lambda x: F.pad(x, (2, 1, 1, 2), mode="replicate"), IMAGE)
case("expand", lambda x: x.expand(4, 3, 5), ((3, 1), "normal"))
case("index_select", lambda x, i: torch.index_select(x, 0, i), ((5, 4), "normal"), np.int64([3, 0, 3, 1]))
case("embedding", lambda w, i: F.embedding(i, w), ((6, 3), "normal"), np.int64([[1, 5, 1], [0, 2, 5]]))
case("gather", lambda x, i: torch.gather(x, 1, i), ((3, 5), "normal"), np.int64([[0, 4], [2, 2], [3, 1]]))
PLACES = np.int64([[0, 0, 2, 0], [0, 1, 2, 1]])
DATA, UPDATES = ((3, 4), "normal"), ((2, 4), "normal")
case("scatter", lambda x, u, i: torch.scatter(x, 0, i, u), DATA, UPDATES, np.int64([[0, 1, 2, 0], [1, 0, 0, 2]]))
case("scatter_add", lambda x, u, i: torch.scatter_add(x, 0, i, u), DATA, UPDATES, PLACES)
for reduction in ["prod", "amax", "amin"]:
    case(f"scatter_{reduction}", lambda x, u, i, r=reduction: torch.scatter_reduce(x, 0, i, u, r), DATA, UPDATES, PLACES, opset=18)
case("scatter_amax_ties", lambda x, u, i: torch.scatter_reduce(x, 0, i, u, "amax"), ((3, 4), "steps"), ((2, 4), "steps"), PLACES, bend=False, opset=18)
case("scatter_prod_of_zeros", lambda x, u, i: torch.scatter_reduce(x, 0, i, torch.relu(u), "prod"), DATA, ((2, 4), "steps"), PLACES, bend=False, opset=18)
case("index_put", lambda x, u, i: torch.index_put(x, (i,), u), ((5, 3), "normal"), ((2, 3), "normal"), np.int64([3, 1]))
case("topk", lambda x: torch.topk(x, 3, 1)[0], ((3, 7), "normal"))
case("sort_descending", lambda x: torch.topk(x, 5, 0)[0], ((5, 3), "normal"))
case("upsample_nearest", lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), ((2, 3, 3, 4), "normal"))
case("upsample_bilinear", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), ((2, 3, 3, 4), "normal"))
case("upsample_align_corners", lambda x: F.interpolate(x, size=(5, 7), mode="bilinear", align_corners=True), ((2, 3, 3, 4), "normal"))
case("upsample_bicubic", lambda x: F.interpolate(x, size=(5, 9), mode="bicubic"), ((2, 3, 3, 4), "normal"))
case("upsample_bicubic_align_corners", lambda x: F.interpolate(x, size=(2, 7), mode="bicubic", align_corners=True), ((2, 3, 3, 4), "normal"))
ANTIALIAS = {"coordinate_transformation_mode_s": "half_pixel", "antialias_i": 1, "exclude_outside_i": 1, "cubic_coeff_a_f": -0.5}


def antialiased(mode, size):
    def write(g, x):
        sizes = g.op("Constant", value_t=torch.tensor(size))
        none = g.op("prim::Constant")
        none.setType(torch._C.OptionalType.ofTensor())
        name = mode.removeprefix("bi")
        return g.op("Resize", x, none, none, sizes, mode_s=name, axes_i=[2, 3], **ANTIALIAS)

    return written(lambda x: F.interpolate(x, size=size, mode=mode, antialias=True), write)


case("downsample_bilinear_antialias", antialiased("bilinear", (3, 4)), ((2, 3, 8, 7), "normal"), opset=18)
case("downsample_bicubic_antialias", antialiased("bicubic", (3, 4)), ((2, 3, 8, 7), "normal"), opset=18)
PLACES_2D = ((2, 4, 3, 2), "unit")
FAR_PLACES_2D = ((2, 4, 3, 2), "normal")
SMALL_IMAGE = ((2, 3, 5, 6), "normal")
for padding in ["zeros", "border", "reflection"]:
    for corners in [False, True]:
        name = f"grid_sample_{padding}" + "_corners" * corners
        case(name, lambda x, g, p=padding, c=corners: F.grid_sample(x, g, padding_mode=p, align_corners=c), SMALL_IMAGE, FAR_PLACES_2D, opset=16)
case("grid_sample_bicubic", lambda x, g: F.grid_sample(x, g, mode="bicubic", padding_mode="reflection", align_corners=False), SMALL_IMAGE, FAR_PLACES_2D, opset=16)
case("grid_sample_nearest", lambda x, g: F.grid_sample(x, g, mode="nearest", align_corners=False) + g[..., 0].sum(), SMALL_IMAGE, FAR_PLACES_2D, opset=16)
case("grid_sample_3d", written(lambda x, g: F.grid_sample(x, g, align_corners=False), lambda g, x, places: g.op("GridSample", x, places, mode_s="linear")), ((2, 3, 3, 4, 3), "normal"), ((2, 2, 2, 3, 3), "normal"), opset=20)


def spatial_transformer(x, theta):
    return F.grid_sample(x, affine_grid(theta), align_corners=False)


affine_grid = written(
    lambda theta: F.affine_grid(theta, [2, 3, 4, 5], align_corners=False),
    lambda g, theta: g.op("AffineGrid", theta, g.op("Constant", value_t=torch.tensor([2, 3, 4, 5]))),
)
case("spatial_transformer", spatial_transformer, SMALL_IMAGE, ((2, 2, 3), "unit"), opset=20)
REGIONS = np.float32([[0, 0.4, 0.7, 4.8, 3.9], [1, -2, -1.5, 3, 4], [0, 1, 2, 2.5, 2.6]])


def roi_align(x, regions):
    import torchvision

    return torchvision.ops.roi_align(x, regions, (2, 3), spatial_scale=0.9, sampling_ratio=2, aligned=True)


case("roi_align", roi_align, SMALL_IMAGE, REGIONS, opset=16)


def deform_conv(x, weight, offset, mask):
    import torchvision

    return torchvision.ops.deform_conv2d(x, offset, weight, padding=1, stride=(2, 1), mask=mask)


case(
    "deform_conv",
    written(
        deform_conv,
        lambda g, x, w, o, m: g.op("DeformConv", x, w, o, g.op("Constant", value_t=torch.zeros(6)), m, group_i=2, offset_group_i=2, pads_i=[1, 1, 1, 1], strides_i=[2, 1]),
    ),
    ((2, 4, 5, 4), "normal"),
    ((6, 2, 3, 3), "normal"),
    ((2, 36, 3, 4), "normal"),
    ((2, 18, 3, 4), "positive"),
    opset=19,
)
case("fold", lambda x: F.fold(x, (5, 6), (3, 2), stride=2, padding=1), ((2, 18, 12), "normal"), opset=18)


def unpooled(x, small):
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    return torch.ops.aten.max_unpool2d(y * small, indices, x.shape[2:])


def write_unpooled(g, x, small):
    y, indices = g.op("MaxPool", x, kernel_shape_i=[2, 2], strides_i=[2, 2], outputs=2)
    return g.op("MaxUnpool", g.op("Mul", y, small), indices, kernel_shape_i=[2, 2], strides_i=[2, 2])


case("max_unpool", written(unpooled, write_unpooled), ((2, 3, 6, 4), "normal"), ((2, 3, 3, 2), "normal"), opset=11)
case("lp_pool", lambda x: F.lp_pool2d(x, 2, 2), ((2, 3, 6, 4), "normal"))
case("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), ((2, 8, 3, 3), "normal"))
case("shared_weight", lambda x, w: F.conv2d(torch.tanh(F.conv2d(x, w, padding=1)), w, padding=1), IMAGE, ((3, 3, 3, 3), "normal"))
case("residual", lambda x, w: F.relu(F.conv2d(x, w, padding=1)) + x, IMAGE, ((3, 3, 3, 3), "normal"))
case("tril", lambda x: torch.tril(x, -1), ((2, 4, 5), "normal"))
case("einsum", lambda a, b: torch.einsum("bij,bkj->bik", a, b), ((2, 3, 4), "normal"), ((2, 5, 4), "normal"))
case("einsum_diagonal", lambda a, b: torch.einsum("bii,ij->bj", a, b), ((2, 4, 4), "normal"), ((4, 3), "normal"))
case("cumsum", lambda x: torch.cumsum(x, 1), ((2, 5, 3), "normal"))
case("det", torch.det, ((2, 4, 4), "normal"))


def recurrent(run, gates, cell=False):
    """One layer in one direction: input [T, N, I], first states, the weights of its input and state, and biases."""

    def function(x, h, *rest):
        weights = list(rest[1:] if cell else rest)
        states = (h, rest[0]) if cell else h
        return torch.cat(run(x, states, weights, True, 1, 0.0, False, False, False)[:2])

    states = [((1, 2, 3), "normal")] * (2 if cell else 1)
    weights = [((gates * 3, 5), "unit"), ((gates * 3, 3), "unit"), ((gates * 3,), "unit"), ((gates * 3,), "unit")]
    return function, ((4, 2, 5), "normal"), *states, *weights


case("rnn", *recurrent(torch._VF.rnn_tanh, 1))
case("gru", *recurrent(torch._VF.gru, 3))
case("lstm", *recurrent(torch._VF.lstm, 4, cell=True))


class Middle(torch.nn.Module):
    def __init__(self, function, bend, inputs):
        super().__init__()
        self.function, self.bend = function, bend
        with torch.no_grad():
            y = function(*inputs)
        self.register_buffer("weights", torch.cos(torch.arange(y.numel(), dtype=torch.float32)).reshape(y.shape))

    def forward(self, *inputs):
        bent = [x + 0.05 * torch.sin(x) if self.bend and x.is_floating_point() else x for x in inputs]
        y = self.function(*bent)
        return (torch.sin(y) * self.weights).sum()


def write_case(name, directory):
    function, sources, bend, opset = CASES[name]
    rng = generator("gradient", name)
    drawn = [s if isinstance(s, np.ndarray) else draw_values(rng, s[0], np.float32, s[1]) for s in sources]
    tensors = [torch.from_numpy(x) for x in drawn]
    wanted = [i for i, s in enumerate(sources) if not isinstance(s, np.ndarray)]
    for i in wanted:
        tensors[i].requires_grad_()
    module = Middle(function, bend, tensors)
    loss = module(*tensors)
    gradients = torch.autograd.grad(loss, [tensors[i] for i in wanted])
    target = fresh_directory(directory / name)
    names = [f"x{i}" for i in range(len(tensors))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(t.detach() for t in tensors),
            target / "model.onnx",
            input_names=names,
            output_names=["loss"],
            opset_version=opset,
            dynamo=False,
            do_constant_folding=True,
        )
    model = onnx.load(target / "model.onnx")
    # Where the exporter ran is nobody's business.
    for node in model.graph.node:
        node.ClearField("doc_string")
    onnx.save(model, target / "model.onnx")
    write_data_set(target, 0, dict(zip(names, drawn)), {"loss": loss.detach().numpy()})
    for i, gradient in zip(wanted, gradients):
        write_tensor(target / "test_data_set_0" / f"gradient_{i}.pb", f"x{i}.grad", gradient.numpy())


def write_all(directory, only=None):
    """Writes the chosen cases under `directory`; returns the number written and the complaints."""
    return write_gradients(CASES, write_case, directory, only)
