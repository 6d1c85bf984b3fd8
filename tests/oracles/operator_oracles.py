"""Turns the table of operator cases into test-data directories.

The answers are ONNX Runtime's (CPU). ONNX's own reference evaluator answers the same questions a second time, and a case
that the two disagree on is reported as a failure: an oracle that may be wrong is worse than none. Where the reference
evaluator is the one at fault, `second_opinions` answers in its place.
"""

import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnx_testdata import BATCHES, draw_values, fresh_directory, generator, relative_error, write_data_set
from operator_cases import CASES
from operator_cases.case import Batch, Const, Drawn, Weight
from second_opinions import SECOND_OPINIONS

# Both answer in single precision, in different orders of summation.
AGREEMENT = 2e-6


def element_type(dtype):
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def ir_version(opset):
    """The file version that belongs to an operator set, so that old models look old."""
    return 4 if opset < 9 else 7 if opset < 15 else 8 if opset < 19 else 9 if opset < 21 else 10


def graph_parts(case):
    """(node input names, graph inputs by name, initializers by name)."""
    names, graph_inputs, initializers = [], {}, {}
    for position, source in enumerate(case.inputs):
        name = "" if source is None else f"x{position}"
        names.append(name)
        if isinstance(source, Const):
            initializers[name] = np.array(source.values, dtype=source.dtype)
        elif isinstance(source, Weight):
            rng = generator(case.name, name)
            initializers[name] = draw_values(rng, source.shape, source.dtype, source.draw)
        elif isinstance(source, Drawn):
            graph_inputs[name] = source
    return names, graph_inputs, initializers


def drawn_inputs(case, graph_inputs, batch):
    values = {}
    for name, source in graph_inputs.items():
        shape = (batch, *source.shape) if isinstance(source, Batch) else source.shape
        values[name] = draw_values(generator(case.name, name, batch), shape, source.dtype, source.draw)
    return values


def build_model(case, output_infos):
    names, graph_inputs, initializers = graph_parts(case)
    outputs = [f"y{i}" for i in range(case.outputs)]
    node = helper.make_node(case.op, names, outputs, name=case.name, **case.attributes)
    inputs = [
        helper.make_tensor_value_info(
            name, element_type(s.dtype), ["N", *s.shape] if isinstance(s, Batch) else list(s.shape)
        )
        for name, s in graph_inputs.items()
    ]
    graph = helper.make_graph(
        [node],
        case.name,
        inputs,
        output_infos or [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", case.opset)],
        ir_version=ir_version(case.opset),
        producer_name="kiln operator oracles",
    )


def declared_outputs(case, answers):
    """Output types as seen. An axis that follows the batch is declared with the symbol where it is N itself and left
    open where it is some multiple of it."""
    infos = []
    for position in range(case.outputs):
        seen = [answer[position] for answer in answers]
        shape = []
        for axis, sizes in enumerate(zip(*(s.shape for s in seen))):
            if len(set(sizes)) == 1:
                shape.append(sizes[0])
            else:
                shape.append("N" if sizes == BATCHES else None)
        infos.append(helper.make_tensor_value_info(f"y{position}", element_type(seen[0].dtype), shape))
    return infos


def infer_output_types(case):
    """A model has to name its outputs' element types before ONNX Runtime will load it."""
    model = build_model(case, None)
    for output in model.graph.output:
        output.ClearField("type")
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    infos = []
    for output in inferred.graph.output:
        kind = output.type.tensor_type.elem_type or TensorProto.FLOAT
        infos.append(helper.make_tensor_value_info(output.name, kind, None))
    return infos


def run_runtime(model, feeds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def second_answer(case, model, names, initializers, feeds):
    if case.name in SECOND_OPINIONS:
        values = {"": None, **initializers, **feeds}
        return [SECOND_OPINIONS[case.name](*(values[name] for name in names))]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return ReferenceEvaluator(model).run(None, feeds)


def write_case(case, directory):
    """Writes one case. Returns None, or how the second answer differs."""
    names, graph_inputs, initializers = graph_parts(case)
    batches = BATCHES if case.has_batch else BATCHES[:1]
    feeds = [drawn_inputs(case, graph_inputs, batch) for batch in batches]
    draft = build_model(case, infer_output_types(case))
    answers = [run_runtime(draft, feed) for feed in feeds]
    model = build_model(case, declared_outputs(case, answers))
    onnx.checker.check_model(model, full_check=True)

    target = fresh_directory(directory / case.name)
    onnx.save(model, target / "model.onnx")
    for index, (feed, answer) in enumerate(zip(feeds, answers)):
        write_data_set(target, index, feed, {f"y{i}": value for i, value in enumerate(answer)})

    worst = 0.0
    for feed, answer in zip(feeds, answers):
        second = second_answer(case, model, names, initializers, feed)
        worst = max(worst, *(relative_error(got, want) for got, want in zip(second, answer)))
    return f"the second answer differs by {worst:.2g}" if not worst <= AGREEMENT else None


def write_all(directory, only=None):
    """Writes the chosen cases under `directory`; returns the number written and the complaints."""
    complaints, written = [], 0
    for case in CASES:
        if only and case.name not in only:
            continue
        try:
            doubt = write_case(case, directory)
        except Exception as problem:  # Whatever a case does wrong, the others are still to be made.
            doubt = f"{type(problem).__name__}: {problem}"
        written += 1
        if doubt:
            complaints.append(f"{case.name}: {doubt}")
    return written, complaints
