import math, copy, functools, itertools
import torch
from torch import nn
import torch.nn.functional as F
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.w = nn.Parameter(torch.ones(4, 3, 3, 3))
        self.l = nn.Linear(4, 4)

    def forward(self, x):
        x = F.conv2d(x, self.w, None, 1, 1)
        x = F.batch_norm(x, torch.zeros(4), torch.ones(4), training=self.training)
        x = F.relu(F.layer_norm(x, x.shape[1:]), inplace=True)
        x = F.dropout(F.avg_pool2d(F.max_pool2d(x, 2), 2), 0.5, self.training)
        x = F.pad(x, (1, 1), mode="reflect")
        x = F.interpolate(x, size=(8, 8), mode="bilinear", align_corners=False)
        x = F.interpolate(x, scale_factor=0.5)
        x = F.conv_transpose2d(x, self.w.permute(0, 1, 2, 3), stride=2)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        a = torch.matmul(x, x.t()) @ x
        a = F.softmax(a / math.sqrt(3), dim=-1) * F.normalize(a) + torch.sigmoid(a) ** 2
        h = F.one_hot(a.argmax(-1), 3).float()
        c = torch.cumsum(h, 1).log1p().exp().rsqrt()
        d = F.embedding(a.argmax(1), self.w.view(36, 3)) + F.local_response_norm(a.unsqueeze(-1), 2).squeeze(-1)
        return torch.maximum(c, a).lerp(d, 0.5).masked_fill(a > 1, 0), F.log_softmax(a, 1)
