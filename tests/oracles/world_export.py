"""Exports one model of `world_models.py` with one exporter, and writes what ONNX Runtime makes of it.

    world_export.py NAME EXPORTER FOLDER

writes FOLDER/model.onnx, FOLDER/size_K.npz with inputs and outputs for each size, and FOLDER/info.json: "open" has the
sizes that could stay open, "symbols" their names in the file with what the largest is, "refused" what the exporter or
ONNX Runtime said where more should have been open. An export counts only if ONNX Runtime computes from it what PyTorch
computes, for all sizes: tracing turns some sizes into constants without a word.
"""

import contextlib
import io
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from onnx_testdata import relative_error
from world_models import MODELS, built, samples

# What ONNX Runtime may be off from PyTorch: a traced constant is off by far more.
FAITHFUL = 2e-2
QUANTIZED = ("qdq", "qoperator", "dynamic")


def first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


def export(model, network, exporter, free, path):
    example = tuple(samples(model, model.sizes[0], 3))
    names = {"input_names": list(model.inputs), "output_names": list(model.outputs)}
    axes = {name: {a: s for a, s in enumerate(wanted) if s in free} for name, wanted in model.inputs.items()}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if exporter == "legacy":
            torch.onnx.export(network, example, str(path), dynamo=False, opset_version=model.opset, dynamic_axes=axes, **names)
            return
        dims = {}
        for symbol in free:
            factor = model.multiple.get(symbol, 1)
            dims[symbol] = factor * torch.export.Dim(f"_{symbol}") if factor > 1 else torch.export.Dim(symbol)
        shapes = tuple({a: dims[s] for a, s in wanted.items()} or None for wanted in axes.values())
        # More than one of everything, since exporters take ones for constants.
        example = tuple(samples(model, {**model.sizes[0], **{s: 2 for s in free if s == "N"}}, 3))
        torch.onnx.export(network, example, str(path), dynamo=True, dynamic_shapes=shapes, verbose=False, **names)


def session(path, exporter):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Some processors saturate sums of products of signed and unsigned bytes, unless asked not to.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if exporter in QUANTIZED:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def bindings(model, free):
    """The sizes to run: the closed ones are those of the first."""
    bound = [{**model.sizes[0], **{s: one[s] for s in free}} for one in model.sizes]
    return [one for place, one in enumerate(bound) if one not in bound[:place]]


def run_all(model, free, exporter, folder, network):
    """Runs the file with all sizes; an error if ONNX Runtime cannot, or computes something else than PyTorch."""
    runner = session(folder / "model.onnx", exporter)
    for k, bound in enumerate(bindings(model, free)):
        inputs = samples(model, bound, 10 + k)
        outputs = runner.run(None, dict(zip(model.inputs, (x.numpy() for x in inputs))))
        if network is not None:
            with torch.no_grad():
                wanted = network(*inputs)
            wanted = wanted if isinstance(wanted, tuple) else (wanted,)
            off = max(relative_error(got, want.numpy()) for got, want in zip(outputs, wanted))
            if not off <= FAITHFUL:
                raise ValueError(f"ONNX Runtime computes something else than PyTorch for {bound}: off by {off:.1e}")
        arrays = {f"in_{n}": x.numpy() for n, x in zip(model.inputs, inputs)}
        arrays |= {f"out_{n}": y for n, y in zip(model.outputs, outputs)}
        np.savez(folder / f"size_{k}.npz", **arrays)


def symbols(path, model, free):
    """The names of open sizes in the file, with their largest values. `8*_H` is for `_H`."""
    found = {}
    largest = {s: max(one[s] for one in model.sizes) for s in free}
    for value in onnx.load(path, load_external_data=False).graph.input:
        wanted = model.inputs[value.name]
        for size, dim in zip(wanted, value.type.tensor_type.shape.dim):
            if dim.dim_param and size in largest:
                name = re.findall(r"[A-Za-z_]\w*", dim.dim_param)
                factor = re.findall(r"\b\d+\b", dim.dim_param)
                found[name[-1]] = largest[size] // int(factor[0] if factor else 1)
    return found


def attempts(model):
    """What may be open, the most first."""
    every = model.symbols
    tries = [every, [s for s in every if s in ("H", "W")], [s for s in every if s == "N"], []]
    return [t for place, t in enumerate(tries) if t not in tries[:place]]


def write_export(model, exporter, folder):
    network = built(model)
    refused = []
    for free in attempts(model):
        try:
            export(model, network, exporter, free, folder / "model.onnx")
            run_all(model, free, exporter, folder, network if model.stable else None)
            return {"open": free, "symbols": symbols(folder / "model.onnx", model, free), "refused": refused}
        except Exception as error:  # Exporters fail in every way there is.
            refused.append(f"open {' '.join(free) or 'nothing'}: {first_line(error)}")
    return {"open": None, "symbols": {}, "refused": refused}


def write_quantized(model, kind, folder, source):
    """Quantizes the older exporter's file."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    info = json.loads((source / "info.json").read_text())
    free = info["open"]
    path, prepared = folder / "model.onnx", folder / "prepared.onnx"
    quant_pre_process(str(source / "model.onnx"), str(prepared), skip_symbolic_shape=True)
    if kind == "dynamic":
        quantize_dynamic(str(prepared), str(path), weight_type=QuantType.QUInt8)
    else:

        class Images(CalibrationDataReader):
            def __init__(self):
                every = (samples(model, model.sizes[0], 50 + k) for k in range(4))
                self.left = iter([dict(zip(model.inputs, (x.numpy() for x in xs))) for xs in every])

            def get_next(self):
                return next(self.left, None)

        form = QuantFormat.QDQ if kind == "qdq" else QuantFormat.QOperator
        quantize_static(str(prepared), str(path), Images(), quant_format=form, per_channel=kind == "qdq")
    prepared.unlink()
    run_all(model, free, kind, folder, None)
    return {"open": free, "symbols": info["symbols"], "refused": []}


def main():
    name, exporter, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    torch.set_num_threads(2)
    model = next(model for model in MODELS if model.name == name)
    folder.mkdir(parents=True, exist_ok=True)
    if exporter in QUANTIZED:
        info = write_quantized(model, exporter, folder, folder.parent / f"{name}-legacy")
    else:
        info = write_export(model, exporter, folder)
    (folder / "info.json").write_text(json.dumps(info, indent=1) + "\n")


if __name__ == "__main__":
    main()
