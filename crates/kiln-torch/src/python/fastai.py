"""What `from fastai.vision.all import *` means here: the names that networks are written with, and what the book does
with them. Signatures and defaults are fastai's; data, learners and plots are left out."""

import copy
import functools
import itertools
import math
import operator
import random
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from enum import Enum
from functools import partial, reduce
from typing import *

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import init
from types import SimpleNamespace

defaults = SimpleNamespace(activation=nn.ReLU)


def noop(x=None, *args, **kwargs):
    return x


def ifnone(a, b):
    return b if a is None else a


def is_listy(x):
    return isinstance(x, (tuple, list, slice))


def listify(o):
    if o is None:
        return []
    return list(o) if isinstance(o, (list, tuple)) else [o]


def first(x):
    return next(iter(x), None)


def range_of(a):
    return list(range(len(a)))


def identity(x):
    return x


def delegates(to=None, keep=False, but=None):
    return identity


def tensor(x, *rest, **kwargs):
    return torch.tensor((x, *rest) if rest else x, **kwargs)


def sequential(*args):
    if len(args) == 1 and isinstance(args[0], OrderedDict):
        return nn.Sequential(args[0])
    return nn.Sequential(*[each if isinstance(each, nn.Module) else Lambda(each) for each in args])


class Module(nn.Module):
    """A module whose constructor need not call that of `nn.Module`."""

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        nn.Module.__init__(self)
        return self

    def __init__(self):
        pass


def module(*names, **values):
    """A decorator that makes a module of its `forward`, with these names as arguments of the constructor."""

    def decorate(forward_):
        class Made(nn.Module):
            def __init__(self, *args, **kwargs):
                super().__init__()
                given = dict(zip([*names, *values], args))
                for name, value in {**values, **given, **kwargs}.items():
                    setattr(self, name, value)

            forward = forward_

        return Made

    return decorate


class Identity(Module):
    def forward(self, x):
        return x


class Lambda(Module):
    def __init__(self, func):
        self.func = func

    def forward(self, x):
        return self.func(x)


class PartialLambda(Lambda):
    def __init__(self, func, **kwargs):
        super().__init__(partial(func, **kwargs))


class Flatten(Module):
    def __init__(self, full=False):
        self.full = full

    def forward(self, x):
        return x.view(-1) if self.full else x.view(x.size(0), -1)


class View(Module):
    def __init__(self, *size):
        self.size = size

    def forward(self, x):
        return x.view(self.size)


class ResizeBatch(Module):
    def __init__(self, *size):
        self.size = size

    def forward(self, x):
        return x.view((x.size(0),) + self.size)


def sigmoid_range(x, low, high):
    return torch.sigmoid(x) * (high - low) + low


class SigmoidRange(Module):
    def __init__(self, low, high):
        self.low, self.high = low, high

    def forward(self, x):
        return sigmoid_range(x, self.low, self.high)


class AdaptiveConcatPool1d(Module):
    def __init__(self, size=None):
        self.size = size or 1
        self.ap = nn.AdaptiveAvgPool1d(self.size)
        self.mp = nn.AdaptiveMaxPool1d(self.size)

    def forward(self, x):
        return torch.cat([self.mp(x), self.ap(x)], 1)


class AdaptiveConcatPool2d(Module):
    def __init__(self, size=None):
        self.size = size or 1
        self.ap = nn.AdaptiveAvgPool2d(self.size)
        self.mp = nn.AdaptiveMaxPool2d(self.size)

    def forward(self, x):
        return torch.cat([self.mp(x), self.ap(x)], 1)


class PoolType:
    Avg, Max, Cat = "Avg", "Max", "Cat"


def adaptive_pool(pool_type):
    if pool_type == "Avg":
        return nn.AdaptiveAvgPool2d
    return nn.AdaptiveMaxPool2d if pool_type == "Max" else AdaptiveConcatPool2d


class PoolFlatten(nn.Sequential):
    def __init__(self, pool_type=PoolType.Avg):
        super().__init__(adaptive_pool(pool_type)(1), Flatten())


NormType = Enum("NormType", "Batch BatchZero Weight Spectral Instance InstanceZero")


