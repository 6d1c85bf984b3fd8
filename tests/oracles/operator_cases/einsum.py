"""Sums of products: letters that are kept, summed, shared, doubled, and those that `...` stands for."""

from .case import Batch, Fixed, Weight, case


def einsum(name, equation, *inputs):
    return case(f"einsum_{name}", "Einsum", list(inputs), equation=equation)


CASES = [
    einsum("linear", "bsi,io->bso", Batch(3, 5), Weight(5, 4)),
    einsum("linear_transposed", "bi,oi->bo", Batch(5), Weight(4, 5)),
    einsum("attention", "bqhd,bkhd->bhqk", Batch(3, 2, 4), Batch(5, 2, 4)),
    einsum("attention_values", "bhqk,bkhd->bqhd", Batch(2, 3, 5), Batch(5, 2, 4)),
    einsum("three_operands", "bi,ij,bj->b", Batch(3), Weight(3, 4), Batch(4)),
    einsum("four_operands", "a,b,c,abc->", Fixed(2), Fixed(3), Fixed(4), Fixed(2, 3, 4)),
    einsum("outer_product", "i,j->ij", Fixed(3), Fixed(4)),
    einsum("elementwise", "nchw,nc->nchw", Batch(3, 2, 4), Batch(3)),
    einsum("implicit", "ba,cb", Fixed(3, 2), Fixed(4, 3)),
    einsum("implicit_trace", "ii", Fixed(4, 4)),
    einsum("diagonal", "nii->ni", Batch(4, 4)),
    einsum("diagonal_of_two", "iijj->ij", Fixed(3, 3, 2, 2)),
    einsum("diagonal_and_product", "bii,ij->bj", Batch(3, 3), Weight(3, 2)),
    einsum("dots", "...ij,...jk->...ik", Batch(2, 3, 4), Fixed(1, 2, 4, 5)),
    einsum("dots_broadcast", "b...i,...i->b...", Batch(3, 1, 4), Fixed(3, 2, 4)),
    einsum("dots_implicit", "...i,i...", Fixed(2, 3), Fixed(3, 2)),
    einsum("dots_behind", "i...->...i", Fixed(2, 3, 4)),
    einsum("sums_what_one_has", "ij,kl->il", Fixed(2, 3), Fixed(4, 5)),
    einsum("spaces", " i j , j k -> k i ", Fixed(2, 3), Fixed(3, 4)),
    einsum("int32", "ij,jk->ik", Fixed(2, 3, dtype="int32", draw="index"), Fixed(3, 4, dtype="int32", draw="index")),
]
