"""Fourier transforms of all kinds, windows, determinants."""

from .case import Batch, Const, Fixed, case

CASES = [
    case("dft_real", "DFT", [Batch(9, 1)], axis=1),
    case("dft_onesided_odd", "DFT", [Batch(9, 1)], axis=1, onesided=1),
    case("dft_complex_inverse", "DFT", [Batch(8, 3, 2)], axis=1, inverse=1),
    case("dft_longer", "DFT", [Batch(6, 1), Const(8)], axis=1),
    case("dft_shorter", "DFT", [Batch(6, 2), Const(5)], axis=1),
    case("dft_opset_20_last_axis", "DFT", [Batch(3, 6, 1)], opset=20, onesided=1),
    case("dft_opset_20_axis", "DFT", [Batch(4, 6, 2), None, Const(1)], opset=20),
    case("stft_onesided", "STFT", [Batch(33, 1), Const(5), None, Const(8)], onesided=1),
    case("stft_window_is_data", "STFT", [Batch(40, 1), Const(8), Fixed(16), Const(16)], onesided=1),
    case("stft_two_sided", "STFT", [Batch(20, 1), Const(4), Fixed(8)], onesided=0),
    case("hann_window", "HannWindow", [Const(12)]),
    case("hamming_window_symmetric", "HammingWindow", [Const(9, "int32")], periodic=0),
    case("blackman_window", "BlackmanWindow", [Const(7)]),
    case("det_2", "Det", [Batch(2, 2)]),
    case("det_5", "Det", [Batch(5, 5)]),
    case("det_first_pivot_is_zero", "Det", [Const([[0.0, 2.0, 1.0], [3.0, -1.0, 4.0], [1.0, 5.0, 2.0]], "float32")]),
    case("det_singular", "Det", [Const([[1.0, 2.0], [2.0, 4.0]], "float32")]),
]
