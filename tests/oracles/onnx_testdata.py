"""The layout of the ONNX project's own conformance data, which `kiln verify` reads:

    DIR/model.onnx
    DIR/test_data_set_0/{input_0.pb, ..., output_0.pb, ...}     batch 1
    DIR/test_data_set_1/{...}                                   batch 3

and the seeded drawing of tensors that goes into it.
"""

import shutil
import zlib
from pathlib import Path

import numpy as np
from onnx import numpy_helper

BATCHES = (1, 3)


def generator(*key):
    """A random generator that depends on the key only, so that a new case leaves the old files as they were."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, key)).encode()))


def draw_values(rng, shape, dtype, draw):
    """A tensor of the named distribution. Each name says what the operator under test needs to be tested with."""
    distributions = {
        "normal": lambda: rng.standard_normal(shape),
        "wide": lambda: 3.0 * rng.standard_normal(shape),
        "large": lambda: 40.0 * rng.standard_normal(shape),
        "tiny": lambda: 1e-3 * rng.standard_normal(shape),
        "unit": lambda: rng.uniform(-0.95, 0.95, shape),
        "positive": lambda: rng.uniform(0.25, 3.0, shape),
        "negative": lambda: rng.uniform(-3.0, -0.25, shape),
        "near_one": lambda: rng.uniform(0.99, 1.01, shape),
        "scale": lambda: rng.uniform(0.5, 1.5, shape),
        # Multiples of one half in -2.5..2.5: halves to round, equals to compare, ties for arg-max.
        "steps": lambda: rng.integers(-5, 6, shape) / 2,
        # Where activations bend: whole numbers in -7..7.
        "bends": lambda: rng.integers(-7, 8, shape),
        "zero": lambda: np.zeros(shape),
        "index": lambda: rng.integers(0, 11, shape),
        # Each position along the last axis once.
        "place": lambda: np.argsort(rng.random(shape), axis=-1),
        "bit": lambda: rng.integers(0, 2, shape),
    }
    return np.asarray(distributions[draw](), dtype=dtype)


def write_tensor(path, name, array):
    tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(np.shape(array)), name)
    path.write_bytes(tensor.SerializeToString())


def fresh_directory(path):
    """An empty directory at `path`: files of an earlier version must not survive beside the new ones."""
    path = Path(path)
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


def write_data_set(directory, index, inputs, outputs):
    """`inputs` and `outputs` map value names to arrays, in the order of the graph."""
    folder = Path(directory) / f"test_data_set_{index}"
    folder.mkdir()
    for kind, tensors in (("input", inputs), ("output", outputs)):
        for position, (name, array) in enumerate(tensors.items()):
            write_tensor(folder / f"{kind}_{position}.pb", name, array)


def relative_error(got, want):
    """The largest absolute difference over the largest wanted magnitude."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if got.shape != want.shape:
        return float("inf")
    if want.size == 0:
        return 0.0
    return float(np.max(np.abs(got - want)) / max(np.max(np.abs(want)), 1e-30))


def write_gradients(cases, write_case, directory, only=None):
    """Writes the chosen cases of gradients under `directory`; returns the number written and the complaints."""
    complaints, written = [], 0
    for name in cases:
        if only and name not in only:
            continue
        try:
            write_case(name, directory)
            written += 1
        except Exception as problem:  # Whatever a case does wrong, the others are still to be made.
            complaints.append(f"gradient of {name}: {type(problem).__name__}: {problem}")
    return written, complaints
