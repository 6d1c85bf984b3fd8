"""Attention and the layers of transformers."""

from .case import Case, function

T = "5,8"
HEADS = "2,5,4"
BOTH = "o, w = self.layer({}); return o, w"
ONE = "return self.layer({})[0]"
CAUSAL = "m = torch.triu(torch.ones(5, 5), 1).bool(); "
ADDED = "m = nn.Transformer.generate_square_subsequent_mask(5); "
# Of the keys of each sample the first always counts, so that there is one.
PADDING = "p = (y > 0.2) & (torch.arange(5) > 0); "
SDPA = "F.scaled_dot_product_attention"


def multihead(name, options, forward, *inputs):
    return Case(f"multihead_{name}", inputs or (T,), f"nn.MultiheadAttention(8, 2{options})", forward)


def transformer(name, init, forward, *inputs):
    return Case(f"transformer_{name}", inputs or (T,), init, forward)


LAYER = "nn.TransformerEncoderLayer(8, 2, 12{})"
DECODER = "nn.TransformerDecoderLayer(8, 2, 12{})"

CASES = [
    function("sdpa", f"{SDPA}(x, x * 2, x - 1)", HEADS),
    function("sdpa_lengths", f"{SDPA}(x, y, y)", HEADS, "2,3,4"),
    function("sdpa_values", f"{SDPA}(x, x, y)", HEADS, "2,5,3"),
    function("sdpa_causal", f"{SDPA}(x, x, x, is_causal=True)", HEADS),
    function("sdpa_causal_lengths", f"{SDPA}(x, y, y, is_causal=True) - {SDPA}(x, y, y, None, 0.0, True)", HEADS, "2,3,4"),
    function("sdpa_scale", f"{SDPA}(x, x, x, scale=0.3)", HEADS),
    function("sdpa_mask", f"m = torch.ones(5, 5).tril().bool(); return {SDPA}(x, x, x, attn_mask=m)", HEADS),
    function("sdpa_mask_batch", f"{SDPA}(x, x, x, y > 0)", HEADS, "1,5,5"),
    function("sdpa_mask_nothing", f"{SDPA}(x, x, x, y > 2)", HEADS, "1,1,5"),
    function("sdpa_mask_keys", f"{SDPA}(x, x, x, torch.arange(5).view(1, 5) < 3)", HEADS),
    function("sdpa_mask_one", f"{SDPA}(x, x, x, torch.ones(5, 1).bool())", HEADS),
    function("sdpa_mask_added", f"{SDPA}(x, x, x, attn_mask=y)", HEADS, "2,5,5"),
    function("sdpa_rows", f"{SDPA}(x, x, x) + {SDPA}(x, x, x, y > 0)", "5,4", "5,5"),
    function("sdpa_matrices", f"z = x.sum((0, 1)); return {SDPA}(z, z, z)", HEADS),
    function("sdpa_more", f"{SDPA}(x, x, x, is_causal=True) + {SDPA}(x, x, x, x[..., :3] > 0)", "2,2,3,4"),
    function("sdpa_spread", f"{SDPA}(x, y, y)", HEADS, "1,5,4"),
    function("sdpa_shared", f"{SDPA}(x, y, y, enable_gqa=True) + {SDPA}(x, y, y, is_causal=True, enable_gqa=True)", "4,3,4", "2,3,4"),
    function("sdpa_dropout", f"{SDPA}(x, x, x, dropout_p=0.5 if self.training else 0.0)", HEADS),
    multihead("weights", ", batch_first=True", BOTH.format("x, x, x")),
    multihead("length_first", ", dropout=0.3", BOTH.format("x.transpose(0, 1), x.transpose(0, 1), x.transpose(0, 1)")),
    multihead("each_head", ", batch_first=True", BOTH.format("x, x, x, average_attn_weights=False")),
    multihead("other_keys", ", batch_first=True", BOTH.format("x, y, y"), T, "3,8"),
    multihead("other_values", ", batch_first=True", BOTH.format("x, y, y * 2"), T, "3,8"),
    multihead("no_bias", ", bias=False, batch_first=True", ONE.format("x, x, x")),
    multihead("sizes", ", kdim=3, vdim=6, batch_first=True", BOTH.format("x, y[..., :3], y"), T, "4,6"),
    multihead("key_size", ", kdim=6, bias=False", "x, y = x.transpose(0, 1), y.transpose(0, 1); " + ONE.format("x, y, x[:4]"), T, "4,6"),
    multihead("more_keys", ", add_bias_kv=True, batch_first=True", BOTH.format("x, x, x")),
    multihead("zero_key", ", add_zero_attn=True, batch_first=True", BOTH.format("x, x, x")),
    multihead("more_keys_masked", ", add_bias_kv=True, add_zero_attn=True, batch_first=True", CAUSAL + PADDING + BOTH.format("x, x, x, key_padding_mask=p, attn_mask=m"), T, "5"),
    multihead("mask", ", batch_first=True", CAUSAL + BOTH.format("x, x, x, attn_mask=m")),
    multihead("mask_added", ", batch_first=True", ADDED + BOTH.format("x, x, x, attn_mask=m")),
    multihead("mask_heads", ", batch_first=True", ONE.format("x, x, x, attn_mask=y.reshape(-1, 5, 5)"), T, "2,5,5"),
    multihead("causal", ", batch_first=True", CAUSAL + ONE.format("x, x, x, attn_mask=m, is_causal=True, need_weights=False")),
    multihead("causal_weights", ", batch_first=True", ADDED + BOTH.format("x, x, x, attn_mask=m, is_causal=True")),
    # Where it is taken at its word, the mask does not count.
    multihead("causal_hint", ", batch_first=True", "m = torch.zeros(5, 5); " + ONE.format("x, x, x, attn_mask=m, is_causal=True, need_weights=False")),
    multihead("padding", ", batch_first=True", PADDING + BOTH.format("x, x, x, key_padding_mask=p"), T, "5"),
    multihead("padding_added", ", batch_first=True", ONE.format("x, x, x, y"), T, "5"),
    multihead("padding_and_mask", ", batch_first=True", CAUSAL + PADDING + ONE.format("x, x, x, p, attn_mask=m, need_weights=False"), T, "5"),
    multihead("padding_and_added", ", batch_first=True", ADDED + PADDING + ONE.format("x, x, x, p, attn_mask=m"), T, "5"),
    multihead("nothing", ", batch_first=True", "p = (y > -2) & (x[:, :, 0] > -2); " + BOTH.format("x, x, x, p"), T, "5"),
    multihead("nothing_without_weights", ", batch_first=True", "p = y > -2; " + ONE.format("x, x, x, p, need_weights=False"), T, "5"),
    multihead("unbatched", "", "x = x.sum(0); " + BOTH.format("x, x, x")),
    multihead("unbatched_masked", ", batch_first=True", CAUSAL + "x = x.sum(0); " + BOTH.format("x, x, x, key_padding_mask=torch.arange(5) > 3, attn_mask=m, average_attn_weights=False")),
    multihead("own_size", ", batch_first=True", "self.layer(x, x, x)[0] * self.layer.head_dim + self.layer.out_proj(x) + self.layer.num_heads"),
    transformer("layer", LAYER.format(", batch_first=True"), "self.layer(x)"),
    transformer("layer_length_first", LAYER.format(", 0.2"), "self.layer(x.transpose(0, 1))"),
    transformer("layer_norm_first", LAYER.format(", activation='gelu', norm_first=True, batch_first=True"), "self.layer(x)"),
    transformer("layer_function", LAYER.format(", activation=torch.tanh, layer_norm_eps=0.1, bias=False"), "self.layer(x.sum(0))"),
    transformer("layer_module", LAYER.format(", activation=nn.SiLU(), batch_first=True"), "self.layer(x)"),
    transformer("layer_mask", LAYER.format(", batch_first=True"), CAUSAL + "return self.layer(x, m) + self.layer(x, src_mask=m, is_causal=True)"),
    transformer("layer_padding", LAYER.format(", batch_first=True"), PADDING + "return self.layer(x, src_key_padding_mask=p)", T, "5"),
    transformer("encoder", f"nn.TransformerEncoder({LAYER.format('')}, num_layers=2)", "self.layer(x.transpose(0, 1))"),
    transformer("encoder_norm", f"nn.TransformerEncoder({LAYER.format(', norm_first=True, batch_first=True')}, 2, norm=nn.LayerNorm(8), enable_nested_tensor=False)", ADDED + "return self.layer(x, mask=m, is_causal=True)"),
    transformer("encoder_padding", f"nn.TransformerEncoder({LAYER.format(', batch_first=True')}, 2)", ADDED + PADDING + "return self.layer(x, m, p)", T, "5"),
    transformer("decoder_layer", DECODER.format(", batch_first=True"), "self.layer(x, y)", T, "3,8"),
    transformer("decoder_layer_norm_first", DECODER.format(", 0.1, 'gelu', norm_first=True"), ADDED + "return self.layer(x.transpose(0, 1), y.transpose(0, 1), tgt_mask=m, tgt_is_causal=True, memory_mask=torch.eye(5, 3).bool())", T, "3,8"),
    transformer("decoder", f"nn.TransformerDecoder({DECODER.format(', batch_first=True')}, 2, norm=nn.LayerNorm(8))", ADDED + "p = y[:, :, 0] > 5; return self.layer(x, y, m, memory_key_padding_mask=p)", T, "3,8"),
    transformer("whole", "nn.Transformer(8, 2, 1, 2, 12, batch_first=True)", ADDED + "return self.layer(y, x, tgt_mask=m, tgt_is_causal=True)", T, "3,8"),
    transformer("whole_length_first", "nn.Transformer(d_model=8, nhead=4, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=6, norm_first=True)", "self.layer(y.transpose(0, 1), x.transpose(0, 1))", T, "3,8"),
]
