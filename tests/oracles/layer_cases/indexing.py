"""Elements and parts of tensors."""

from .case import Case, function

T = "3,5"

CASES = [
    function("index_first", "x[:, 0]", T),
    function("index_last", "x[..., -1]", T),
    function("index_negative", "x[:, -2]", T),
    function("index_both", "x[:, 1, 2]", T),
    function("index_batch", "x[0] + x[-1]", T),
    function("index_new", "x[:, None] + x[:, None, :, :]", T),
    function("index_new_last", "x[..., None] * x[:, :, :, None]", T),
    function("index_new_front", "x[None]", T),
    function("index_step", "x[:, ::2]", T),
    function("index_step_both", "x[:, 1::2, ::3]", T),
    function("index_inside", "x[:, 1:-1]", T),
    function("index_end", "x[:, -2:] + x[:, :2]", T),
    function("index_end_last", "x[..., -3:] + x[..., :3]", T),
    function("index_far", "x[:, :100] + x[:, -100:]", T),
    function("index_ellipsis", "x[..., 1, :] + x[:, 1, ...]", T),
    function("index_slice", "x[:, slice(0, 2)] + x[:, slice(1, None)]", T),
    function("index_chain", "x[:, 1:][:, 0][:, 2:]", T),
    function("index_size", "x[:, : x.shape[1] - 1] + x[:, 3 - x.size(1) + 1 :]", T),
    function("index_half", "h = x.size(2) // 2; return x[:, :, :h] * x[:, :, h : 2 * h]", T),
    function("index_batch_slice", "x[1:] - x[:-1]", T),
    function("index_batch_part", "x[: x.size(0) // x.size(0)]", T),
    function("index_two", "a, b = x[:, 0], x[:, 1]; return a * b", T),
    function("index_list", "x[:, [2, 0]]", T),
    Case("index_tensor", ("i64:3",), "self.table = nn.Parameter(torch.zeros(6, 2))", "self.table[x]"),
    Case("index_tensor_row", ("3,4",), "self.table = nn.Parameter(torch.zeros(6, 4))", "x + self.table[:3] + self.table[5] + self.table[1:4]"),
    Case("index_buffer", (T,), "self.register_buffer('i', torch.tensor([2, 0, -1 + 2]))", "x[:, self.i] + x[:, :, self.i].mean(2, keepdim=True)"),
    function("index_list_last", "x[..., 1:][:, :, [0, -1]] + x[:, 1:, [3, 2]].sum(1, keepdim=True)", T),
    function("index_tensor_batch", "x[torch.arange(x.size(0)), 0]", T),
    function("index_mask", "x[x > 0].sum()", T),
    function("iterate", "a, b, c = x.transpose(0, 1); return a + b * c", T),
    function("iterate_parts", "sum(part * k for k, part in enumerate(x.unbind(1)))", T),
]
