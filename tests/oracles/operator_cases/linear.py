"""Matrix products: every form of MatMul's broadcasting, every flag of Gemm."""

from .case import Batch, Const, Fixed, Weight, case

CASES = [
    case("matmul_matrix", "MatMul", [Batch(7), Weight(7, 5)]),
    case("matmul_two_inputs", "MatMul", [Fixed(4, 9), Fixed(9, 3)]),
    case("matmul_batched", "MatMul", [Batch(4, 5), Batch(5, 3)]),
    case("matmul_batched_twice", "MatMul", [Batch(2, 3, 4), Batch(2, 4, 5)]),
    case("matmul_batch_times_matrix", "MatMul", [Batch(3, 6), Weight(6, 7)]),
    case("matmul_matrix_times_batch", "MatMul", [Weight(5, 4), Batch(4, 3)]),
    case("matmul_broadcast_both", "MatMul", [Fixed(3, 1, 2, 4), Fixed(1, 5, 4, 3)]),
    case("matmul_vector_matrix", "MatMul", [Fixed(6), Weight(6, 5)]),
    case("matmul_matrix_vector", "MatMul", [Batch(6), Weight(6)]),
    case("matmul_batch_vector", "MatMul", [Batch(5, 6), Weight(6)]),
    case("matmul_vector_vector", "MatMul", [Fixed(7), Fixed(7)]),
    case("matmul_one_column", "MatMul", [Batch(33), Weight(33, 1)]),
    case("matmul_one_row_one_column", "MatMul", [Fixed(1, 1), Fixed(1, 1)]),
    case("matmul_past_one_tile", "MatMul", [Batch(70), Weight(70, 67)]),
    case("gemm", "Gemm", [Batch(7), Weight(7, 5), Weight(5)]),
    case("gemm_as_linear", "Gemm", [Batch(7), Weight(5, 7), Weight(5)], transB=1),
    case("gemm_without_bias", "Gemm", [Batch(4), Weight(4, 3)]),
    case("gemm_transposed_input", "Gemm", [Fixed(6, 4), Weight(6, 3), Weight(3)], transA=1),
    case("gemm_both_transposed", "Gemm", [Fixed(6, 4), Weight(3, 6), Weight(4, 3)], transA=1, transB=1),
    case("gemm_alpha_beta", "Gemm", [Batch(5), Weight(5, 3), Weight(1, 3)], alpha=0.5, beta=2.0),
    case("gemm_scalar_bias", "Gemm", [Batch(5), Weight(5, 3), Const(1.5, "float32")], beta=-1.0),
    case("gemm_column_bias", "Gemm", [Fixed(4, 5), Weight(5, 3), Weight(4, 1)]),
    case("gemm_beta_zero", "Gemm", [Batch(5), Weight(5, 3), Weight(3)], beta=0.0),
    case("gemm_operands_are_inputs", "Gemm", [Batch(5), Fixed(3, 5), Fixed(3)], transB=1),
    case("gemm_opset_7", "Gemm", [Batch(6), Weight(6, 2), Weight(2)], opset=7),
    case("einsum_matrix", "Einsum", [Batch(4, 5), Weight(5, 3)], equation="bij,jk->bik"),
]
