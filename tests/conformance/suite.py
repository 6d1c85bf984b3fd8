"""Lays out ONNX's published backend tests as files.

    python suite.py FOLDER

makes FOLDER/KIND/NAME/{model.onnx,test_data_set_0/{input_0.pb,output_0.pb}} for the kinds node, simple,
pytorch-operator, pytorch-converted and light, and FOLDER/cases.json, which says of each what it is about and
the tolerances that the suite asks for. The node cases exist only as Python code that makes them; it seeds its random numbers. The light models come without
inputs: the suite's own runner makes ascending numbers, and so does this.
"""

import json
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.loader import DATA_DIR, load_model_tests
from onnx.backend.test.runner import Runner

KINDS = ["simple", "pytorch-operator", "pytorch-converted"]


def as_proto(value, info):
    """A value as the message of its kind, with its name."""
    kind = info.type.WhichOneof("value")
    if hasattr(value, "SerializeToString"):
        proto = value
        proto.name = info.name
    elif kind == "sequence_type":
        proto = numpy_helper.from_list(value, info.name)
    elif kind == "optional_type":
        proto = numpy_helper.from_optional(value, info.name)
    else:
        proto = numpy_helper.from_array(np.asarray(value), info.name)
    return proto


def write_set(folder, number, kind, values, infos):
    """The tensors of one data set."""
    place = folder / f"test_data_set_{number}"
    place.mkdir(parents=True, exist_ok=True)
    # A case gives no value for an input that is an absent optional.
    for i, (value, info) in enumerate(zip(values, infos)):
        (place / f"{kind}_{i}.pb").write_bytes(as_proto(value, info).SerializeToString())


def element_types(model):
    """What the model's inputs and outputs hold: element types, or `sequence`, `optional`."""
    names = set()
    for info in [*model.graph.input, *model.graph.output]:
        kind = info.type.WhichOneof("value")
        if kind == "tensor_type":
            names.add(onnx.TensorProto.DataType.Name(info.type.tensor_type.elem_type).lower())
        else:
            names.add(kind.removesuffix("_type"))
    return sorted(names)


def describe(kind, case, name, model):
    """A case as the tests want to know it."""
    known = {tensor.name for tensor in model.graph.initializer}
    operators = [node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
                 for node in model.graph.node]
    return {
        "kind": kind,
        "name": name,
        "rtol": case.rtol,
        "atol": case.atol,
        "types": element_types(model),
        "operators": operators,
        "inputs": [info.name for info in model.graph.input if info.name not in known],
        "outputs": [info.name for info in model.graph.output],
    }


def node_cases(out):
    """Each node case. An operator that is a function has its cases a second time, with the function written out."""
    operators = {}
    for case in collect_testcases(None):
        folder = out / "node" / case.name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString())
        for number, (inputs, outputs) in enumerate(case.data_sets):
            write_set(folder, number, "input", inputs, case.model.graph.input)
            write_set(folder, number, "output", outputs, case.model.graph.output)
        described = describe("node", case, case.name, case.model)
        base, expanded, _ = case.name.partition("_expanded")
        operators.setdefault(case.name, described["operators"][0])
        described["operator"] = operators[base] if expanded else described["operators"][0]
        described["expanded"] = bool(expanded)
        yield described


def file_cases(out):
    """The cases that the package holds as files."""
    for kind in KINDS:
        for case in load_model_tests(kind=kind):
            folder = out / kind / case.name
            shutil.copytree(case.model_dir, folder)
            yield describe(kind, case, case.name, onnx.load(folder / "model.onnx"))


def light_cases(out):
    """Well-known networks with weights that are one number each."""
    for case in load_model_tests(kind="real"):
        if not case.url.startswith("onnx/backend/test/data/light/"):
            continue
        path = Path(DATA_DIR, "light", Path(case.url).name)
        folder = out / "light" / path.stem
        folder.mkdir(parents=True)
        shutil.copy(path, folder / "model.onnx")
        model = onnx.load(path)
        described = describe("light", case, path.stem, model)
        given = [info for info in model.graph.input if info.name in described["inputs"]]
        write_set(folder, 0, "input", [Runner.generate_dummy_data(info) for info in given], given)
        shutil.copy(path.with_name(path.stem + "_output_0.pb"), folder / "test_data_set_0" / "output_0.pb")
        yield described


def main():
    """Everything, or nothing."""
    out = Path(sys.argv[1])
    made = out.with_name(out.name + ".part")
    shutil.rmtree(made, ignore_errors=True)
    warnings.simplefilter("ignore")
    cases = [case for cases in (node_cases, file_cases, light_cases) for case in cases(made)]
    cases.sort(key=lambda case: (case["kind"], case["name"]))
    (made / "cases.json").write_text(json.dumps(cases, indent=1))
    made.rename(out)
    print(f"{len(cases)} cases of onnx {onnx.__version__} in {out}")


if __name__ == "__main__":
    main()
