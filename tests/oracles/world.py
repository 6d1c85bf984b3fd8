"""Models of the world outside: exports torchvision's networks and others as people do, and compares `kiln` with ONNX
Runtime on them.

    world.py [--kiln BINARY] [--cache FOLDER] [--exporter NAME ...] [--refusals FILE] [NAME ...]

Each model (`world_models.py`) is exported with both of PyTorch's exporters, with every size open that the exporter can
leave open; some are quantized in three ways. `kiln compile` makes one plan of a file with the largest sizes as maxima,
and `kiln run` computes with that plan for each size. Where it refuses open sizes, the first sizes are tried fixed, so
that other reasons show. The table has the worst relative difference, or why a model was
refused. A difference above the tolerance makes the exit code 1; a refusal does not. Of quantized models, roundings that go
another way add up, in deep ones with weights that nothing has trained to many steps: there twice what ONNX Runtime with its
optimizations differs from itself without them is allowed. Exports stay in the cache, and are
made again where they are missing. Names choose models whose name has them in it.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from onnx_testdata import relative_error
from world_models import BOXES, MODELS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXPORTERS = ("legacy", "dynamo", "qdq", "qoperator", "dynamic")
QUANTIZED = EXPORTERS[2:]
# A rounding that goes the other way is a step of the scale, and the layers behind it see it.
QUANTIZED_TOLERANCE = 5e-2
MEMORY = 12 << 30
MOST_LETTERS = 240


def limited():
    """A process that takes the memory of others would be worse than one that fails."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def call(command, seconds):
    """What a command says in case it fails, else nothing."""
    try:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=seconds, preexec_fn=limited
        )
    except subprocess.TimeoutExpired:
        return f"stopped after {seconds} s"
    if done.returncode == 0:
        return None
    return done.stderr.strip() or f"ended with {done.returncode} and without a message"


def exported(model, exporter, cache):
    """The folder of an export and what is known about it; it is made if it is not there."""
    folder = cache / f"{model.name}-{exporter}"
    if not (folder / "info.json").exists():
        command = [sys.executable, HERE / "world_export.py", model.name, exporter, folder]
        failed = call(command, 3600)
        if failed:
            return folder, {"open": None, "symbols": {}, "refused": [failed.splitlines()[-1]]}
    return folder, json.loads((folder / "info.json").read_text())


def shown(message):
    """A message in a line: the reason, without the file that it is about."""
    words = " ".join(re.sub(r"[×╰─▶├│]", " ", message).split())
    words = re.sub(r"^`[^`]*` cannot be used ", "", words)
    return words if len(words) <= MOST_LETTERS else words[: MOST_LETTERS - 3] + "..."


def with_fixed_sizes(folder, model):
    """A copy of the file with the sizes of the first inputs: what else there is behind a size that cannot be open."""
    stored = np.load(folder / "size_0.npz")
    network = onnx.load(folder / "model.onnx", load_external_data=False)
    for value in network.graph.input:
        shape = stored[f"in_{value.name}"].shape
        for dim, size in zip(value.type.tensor_type.shape.dim, shape):
            dim.dim_value = size
    del network.graph.value_info[:]
    for value in network.graph.output:
        value.type.tensor_type.ClearField("shape")
    path = folder / "fixed.onnx"
    onnx.save(network, path)
    return path


def compared(folder, k, plan, kiln, model):
    """The worst relative difference of a size, or why there is none."""
    stored = np.load(folder / f"size_{k}.npz")
    with tempfile.TemporaryDirectory() as place:
        words = []
        for name in model.inputs:
            np.save(f"{place}/{name}.npy", stored[f"in_{name}"])
            words.append(f"{name}={place}/{name}.npy")
        # In a folder an output that could be an image becomes one.
        out = Path(place) / "out"
        out.mkdir()
        target = out / f"{model.outputs[0]}.npy" if len(model.outputs) == 1 else out
        failed = call([kiln, "run", plan, *words, "-o", target], 1800)
        if failed:
            return failed
        found = {}
        for name in model.outputs:
            file = out / f"{name}.npy"
            if not file.exists():
                return f"there is no output {name}, only {sorted(os.listdir(out))}"
            found[name] = np.load(file)
        wanted = {name: stored[f"out_{name}"] for name in model.outputs}
        if model.outputs == BOXES:
            return boxes_apart(found, wanted, model.tolerance)
        return max(relative_error(found[name], wanted[name]) for name in model.outputs)


