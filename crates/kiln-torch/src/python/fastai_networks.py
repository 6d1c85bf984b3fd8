

def init_cnn(m):
    if getattr(m, "bias", None) is not None:
        nn.init.constant_(m.bias, 0)
    if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)):
        nn.init.kaiming_normal_(m.weight)
    for child in m.children():
        init_cnn(child)


class XResNet(nn.Sequential):
    """A residual network with three convolutions in front and shortcuts that pool."""

    def __init__(
        self, block, expansion, layers, p=0.0, c_in=3, n_out=1000, stem_szs=(32, 32, 64), widen=1.0, sa=False,
        act_cls=defaults.activation, ndim=2, ks=3, stride=2, **kwargs,
    ):
        if ks % 2 == 0:
            raise Exception("kernel size has to be odd!")
        same = dict(act_cls=act_cls, ndim=ndim, ks=ks)
        sizes = [c_in, *stem_szs]
        stem = [ConvLayer(sizes[i], sizes[i + 1], stride=1 if i else stride, **same) for i in range(3)]
        widths = [64 // expansion] + [int(o * widen) for o in [64, 128, 256, 512] + [256] * (len(layers) - 4)]
        stages = []
        for at, count in enumerate(layers):
            ni, nf = widths[at], widths[at + 1]
            blocks = []
            for i in range(count):
                attends = sa and at == len(layers) - 4 and i == count - 1
                step = stride if at > 0 and i == 0 else 1
                blocks.append(block(expansion, nf if i else ni, nf, stride=step, sa=attends, **same, **kwargs))
            stages.append(nn.Sequential(*blocks))
        super().__init__(
            *stem, MaxPool(ks=ks, stride=stride, padding=ks // 2, ndim=ndim), *stages,
            AdaptiveAvgPool(sz=1, ndim=ndim), Flatten(), nn.Dropout(p), nn.Linear(widths[-1] * expansion, n_out),
        )
        init_cnn(self)


def _unknown_weights(pretrained):
    if pretrained:
        raise ValueError("weights are not downloaded: `--weights FILE` reads a state dict")


def _xresnet(expansion, layers):
    def make(pretrained=False, **kwargs):
        _unknown_weights(pretrained)
        return XResNet(ResBlock, expansion, layers, **kwargs)

    return make


def _xse(block, expansion, layers, **settings):
    def make(n_out=1000, pretrained=False, **kwargs):
        return XResNet(block, expansion, layers, n_out=n_out, **settings, **kwargs)

    return make


xresnet18 = _xresnet(1, [2, 2, 2, 2])
xresnet34 = _xresnet(1, [3, 4, 6, 3])
xresnet50 = _xresnet(4, [3, 4, 6, 3])
xresnet101 = _xresnet(4, [3, 4, 23, 3])
xresnet152 = _xresnet(4, [3, 8, 36, 3])
xresnet18_deep = _xresnet(1, [2, 2, 2, 2, 1, 1])
xresnet34_deep = _xresnet(1, [3, 4, 6, 3, 1, 1])
xresnet50_deep = _xresnet(4, [3, 4, 6, 3, 1, 1])
xresnet18_deeper = _xresnet(1, [2, 2, 1, 1, 1, 1, 1, 1])
xresnet34_deeper = _xresnet(1, [3, 4, 6, 3, 1, 1, 1, 1])
xresnet50_deeper = _xresnet(4, [3, 4, 6, 3, 1, 1, 1, 1])
xse_resnet18 = _xse(SEBlock, 1, [2, 2, 2, 2], groups=1, reduction=16)
xse_resnet34 = _xse(SEBlock, 1, [3, 4, 6, 3], groups=1, reduction=16)
xse_resnet50 = _xse(SEBlock, 4, [3, 4, 6, 3], groups=1, reduction=16)
xse_resnext18 = _xse(SEResNeXtBlock, 1, [2, 2, 2, 2], groups=32, reduction=16)
xse_resnext34 = _xse(SEResNeXtBlock, 1, [3, 4, 6, 3], groups=32, reduction=16)
xse_resnext50 = _xse(SEResNeXtBlock, 4, [3, 4, 6, 3], groups=32, reduction=16)
xresnext18 = _xse(SEResNeXtBlock, 1, [2, 2, 2, 2], groups=32, reduction=0)
xresnext34 = _xse(SEResNeXtBlock, 1, [3, 4, 6, 3], groups=32, reduction=0)
xresnext50 = _xse(SEResNeXtBlock, 4, [3, 4, 6, 3], groups=32, reduction=0)


def create_head(
    nf, n_out, lin_ftrs=None, ps=0.5, pool=True, concat_pool=True, first_bn=True, bn_final=False, lin_first=False,
    y_range=None,
):
    """What `vision_learner` puts behind the body of a network."""
    if pool and concat_pool:
        nf *= 2
    sizes = [nf, 512, n_out] if lin_ftrs is None else [nf, *lin_ftrs, n_out]
    count = len(sizes) - 1
    ps = listify(ps)
    if len(ps) == 1:
        ps = [ps[0] / 2] * (count - 1) + ps
    layers = []
    if pool:
        layers += [AdaptiveConcatPool2d() if concat_pool else nn.AdaptiveAvgPool2d(1), Flatten()]
    if lin_first:
        layers.append(nn.Dropout(ps.pop(0)))
    for at, p in zip(range(count), ps):
        act = nn.ReLU(inplace=True) if at < count - 1 else None
        layers += LinBnDrop(sizes[at], sizes[at + 1], bn=first_bn or at > 0, p=p, act=act, lin_first=lin_first)
    if lin_first:
        layers.append(nn.Linear(sizes[-2], n_out))
    if bn_final:
        layers.append(nn.BatchNorm1d(sizes[-1], momentum=0.01))
    if y_range is not None:
        layers.append(SigmoidRange(*y_range))
    return nn.Sequential(*layers)


def emb_sz_rule(n_cat):
    return min(600, round(1.6 * n_cat**0.56))


class TabularModel(Module):
    """Embeddings of what is counted and numbers, in front of linear layers."""

    def __init__(
        self, emb_szs, n_cont, out_sz, layers, ps=None, embed_p=0.0, y_range=None, use_bn=True, bn_final=False,
        bn_cont=True, act_cls=nn.ReLU(inplace=True), lin_first=True,
    ):
        ps = ifnone(ps, [0] * len(layers))
        ps = ps if is_listy(ps) else [ps] * len(layers)
        self.embeds = nn.ModuleList([Embedding(ni, nf) for ni, nf in emb_szs])
        self.emb_drop = nn.Dropout(embed_p)
        self.bn_cont = nn.BatchNorm1d(n_cont) if bn_cont and n_cont else None
        self.n_emb, self.n_cont = sum(nf for _, nf in emb_szs), n_cont
        sizes = [self.n_emb + n_cont, *layers, out_sz]
        last = len(sizes) - 2
        made = [
            LinBnDrop(
                sizes[i], sizes[i + 1], bn=use_bn and (i != last or bn_final), p=p, act=act_cls if i < last else None,
                lin_first=lin_first,
            )
            for i, p in enumerate([*ps, 0.0][: last + 1])
        ]
        if y_range is not None:
            made.append(SigmoidRange(*y_range))
        self.layers = nn.Sequential(*made)

    def forward(self, x_cat, x_cont=None):
        parts = []
        if self.n_emb != 0:
            embedded = torch.cat([embed(x_cat[:, i]) for i, embed in enumerate(self.embeds)], 1)
            parts.append(self.emb_drop(embedded))
        if self.n_cont != 0:
            parts.append(x_cont if self.bn_cont is None else self.bn_cont(x_cont))
        return self.layers(torch.cat(parts, 1) if len(parts) > 1 else parts[0])


class EmbeddingDotBias(Module):
    """Factors of users and things, multiplied, with a bias for each."""

    def __init__(self, n_factors, n_users, n_items, y_range=None):
        self.y_range = y_range
        self.u_weight, self.i_weight = Embedding(n_users, n_factors), Embedding(n_items, n_factors)
        self.u_bias, self.i_bias = Embedding(n_users, 1), Embedding(n_items, 1)

    def forward(self, x):
        users, items = x[:, 0], x[:, 1]
        product = (self.u_weight(users) * self.i_weight(items)).sum(1)
        sum_ = product + self.u_bias(users).squeeze(1) + self.i_bias(items).squeeze(1)
        return sum_ if self.y_range is None else sigmoid_range(sum_, *self.y_range)


class EmbeddingNN(TabularModel):
    def __init__(self, emb_szs, layers, **kwargs):
        super().__init__(emb_szs=emb_szs, n_cont=0, out_sz=1, layers=layers, **kwargs)
