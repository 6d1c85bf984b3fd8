#!/usr/bin/env python3
"""Times PyTorch (eager, CPU) and ONNX Runtime (CPU) on the torchvision networks of the comparison.

    peers_python.py {torch,onnxruntime} MODEL_DIR [--runs N] [--threads N]

MODEL_DIR is one directory of prepare_models.py, named after the network. One JSON object is printed, with the keys of
`kiln bench --json`: "median_ms" of the later runs, and "first_answer_ms", which counts building or loading the network
and the first run but not the start of Python and its imports. Both engines stay within `--threads` threads.

PyTorch builds the network anew with its own initial weights, on which its time does not depend: it cannot read the ONNX
file.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np


def milliseconds(start):
    return (time.perf_counter() - start) * 1e3


def timed(run, runs):
    """Median of `runs` calls, after a tenth as many to warm up."""
    for _ in range(max(1, runs // 10)):
        run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(milliseconds(start))
    return statistics.median(times)


def with_torch(directory, image, runs, threads):
    import torch
    import torchvision

    torch.set_num_threads(threads)
    start = time.perf_counter()
    network = getattr(torchvision.models, directory.name)(weights=None).eval()
    batch = torch.from_numpy(image)
    with torch.inference_mode():
        network(batch)
        first = milliseconds(start)
        median = timed(lambda: network(batch), runs)
    return {"engine": "PyTorch", "version": torch.__version__, "median_ms": median, "first_answer_ms": first}


def with_onnxruntime(directory, image, runs, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    start = time.perf_counter()
    session = onnxruntime.InferenceSession(
        str(directory / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    feed = {session.get_inputs()[0].name: image}
    (answer,) = session.run(None, feed)
    first = milliseconds(start)
    expected = np.load(directory / "expected.npy")
    error = float(np.abs(answer - expected).max() / np.abs(expected).max())
    return {
        "engine": "ONNX Runtime",
        "version": onnxruntime.__version__,
        "median_ms": timed(lambda: session.run(None, feed), runs),
        "first_answer_ms": first,
        "relative_error": error,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["torch", "onnxruntime"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    values = np.fromfile(options.directory / "input.bin", "<f4")
    size = int(round((values.size / 3) ** 0.5))
    image = values.reshape(1, 3, size, size)
    engine = {"torch": with_torch, "onnxruntime": with_onnxruntime}[options.engine]
    print(json.dumps(engine(options.directory, image, options.runs, options.threads)))


if __name__ == "__main__":
    main()
