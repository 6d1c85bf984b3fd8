"""Tensors that a program makes, in constructors and in forward."""

from .case import Case, function

T = "3,4"


def buffer(name, value, *inputs, forward="x + self.b"):
    return Case(name, inputs or (T,), f"self.register_buffer('b', {value})", forward)


CASES = [
    Case("parameter_scaled", ("3",), "self.w = nn.Parameter(torch.ones(3) * 0.1)", "x * self.w"),
    Case("parameter_frozen", ("3",), "self.w = nn.Parameter(torch.full((3,), 2.0), requires_grad=False)", "x * self.w"),
    Case("parameter_tensor", ("3",), "self.w = nn.Parameter(torch.Tensor(3))\nself.register_parameter('v', None)", "x * self.w if self.v is None else x"),
    buffer("buffer_plain", "torch.zeros(3, 1)"),
    # These are not in the state dict, so that their values are those of the program.
    buffer("made_zeros", "torch.zeros(4), persistent=False", forward="x + self.b + 1"),
    buffer("made_ones", "torch.ones((3, 4)) * 3 - torch.ones(3, 1), persistent=False"),
    buffer("made_full", "torch.full((3, 4), 0.25), persistent=False"),
    buffer("made_full_whole", "torch.full((4,), 3), persistent=False", forward="self.b + torch.full_like(self.b, 2)"),
    buffer("made_arange", "torch.arange(4), persistent=False", forward="self.b * 2 + x.long()"),
    buffer("made_arange_steps", "torch.arange(1, 9, 2), persistent=False"),
    buffer("made_arange_float", "torch.arange(0, 1, 0.25), persistent=False"),
    buffer("made_arange_down", "torch.arange(4, 0, -1), persistent=False"),
    buffer("made_arange_dtype", "torch.arange(0, 4, dtype=torch.float32), persistent=False"),
    buffer("made_arange_int", "torch.arange(4, dtype=torch.int32), persistent=False", forward="self.b + 1"),
    buffer("made_linspace", "torch.linspace(-1, 1, 4), persistent=False"),
    buffer("made_linspace_steps", "torch.linspace(0, 0.5, steps=4), persistent=False"),
    buffer("made_eye", "torch.eye(4), persistent=False", forward="x @ self.b + x @ torch.eye(4, 4) * 2"),
    buffer("made_eye_wide", "torch.eye(3, 4), persistent=False"),
    buffer("made_tensor", "torch.tensor([[1.0, 2, 3, 4]]), persistent=False"),
    buffer("made_tensor_whole", "torch.tensor([1, 2, 3, 4]), persistent=False", forward="self.b + torch.as_tensor([1, 1, 1, 2]) + x.long()"),
    buffer("made_tensor_bool", "torch.tensor([True, False, True, True]), persistent=False", forward="torch.where(self.b, x, 0.0)"),
    buffer("made_tensor_dtype", "torch.tensor([0.5, 1.7, 2, 3], dtype=torch.long), persistent=False"),
    buffer("made_tensor_range", "torch.tensor([i / 4 for i in range(4)]) + torch.tensor(range(4)), persistent=False"),
    buffer("made_scalar", "torch.tensor(2.5), persistent=False", forward="x * self.b"),
    buffer("made_old", "torch.Tensor([1, 2, 3, 4]), persistent=False"),
    buffer("made_empty", "torch.empty(3, 4).fill_(2.0), persistent=False"),
    buffer("made_computed", "torch.exp(torch.arange(4).float() * -0.5).view(1, 4).repeat(3, 1), persistent=False"),
    buffer("made_tril", "torch.tril(torch.ones(4, 4)), persistent=False", forward="x @ self.b"),
    function("triangles", "torch.triu(x) + x.tril(1) * 2 + x.triu(diagonal=-1) * 4 + torch.tril(x, -1) * 8", T),
    function("triangle_mask", "a = x @ x.mT; m = torch.triu(torch.ones(3, 3), diagonal=1).bool(); return a.masked_fill(m, float('-inf')).softmax(-1)", T),
    buffer("made_positions", "(torch.arange(3).unsqueeze(1) * torch.arange(4).unsqueeze(0)).float().sin(), persistent=False"),
    buffer("made_stats", "torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1), persistent=False", forward="(x - self.b) / self.b"),
    Case("made_parts", (T,), "self.scales = [0.5, 1.5]\nself.table = {'a': torch.tensor([1.0, 2.0, 3.0, 4.0])}", "x * self.scales[1] + self.table['a']"),
    function("forward_zeros", "x + torch.zeros(3, 4) + torch.ones(x.size(0), 1, 4) + torch.zeros(x.shape)", T),
    function("forward_like", "torch.zeros_like(x) + torch.ones_like(x) * 2 + torch.full_like(x, 0.5) * x", T),
    function("forward_full", "torch.full((x.size(0), 2), 1.5) + torch.full(size=(2,), fill_value=2)", T),
    function("forward_full_whole", "torch.full((2,), 7) + torch.full((2,), True)", T),
    function("forward_like_dtype", "torch.ones_like(x, dtype=torch.long) + torch.zeros(4, dtype=torch.int64)", T),
    function("forward_like_whole", "torch.ones_like(x) * 3 + torch.zeros_like(x)", "i64:3"),
    function("forward_arange", "x + torch.arange(4, device=x.device)", T),
    function("forward_arange_size", "x * torch.arange(x.shape[1]).view(1, -1, 1)", T),
    function("forward_tensor", "x * torch.tensor([1.0, 0.5, 2.0, -1.0]) + torch.tensor(3)", T),
    function("forward_empty", "torch.empty(x.shape[0], 2, dtype=torch.float32).zero_() + 1", T),
    function("forward_new", "x.new_zeros(4) + x.new_ones(3, 1) + x.new_full((4,), 0.5)", T),
    function("forward_is_tensor", "x + 1 if torch.is_tensor(x) and isinstance(x, torch.Tensor) else x", T),
    function("forward_branch", "x * 2 if x.shape[1] == 3 and x.dim() == 3 and not self.training else x", T),
    function("forward_no_grad", "with torch.no_grad(): y = x * 2; return y + x", T),
    function("forward_dtype", "x.to(torch.float32) * 2 if x.dtype == torch.int64 else x", "i64:3"),
    function("forward_constants", "x * torch.pi + math.e * x + x.clamp(max=torch.inf)", T),
    function("special", "torch.special.expit(x) + torch.special.erf(x) + torch.special.expm1(x)", T),
    Case("initialized", ("4",), "self.layer = nn.Linear(4, 4)\nself.b = torch.tensor([1.0, 2.0, 3.0, 4.0])\nself.b.mul_(2)\nself.b[1] = 7.0", "self.layer(x) + self.b"),
    Case("bias_zero", ("4",), "self.layer = nn.Linear(4, 4)\nself.layer.bias.data.zero_()\nnn.init.constant_(self.layer.weight, 0.1)", "self.layer(x)"),
]
