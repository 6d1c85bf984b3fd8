"""Attention and what stands beside it in models of sequences, with a batch that is a symbol."""

from .case import Batch, Const, Fixed, Weight, case

HEADS = {"q_num_heads": 4, "kv_num_heads": 2}

CASES = [
    case("attention_heads", "Attention", [Batch(4, 3, 5), Batch(4, 6, 5), Batch(4, 6, 7)], opset=23),
    case("attention_packed_shared", "Attention", [Batch(3, 20), Batch(5, 10), Batch(5, 6)], opset=23, **HEADS),
    case("attention_bool_mask", "Attention", [Batch(2, 3, 4), Batch(2, 3, 4), Batch(2, 3, 4), Const([[1, 0, 1], [0, 1, 1], [1, 1, 0]], "bool")], opset=23),
    case("attention_bias", "Attention", [Batch(2, 3, 4), Batch(2, 5, 4), Batch(2, 5, 4), Batch(2, 3, 5)], opset=23, scale=0.3),
    case("attention_softcap", "Attention", [Batch(2, 3, 4), Batch(2, 5, 4), Batch(2, 5, 4)], opset=23, softcap=1.5),
    case("attention_causal_past", "Attention", [Batch(2, 3, 4), Batch(2, 3, 4), Batch(2, 3, 6), None, Batch(2, 2, 4), Batch(2, 2, 6)], opset=23, outputs=3, is_causal=1),
    case("attention_weights", "Attention", [Batch(2, 3, 4), Batch(2, 5, 4), Batch(2, 5, 4)], opset=23, outputs=4, qk_matmul_output_mode=3),
    case("rotary_embedding_heads", "RotaryEmbedding", [Batch(2, 3, 6), Batch(3, 3), Batch(3, 3)], opset=23),
    case("rotary_embedding_places", "RotaryEmbedding", [Batch(3, 16), Weight(11, 2), Weight(11, 2), Batch(3, dtype="int64", draw="index")], opset=23, num_heads=2, rotary_embedding_dim=4, interleaved=1),
    case("rms_normalization_last", "RMSNormalization", [Batch(5, 7), Weight(7, draw="scale")], opset=23),
    case("rms_normalization_two_axes", "RMSNormalization", [Batch(3, 4, 5), Weight(4, 5, draw="scale")], opset=23, axis=2, epsilon=1e-2),
    case("tensor_scatter_circular", "TensorScatter", [Batch(2, 11, 3), Batch(2, 4, 3), Batch(dtype="int64", draw="index")], opset=24, mode="circular"),
    case("tensor_scatter_from_the_start", "TensorScatter", [Fixed(2, 5, 3), Fixed(2, 2, 3)], opset=24),
]