def _norm(kind, nf, ndim, zero, **kwargs):
    norm = getattr(nn, f"{kind}{ndim}d")(nf, **kwargs)
    if norm.affine:
        norm.bias.data.fill_(1e-3)
        norm.weight.data.fill_(0.0 if zero else 1.0)
    return norm


def BatchNorm(nf, ndim=2, norm_type=NormType.Batch, **kwargs):
    return _norm("BatchNorm", nf, ndim, norm_type == NormType.BatchZero, **kwargs)


def InstanceNorm(nf, ndim=2, norm_type=NormType.Instance, affine=True, **kwargs):
    return _norm("InstanceNorm", nf, ndim, norm_type == NormType.InstanceZero, affine=affine, **kwargs)


class BatchNorm1dFlat(nn.BatchNorm1d):
    """All dimensions but the last are put together first."""

    def forward(self, x):
        if x.dim() == 2:
            return super().forward(x)
        return super().forward(x.reshape(-1, x.shape[-1])).reshape(x.shape)


class LinBnDrop(nn.Sequential):
    def __init__(self, n_in, n_out, bn=True, p=0.0, act=None, lin_first=False):
        around = [BatchNorm(n_out if lin_first else n_in, ndim=1)] if bn else []
        if p != 0:
            around.append(nn.Dropout(p))
        linear = [nn.Linear(n_in, n_out, bias=not bn)]
        if act is not None:
            linear.append(act)
        super().__init__(*(linear + around if lin_first else around + linear))


def sigmoid(input, eps=1e-7):
    return input.sigmoid().clamp(eps, 1 - eps)


def sigmoid_(input, eps=1e-7):
    return sigmoid(input, eps)


def vleaky_relu(input, inplace=True):
    return F.leaky_relu(input, negative_slope=0.3)


def mish(x, inplace=False):
    return F.mish(x)


Mish = nn.Mish
Swish = nn.SiLU
inplace_relu = partial(nn.ReLU, inplace=True)


def init_default(m, func=nn.init.kaiming_normal_):
    if func and hasattr(m, "weight"):
        func(m.weight)
    with torch.no_grad():
        if getattr(m, "bias", None) is not None:
            m.bias.fill_(0.0)
    return m


def init_linear(m, act_func=None, init="auto", bias_std=0.01):
    if getattr(m, "bias", None) is not None and bias_std is not None:
        if bias_std != 0:
            nn.init.normal_(m.bias, 0, bias_std)
        else:
            m.bias.data.zero_()
    if init == "auto":
        init = None
        if isinstance(act_func, (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Mish, nn.SiLU)):
            init = nn.init.kaiming_uniform_
        elif isinstance(act_func, (nn.Sigmoid, nn.Tanh)):
            init = nn.init.xavier_uniform_
    if init:
        init(m.weight)


class ConvLayer(nn.Sequential):
    def __init__(
        self, ni, nf, ks=3, stride=1, padding=None, bias=None, ndim=2, norm_type=NormType.Batch, bn_1st=True,
        act_cls=defaults.activation, transpose=False, init="auto", xtra=None, bias_std=0.01, **kwargs,
    ):
        if padding is None:
            padding = 0 if transpose else (ks - 1) // 2
        is_batch = norm_type in (NormType.Batch, NormType.BatchZero)
        is_instance = norm_type in (NormType.Instance, NormType.InstanceZero)
        if bias is None:
            bias = not (is_batch or is_instance)
        kind = getattr(nn, f"Conv{'Transpose' if transpose else ''}{ndim}d")
        conv = kind(ni, nf, kernel_size=ks, bias=bias, stride=stride, padding=padding, **kwargs)
        act = None if act_cls is None else act_cls()
        init_linear(conv, act, init=init, bias_std=bias_std)
        if norm_type == NormType.Weight:
            conv = nn.utils.weight_norm(conv)
        elif norm_type == NormType.Spectral:
            conv = nn.utils.spectral_norm(conv)
        behind = [] if act is None else [act]
        if is_batch:
            behind.append(BatchNorm(nf, norm_type=norm_type, ndim=ndim))
        if is_instance:
            behind.append(InstanceNorm(nf, norm_type=norm_type, ndim=ndim))
        if bn_1st:
            behind.reverse()
        super().__init__(conv, *behind, *([xtra] if xtra else []))


def AdaptiveAvgPool(sz=1, ndim=2):
    return getattr(nn, f"AdaptiveAvgPool{ndim}d")(sz)


