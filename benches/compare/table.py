#!/usr/bin/env python3
"""Turns the measurements of compare.sh into a Markdown table.

    table.py RESULTS PREPARED NAME... -- ENGINE...

RESULTS holds NAME.ENGINE.ROUND.json. The range in brackets is that of the rounds. "x Kiln" is how many times as long as Kiln
an engine takes. An answer further than 1e-3 from PyTorch's, relative to the largest output, is marked as wrong: speed is
then no comparison.
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np

TITLES = {"kiln": "Kiln", "torch": "PyTorch, eager, CPU", "onnxruntime": "ONNX Runtime, CPU", "wonnx": "wonnx 0.5.1"}
WRONG = 1e-3


def answer_error(measurement, expected):
    """Relative error of the answer, or None where the engine does not report it."""
    if "relative_error" in measurement:
        return measurement["relative_error"]
    if "output" in measurement:
        got = np.asarray(measurement["output"], np.float64).reshape(expected.shape)
        return float(np.abs(got - expected).max() / np.abs(expected).max())
    return None


def main():
    results, prepared, *rest = sys.argv[1:]
    names, engines = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    print("| network | engine | median, ms | of the rounds | x Kiln | first answer, ms | answer |")
    print("| --- | --- | ---: | --- | ---: | ---: | --- |")
    for name in names:
        expected = np.load(Path(prepared) / name / "expected.npy")
        kiln = None
        for engine in engines:
            files = sorted(Path(results).glob(f"{name}.{engine}.*.json"))
            rounds = [json.loads(file.read_text()) for file in files]
            if not rounds:
                print(f"| {name} | {TITLES[engine]} | did not run | | | | |")
                continue
            medians = [r["median_ms"] for r in rounds]
            median = statistics.median(medians)
            first = statistics.median(r["first_answer_ms"] for r in rounds)
            if engine == "kiln":
                kiln = median
            ratio = f"{median / kiln:.2f}" if kiln else ""
            error = answer_error(rounds[0], expected)
            answer = "" if error is None else f"{error:.0e}" + (" (wrong)" if not error < WRONG else "")
            print(
                f"| {name} | {TITLES[engine]} | {median:.1f} | {min(medians):.1f} to {max(medians):.1f} | {ratio}"
                f" | {first:.0f} | {answer} |"
            )


if __name__ == "__main__":
    main()