def own_spread(folder, k, model):
    """How far ONNX Runtime with its optimizations is from itself without them."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    stored = np.load(folder / f"size_{k}.npz")
    found = session.run(list(model.outputs), {name: stored[f"in_{name}"] for name in model.inputs})
    return max(relative_error(own, stored[f"out_{name}"]) for name, own in zip(model.outputs, found))


def boxes_apart(found, wanted, tolerance):
    """How far the boxes of one engine are from the nearest ones of the other, with the same label: in shares of the image, and
    of scores. Boxes whose scores differ by less than rounding come in any order, and any of them are the last ones."""
    if found["boxes"].shape != wanted["boxes"].shape:
        return f"{len(found['boxes'])} boxes instead of {len(wanted['boxes'])}"
    if not len(found["boxes"]):
        return 0.0
    side = max(1.0, np.abs(wanted["boxes"]).max())
    worst = 0.0
    for one, other in ((found, wanted), (wanted, found)):
        last = one["scores"].min() + tolerance
        for box, score, label in zip(one["boxes"], one["scores"], one["labels"]):
            if score <= last:
                continue
            apart = np.maximum(np.abs(other["boxes"] - box).max(1) / side, np.abs(other["scores"] - score))
            worst = max(worst, apart[other["labels"] == label].min(initial=1.0))
    return float(worst)


def rows(model, exporter, options):
    """(size, difference or message, tolerance) of a model and an exporter."""
    folder, info = exported(model, exporter, options.cache)
    if info["open"] is None:
        yield "export", "not exported: " + "; ".join(info["refused"]), None
        return
    for line in info["refused"]:
        yield "export", f"not exported with {line}", None
    with tempfile.TemporaryDirectory() as place:
        plan = Path(place) / "model.kplan"
        maxima = [word for pair in info["symbols"].items() for word in ("--max", "{}={}".format(*pair))]
        failed = call([options.kiln, "compile", folder / "model.onnx", *maxima, "-o", plan], 3600)
        count = len(list(folder.glob("size_*.npz")))
        if failed:
            yield "open" if maxima else "fixed", failed, None
            if not maxima:
                return
            count = 1
            fixed = with_fixed_sizes(folder, model)
            failed = call([options.kiln, "compile", fixed, "-o", plan], 3600)
            if failed:
                yield "fixed", failed, None
                return
        for k in range(count):
            stored = np.load(folder / f"size_{k}.npz")
            size = " ".join("x".join(map(str, stored[f"in_{name}"].shape)) for name in list(model.inputs)[:1])
            tolerance = model.tolerance
            if exporter in QUANTIZED:
                tolerance = max(QUANTIZED_TOLERANCE, 2 * own_spread(folder, k, model))
            yield size, compared(folder, k, plan, options.kiln, model), tolerance


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models whose name has this in it; all by default")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--kiln", type=Path, default=target / "debug/kiln", help="default: %(default)s")
    parser.add_argument("--cache", type=Path, default=target / "world", help="default: %(default)s")
    parser.add_argument("--exporter", action="append", choices=EXPORTERS, help="may be repeated; all by default")
    parser.add_argument("--refusals", type=Path, metavar="FILE", help="write every message of a refusal here, complete")
    return parser.parse_args()


def refusals(found):
    """Every message once, with the models that it is about."""
    by_message = {}
    for name, message in found:
        by_message.setdefault(message, []).append(name)
    return "".join(f"{', '.join(dict.fromkeys(names))}\n{message}\n\n" for message, names in by_message.items())


def main():
    options = arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    wrong, refused, total = 0, [], 0
    print(f"{'model':<32}{'exporter':<11}{'size':<20}difference or refusal")
    for model in MODELS:
        if options.names and not any(name in model.name for name in options.names):
            continue
        for exporter in EXPORTERS:
            if exporter in QUANTIZED and not model.quantized or options.exporter and exporter not in options.exporter:
                continue
            start = time.monotonic()
            for size, result, tolerance in rows(model, exporter, options):
                text = shown(result) if isinstance(result, str) else f"{result:.1e}"
                if isinstance(result, str):
                    refused.append((f"{model.name} ({exporter}, {size})", result))
                elif not result <= tolerance:
                    wrong += 1
                    text += f"  WRONG, above {tolerance:.0e}"
                else:
                    total += 1
                print(f"{model.name:<32}{exporter:<11}{size:<20}{text}", flush=True)
                if options.refusals:
                    options.refusals.write_text(refusals(refused))
            print(f"{'':<43}({time.monotonic() - start:.0f} s)", file=sys.stderr, flush=True)
    print(f"{total} sizes right, {wrong} wrong, {len(refused)} refused")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