def MaxPool(ks=2, stride=None, padding=0, ndim=2, ceil_mode=False):
    return getattr(nn, f"MaxPool{ndim}d")(ks, stride=stride, padding=padding)


def AvgPool(ks=2, stride=None, padding=0, ndim=2, ceil_mode=False):
    return getattr(nn, f"AvgPool{ndim}d")(ks, stride=stride, padding=padding, ceil_mode=ceil_mode)


class SimpleCNN(nn.Sequential):
    def __init__(self, filters, kernel_szs=None, strides=None, bn=True):
        count = len(filters) - 1
        kernel_szs = ifnone(kernel_szs, [3] * count)
        strides = ifnone(strides, [2] * count)
        layers = [
            ConvLayer(
                filters[i], filters[i + 1], kernel_szs[i], stride=strides[i],
                norm_type=NormType.Batch if bn and i < count - 1 else None,
            )
            for i in range(count)
        ]
        layers.append(PoolFlatten())
        super().__init__(*layers)


def trunc_normal_(x, mean=0.0, std=1.0):
    """What lies further out than two deviations is put near the middle instead."""
    with torch.no_grad():
        x.copy_(torch.fmod(torch.randn(*x.shape), 2) * std + mean)
    return x


class Embedding(nn.Embedding):
    def __init__(self, ni, nf, std=0.01):
        super().__init__(ni, nf)
        trunc_normal_(self.weight, std=std)


class MergeLayer(Module):
    """Within `SequentialEx`: what came in is added, or put behind with `dense`."""

    def __init__(self, dense=False):
        self.dense = dense

    def forward(self, x, orig):
        return torch.cat([x, orig], dim=1) if self.dense else x + orig


class ProdLayer(Module):
    """Within `SequentialEx`: what came in is multiplied."""

    def forward(self, x, orig):
        return x * orig


class SequentialEx(Module):
    """Layers in a row, of which some see what came in."""

    def __init__(self, *layers):
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        orig = x
        for layer in self.layers:
            x = layer(x, orig) if isinstance(layer, (MergeLayer, ProdLayer)) else layer(x)
        return x

    def __getitem__(self, i):
        return self.layers[i]

    def append(self, layer):
        return self.layers.append(layer)

    def extend(self, layers):
        return self.layers.extend(layers)

    def insert(self, i, layer):
        return self.layers.insert(i, layer)


class Cat(nn.ModuleList):
    """The outputs of all layers, behind each other."""

    def __init__(self, layers, dim=1):
        self.dim = dim
        super().__init__(layers)

    def forward(self, x):
        return torch.cat([layer(x) for layer in self], dim=self.dim)


