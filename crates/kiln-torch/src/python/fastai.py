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


class Lambda(Module):
    def __init__(self, func):
        self.func = func

    def forward(self, x):
        return self.func(x)


class PartialLambda(Module):
    def __init__(self, func, **kwargs):
        self.func = partial(func, **kwargs)

    def forward(self, x):
        return self.func(x)


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


class LinBnDrop(nn.Sequential):
    def __init__(self, n_in, n_out, bn=True, p=0.0, act=None, lin_first=False):
        around = [BatchNorm(n_out if lin_first else n_in, ndim=1)] if bn else []
        if p != 0:
            around.append(nn.Dropout(p))
        linear = [nn.Linear(n_in, n_out, bias=not bn)]
        if act is not None:
            linear.append(act)
        super().__init__(*(linear + around if lin_first else around + linear))


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
        if isinstance(act_func, (nn.ReLU, nn.ReLU6, nn.LeakyReLU)):
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


class Embedding(nn.Embedding):
    def __init__(self, ni, nf, std=0.01):
        super().__init__(ni, nf)
        nn.init.trunc_normal_(self.weight, std=std)


class ResBlock(Module):
    """Two convolutions, or three with `expansion` 4, beside a shortcut."""

    def __init__(
        self, expansion, ni, nf, stride=1, groups=1, nh1=None, nh2=None, dw=False, g2=1, norm_type=NormType.Batch,
        act_cls=defaults.activation, ndim=2, ks=3, pool=AvgPool, pool_first=True, **kwargs,
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
