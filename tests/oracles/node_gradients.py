"""Gradients of ONNX operators that PyTorch's exporter writes as something else, or not at all.

The models are like those of `gradient_oracles`, but put together here: an operator in the middle of a small network. What
it computes, and its gradient, comes from a function of PyTorch that means the same. The two forward passes are compared
while the case is made, so that an equivalent that is none is found out.
"""

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnx_testdata import draw_values, fresh_directory, generator, write_data_set, write_gradients, write_tensor

CASES = {}


def case(name, op, function, *inputs, opset, outputs=1, **attributes):
    """`inputs`: (shape, distribution), an array for what is not differentiated, or None for what is left out. `function`
    takes those there are, as tensors, and gives the last of the `outputs` there is to look at."""
    CASES[name] = (op, function, inputs, opset, outputs, attributes)


def rms_norm(x, w, epsilon=1e-5):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + epsilon) * w


def grouped(q, k, v, mask=None):
    """Attention of heads that share keys."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    return F.scaled_dot_product_attention(q, k, v, mask)


def capped(q, k, v, bias):
    scores = 2.0 * torch.tanh(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 / 2.0)
    return torch.softmax(scores + bias, -1) @ v


def rotary(x, cos, sin):
    cos, sin = cos[:, None], sin[:, None]
    a, b = x[..., :2], x[..., 2:4]
    return torch.cat([cos * a - sin * b, sin * a + cos * b, x[..., 4:]], -1)


def gated_delta(q, k, v, state, decay, beta):
    heads, scale = state.shape[1], 0.5
    split = lambda x: x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)
    q, k, v, decay, beta = map(split, (q, k, v, decay, beta))
    read = []
    for t in range(q.shape[2]):
        state = state * torch.exp(decay[:, :, t])[..., None]
        known = torch.einsum("bhdm,bhd->bhm", state, k[:, :, t])
        state = state + k[:, :, t, :, None] * (beta[:, :, t] * (v[:, :, t] - known))[:, :, None]
        read.append(scale * torch.einsum("bhd,bhdm->bhm", q[:, :, t], state))
    return torch.stack(read, 1).flatten(2)


def causal_conv(x, w, b, past):
    return F.silu(F.conv1d(torch.cat([past, x], 2), w, b, groups=x.shape[1]))


def written(cache, update, index):
    places = [[(start + step) % cache.shape[2] for step in range(update.shape[2])] for start in index.tolist()]
    places = torch.tensor(places)[:, None, :, None].expand(update.shape)
    return cache.scatter(2, places, update)


def batch_norm(x, w, b, mean, variance):
    return F.batch_norm(x, None, None, w, b, training=True)


QUERY = ((2, 4, 3, 5), "normal")
SHARED = ((2, 2, 6, 5), "normal")
CLASSES = np.int64([[1, 0, 2], [2, 2, 0]])

case("rms_normalization", "RMSNormalization", rms_norm, ((2, 3, 6), "normal"), ((6,), "scale"), opset=23)
case("attention_shared_keys", "Attention", grouped, QUERY, SHARED, SHARED, opset=23)
case("attention_bool_mask", "Attention", grouped, QUERY, SHARED, SHARED, np.array([[1, 0, 1, 1, 0, 1], [0, 0, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1]], bool), opset=23)
case("attention_bias_and_cap", "Attention", capped, QUERY, ((2, 4, 6, 5), "normal"), ((2, 4, 6, 5), "normal"), ((3, 6), "normal"), opset=23, softcap=2.0)
case("attention_causal", "Attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), QUERY, QUERY, QUERY, opset=24, is_causal=1)
case("rotary_embedding", "RotaryEmbedding", rotary, ((2, 3, 4, 6), "normal"), ((2, 4, 2), "normal"), ((2, 4, 2), "normal"), opset=23, rotary_embedding_dim=4)
case("swi_glu", "SwiGLU", lambda a, b: F.silu(a) * b, ((3, 5), "normal"), ((3, 5), "normal"), opset=28)
case("linear_attention_gated_delta", "LinearAttention", gated_delta, ((2, 3, 8), "normal"), ((2, 3, 8), "unit"), ((2, 3, 6), "normal"), ((2, 2, 4, 3), "normal"), ((2, 3, 8), "negative"), ((2, 3, 2), "positive"), opset=27, outputs=2, q_num_heads=2, kv_num_heads=2, scale=0.5)
case("causal_conv_with_state", "CausalConvWithState", causal_conv, ((2, 3, 5), "normal"), ((3, 1, 3), "normal"), ((3,), "normal"), ((2, 3, 2), "normal"), opset=27, outputs=2, activation="silu")
case("tensor_scatter", "TensorScatter", written, ((2, 2, 5, 3), "normal"), ((2, 2, 2, 3), "normal"), np.int64([1, 4]), opset=24, mode="circular")
case("nll_loss_ignored", "NegativeLogLikelihoodLoss", lambda x, t, w: F.nll_loss(x, t, w, ignore_index=2), ((2, 4, 3), "normal"), CLASSES, np.float32([0.5, 1.5, 1.0, 0.25]), opset=13, ignore_index=2)
case("cross_entropy_none", "SoftmaxCrossEntropyLoss", lambda x, t: F.cross_entropy(x, t, reduction="none"), ((2, 4, 3), "normal"), CLASSES, opset=13, reduction="none")
case("cross_entropy_far_ignored", "SoftmaxCrossEntropyLoss", lambda x, t: F.cross_entropy(x, t, ignore_index=-100), ((2, 4, 3), "normal"), np.int64([[1, -100, 2], [-100, 3, 0]]), opset=13, ignore_index=-100)
case("batch_norm_training", "BatchNormalization", batch_norm, ((3, 4, 5), "normal"), ((4,), "scale"), ((4,), "normal"), np.float32([0.1, 0.2, 0.3, 0.4]), np.float32([1, 2, 3, 4]), opset=15, outputs=3, training_mode=1)


def bent(x):
    return x + 0.05 * torch.sin(x)


def build(name, drawn, weights):
    op, _, sources, opset, outputs, attributes = CASES[name]
    nodes, names, inputs, constants = [], [], [], [numpy_helper.from_array(np.float32(0.05), "share")]
    for i, (source, value) in enumerate(zip(sources, drawn)):
        if source is None:
            names.append("")
        elif isinstance(source, np.ndarray):
            names.append(f"x{i}")
            if source.dtype == np.float32:
                constants.append(numpy_helper.from_array(source, f"x{i}"))
            else:
                inputs.append(helper.make_tensor_value_info(f"x{i}", helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
        else:
            inputs.append(helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, value.shape))
            nodes += [
                helper.make_node("Sin", [f"x{i}"], [f"sin{i}"]),
                helper.make_node("Mul", [f"sin{i}", "share"], [f"little{i}"]),
                helper.make_node("Add", [f"x{i}", f"little{i}"], [f"bent{i}"]),
            ]
            names.append(f"bent{i}")
    constants.append(numpy_helper.from_array(weights, "weights"))
    nodes += [
        helper.make_node(op, names, ["y", *(f"other{i}" for i in range(1, outputs))], name=name, **attributes),
        helper.make_node("Sin", ["y"], ["behind"]),
        helper.make_node("Mul", ["behind", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted"], ["loss"], keepdims=0),
    ]
    loss = helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])
    graph = helper.make_graph(nodes, name, inputs, [loss], constants)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="kiln gradient oracles")


def write_case(name, directory):
    _, function, sources, _, _, _ = CASES[name]
    rng = generator("gradient", name)
    drawn = [s if s is None or isinstance(s, np.ndarray) else draw_values(rng, s[0], np.float32, s[1]) for s in sources]
    wanted = [i for i, s in enumerate(sources) if isinstance(s, tuple)]
    tensors = [None if x is None else torch.from_numpy(x) for x in drawn]
    for i in wanted:
        tensors[i].requires_grad_()
    y = function(*(bent(t) if i in wanted else t for i, t in enumerate(tensors) if t is not None))
    weights = torch.cos(torch.arange(y.numel(), dtype=torch.float32)).reshape(y.shape)
    loss = (torch.sin(y) * weights).sum()
    gradients = torch.autograd.grad(loss, [tensors[i] for i in wanted])
    model = build(name, drawn, weights.numpy())
    onnx.checker.check_model(model)
    given = {i.name: drawn[int(i.name[1:])] for i in model.graph.input}
    (answer,) = ReferenceEvaluator(model).run(None, given)
    if not np.isclose(answer, loss.item(), rtol=1e-4, atol=1e-5):
        raise ValueError(f"PyTorch's loss is {loss.item()}, the operator's {answer}")
    target = fresh_directory(directory / name)
    onnx.save(model, target / "model.onnx")
    write_data_set(target, 0, given, {"loss": loss.detach().numpy()})
    names = list(given)
    for i, gradient in zip(wanted, gradients):
        position = names.index(f"x{i}")
        write_tensor(target / "test_data_set_0" / f"gradient_{position}.pb", f"x{i}.grad", gradient.numpy())


def write_all(directory, only=None):
    """Writes the chosen cases under `directory`; returns the number written and the complaints."""
    return write_gradients(CASES, write_case, directory, only)
