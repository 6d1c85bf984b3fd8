"""Training steps that Kiln has exported, run by ONNX Runtime; `fixtures/steps.json`.

`kiln dump MODEL --stage step --format onnx` writes a step that returns the new weights. It is run five times, each time with
what it has returned. From the repository's root: python tests/oracles/step_oracles.py target/debug/kiln
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

FIXTURES = Path(__file__).resolve().parent / "fixtures"
BATCH = 4
STEPS = 5
LEARNING_RATE = {"sgd": 0.05, "adam": 0.002}


def pixels(step, count):
    """Numbers between -0.5 and 0.5 that Rust computes, too."""
    return (((np.arange(count) * 37 + step * 101) % 255) / 255 - 0.5).astype(np.float32)


def steps(kiln, model, optimizer, folder):
    path = folder / "step.onnx"
    command = [kiln, "dump", FIXTURES / model / "model.onnx", "--stage", "step", "--train", optimizer]
    subprocess.run([*command, "--format", "onnx", "-o", path], check=True, capture_output=True)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options)
    outputs = [output.name for output in session.get_outputs()]
    losses, states = [], {}
    for step in range(STEPS):
        given = {"lr": np.array(LEARNING_RATE[optimizer], np.float32), "momentum": np.array(0.9, np.float32)}
        given["beta1"] = given["momentum"]
        given["target"] = np.arange(BATCH, dtype=np.int32) % 2
        for tensor in session.get_inputs():
            if tensor.name not in given:
                shape = [size if isinstance(size, int) else BATCH for size in tensor.shape]
                given[tensor.name] = pixels(step, int(np.prod(shape))).reshape(shape)
        names = {tensor.name for tensor in session.get_inputs()}
        feed = {name: value for name, value in given.items() if name in names} | states
        found = dict(zip(outputs, session.run(None, feed)))
        losses.append(float(found["loss"]))
        states = {name.removesuffix(".new"): value for name, value in found.items() if name.endswith(".new")}

    def said(value):
        flat = value.astype(np.float64).reshape(-1)
        return {"first": flat[:4].tolist(), "absolute": float(np.abs(flat).sum())}
    return {
        "model": model,
        "optimizer": optimizer,
        "losses": losses,
        "states": {name: said(value) for name, value in states.items() if value.dtype == np.float32},
    }


def main():
    with tempfile.TemporaryDirectory() as folder:
        cases = [("net", "sgd"), ("net", "adam"), ("net_batch_norm", "adam"), ("net_res", "sgd")]
        found = [steps(sys.argv[1], model, optimizer, Path(folder)) for model, optimizer in cases]
    (FIXTURES / "steps.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