def SEModule(ch, reduction, act_cls=defaults.activation):
    """Each channel is weighted by what all of them say together."""
    nf = math.ceil(ch // reduction / 8) * 8
    return SequentialEx(
        nn.AdaptiveAvgPool2d(1),
        ConvLayer(ch, nf, ks=1, norm_type=None, act_cls=act_cls),
        ConvLayer(nf, ch, ks=1, norm_type=None, act_cls=nn.Sigmoid),
        ProdLayer(),
    )


class SimpleSelfAttention(Module):
    def __init__(self, n_in, ks=1, sym=False):
        self.conv = nn.utils.spectral_norm(nn.Conv1d(n_in, n_in, ks, padding=ks // 2, bias=False))


class TimeDistributed(Module):
    """`module` at each place of the second dimension."""

    def __init__(self, module, low_mem=False, tdim=1):
        self.module, self.low_mem, self.tdim = module, low_mem, tdim

    def forward(self, *tensors, **kwargs):
        if self.low_mem or self.tdim != 1:
            parts = zip(*[torch.unbind(x, dim=self.tdim) for x in tensors])
            return torch.stack([self.module(*part, **kwargs) for part in parts], dim=self.tdim)
        steps = tensors[0].shape[1]
        out = self.module(*[x.flatten(0, 1) for x in tensors], **kwargs)
        return out.view(-1, steps, *out.shape[1:])


class ResBlock(Module):
    """Two convolutions, or three with `expansion` 4, beside a shortcut."""

    def __init__(
        self, expansion, ni, nf, stride=1, groups=1, reduction=None, nh1=None, nh2=None, dw=False, g2=1, sa=False,
        sym=False, norm_type=NormType.Batch, act_cls=defaults.activation, ndim=2, ks=3, pool=AvgPool, pool_first=True,
        **kwargs,
    ):
        last = NormType.BatchZero if norm_type == NormType.Batch else norm_type
        if norm_type == NormType.Instance:
            last = NormType.InstanceZero
        nh2 = ifnone(nh2, nf)
        nh1 = ifnone(nh1, nh2)
        nf, ni = nf * expansion, ni * expansion
        inner = dict(norm_type=norm_type, act_cls=act_cls, ndim=ndim, **kwargs)
        outer = dict(norm_type=last, act_cls=None, ndim=ndim, **kwargs)
        if expansion == 1:
            layers = [
                ConvLayer(ni, nh2, ks, stride=stride, groups=ni if dw else groups, **inner),
                ConvLayer(nh2, nf, ks, groups=g2, **outer),
            ]
        else:
            layers = [
                ConvLayer(ni, nh1, 1, **inner),
                ConvLayer(nh1, nh2, ks, stride=stride, groups=nh1 if dw else groups, **inner),
                ConvLayer(nh2, nf, 1, groups=g2, **outer),
            ]
        if reduction:
            layers.append(SEModule(nf, reduction=reduction, act_cls=act_cls))
        if sa:
            layers.append(SimpleSelfAttention(nf, ks=1, sym=sym))
        self.convpath = nn.Sequential(*layers)
        shortcut = []
        if ni != nf:
            shortcut.append(ConvLayer(ni, nf, 1, act_cls=None, ndim=ndim, **kwargs))
        if stride != 1:
            shortcut.insert(0 if pool_first else len(shortcut), pool(stride, ndim=ndim, ceil_mode=True))
        self.idpath = nn.Sequential(*shortcut)
        self.act = nn.ReLU(inplace=True) if act_cls is defaults.activation else act_cls()

    def forward(self, x):
        return self.act(self.convpath(x) + self.idpath(x))


def SEBlock(expansion, ni, nf, groups=1, reduction=16, stride=1, **kwargs):
    wide = dict(nh1=nf * 2, nh2=nf * expansion)
    return ResBlock(expansion, ni, nf, stride=stride, groups=groups, reduction=reduction, **wide, **kwargs)


def SEResNeXtBlock(expansion, ni, nf, groups=32, reduction=16, stride=1, base_width=4, **kwargs):
    width = math.floor(nf * (base_width / 64)) * groups
    return ResBlock(expansion, ni, nf, stride=stride, groups=groups, reduction=reduction, nh2=width, **kwargs)


def SeparableBlock(expansion, ni, nf, reduction=16, stride=1, base_width=4, **kwargs):
    return ResBlock(expansion, ni, nf, stride=stride, reduction=reduction, nh2=nf * 2, dw=True, **kwargs)


def icnr_init(x, scale=2, init=nn.init.kaiming_normal_):
    """First values with which the pixels that `nn.PixelShuffle` makes of one are the same."""
    ni, nf, h, w = x.shape
    kernel = init(torch.zeros(ni // scale**2, nf, h, w))
    return kernel.repeat_interleave(scale**2, 0)


class PixelShuffle_ICNR(nn.Sequential):
    def __init__(self, ni, nf=None, scale=2, blur=False, norm_type=NormType.Weight, act_cls=defaults.activation):
        nf = ifnone(nf, ni)
        conv = ConvLayer(ni, nf * scale**2, ks=1, norm_type=norm_type, act_cls=act_cls, bias_std=0)
        conv[0].weight.data.copy_(icnr_init(conv[0].weight.data))
        layers = [conv, nn.PixelShuffle(scale)]
        if blur:
            layers += [nn.ReplicationPad2d((1, 0, 1, 0)), nn.AvgPool2d(2, stride=1)]
        super().__init__(*layers)


def has_children(m):
    return len(list(m.children())) > 0


def flatten_model(m):
    return sum(map(flatten_model, m.children()), []) if has_children(m) else [m]


def in_channels(m):
    """The inputs of the first convolution."""
    return next(each.weight.shape[1] for each in flatten_model(m) if hasattr(each, "weight") and each.weight.ndim == 4)
