"""Plans and sessions: arrays in and out, and every refusal by name."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from conftest import model
from onnx import TensorProto, helper

import kiln


def test_a_plan_says_what_it_takes_and_gives(double: bytes) -> None:
    plan = kiln.compile(double, max={"N": 16})
    assert plan.inputs == [kiln.Tensor("x", "float32", ("N", 3), "data")]
    assert plan.outputs == [kiln.Tensor("y", "float32", ("N", 3), "output")]
    assert plan.max == {"N": 16}
    assert plan.programs == ["inference"]
    session = kiln.Session(plan)
    assert (session.inputs, session.outputs, session.max) == (plan.inputs, plan.outputs, plan.max)
    assert session.device == kiln.devices()[0][0]


def test_a_plan_survives_a_file_bytes_and_a_pickle(double: bytes, tmp_path: Path) -> None:
    plan = kiln.compile(double)
    plan.save(tmp_path / "double.kplan")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    others = [kiln.Plan.load(tmp_path / "double.kplan"), kiln.Plan.from_bytes(plan.to_bytes())]
    others += [pickle.loads(pickle.dumps(plan)), tmp_path / "double.kplan"]
    for other in others:
        np.testing.assert_array_equal(kiln.Session(other)(x), 2 * x)


def test_answers_are_those_of_onnxruntime(linear: bytes) -> None:
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    wanted = onnxruntime.InferenceSession(linear).run(None, {"x": x})[0]
    session = kiln.Session(kiln.compile(linear))
    np.testing.assert_allclose(session(x), wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(session.run({"x": x})["scores"], session(x))


KINDS = [
    ("float32", TensorProto.FLOAT),
    ("float16", TensorProto.FLOAT16),
    ("int8", TensorProto.INT8),
    ("int16", TensorProto.INT16),
    ("int32", TensorProto.INT32),
    ("int64", TensorProto.INT64),
    ("uint8", TensorProto.UINT8),
    ("uint16", TensorProto.UINT16),
    ("uint32", TensorProto.UINT32),
    ("bool", TensorProto.BOOL),
]


@pytest.mark.parametrize(("dtype", "kind"), KINDS)
def test_element_types_pass_unchanged(dtype: str, kind: int) -> None:
    swap = model([helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0])], {"x": (kind, [2, 3])}, ["y"])
    x = (np.arange(6) % 2 if dtype == "bool" else np.arange(6)).astype(dtype).reshape(2, 3)
    y = kiln.Session(kiln.compile(swap))(x)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x.T)


def strided(x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The same numbers in other orders of memory."""
    wide = np.zeros((4, 6), x.dtype)
    wide[::2, ::-2] = x
    read_only = x.copy()
    read_only.setflags(write=False)
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    return {
        "fortran": np.asfortranarray(x),
        "strides": wide[::2, ::-2],
        "broadcast": np.broadcast_to(x[:1], (2, 3)),
        "read-only": read_only,
        "unaligned": unaligned,
    }


@pytest.mark.parametrize("order", ["fortran", "strides", "broadcast", "read-only", "unaligned"])
def test_memory_may_be_in_any_order(double: bytes, order: str) -> None:
    x = strided(np.arange(6, dtype=np.float32).reshape(2, 3))[order]
    np.testing.assert_array_equal(kiln.Session(kiln.compile(double))(x), x + x)


class Shared:
    """An array that is only known by DLPack."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


def test_dlpack_and_lists_are_taken(double: bytes) -> None:
    session = kiln.Session(kiln.compile(double))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(session(Shared(x)), 2 * x)
    with pytest.raises(kiln.InputError, match="input `x` is f64, f32 is expected"):
        session([[1.0, 2.0, 3.0]])


class OnCard(Shared):
    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)


class Brain:
    dtype = "bfloat16"


X = np.zeros((2, 3), np.float32)
REFUSED = [
    (X.astype(np.float64), "input `x` is f64, f32 is expected"),
    (X.astype(np.int64), "input `x` is i64, f32 is expected"),
    (X.astype(np.complex64), "input `x` is complex64, which is no element type of a plan"),
    (X.astype(">f4"), "bytes are in the order of another processor"),
    (np.array([["a", "b", "c"]]), "which is no element type of a plan"),
    (X[0], r"input `x` has shape \[3\], \[N, 3\] \(N up to 8\) is expected"),
    (np.zeros((2, 4), np.float32), r"input `x` has shape \[2, 4\]"),
    (np.zeros((9, 3), np.float32), "N = 9, the plan was made for N of at most 8"),
    (np.zeros((0, 3), np.float32), "N = 0; it must be at least 1"),
    (object(), "input `x` is no array, but builtins.object"),
    ([[1.0], [1.0, 2.0]], "input `x` is no array"),
    (Brain(), "input `x` is bfloat16, which NumPy has not"),
    (OnCard(X), "input `x` is on the device"),
    (None, "input `x` is no array, but builtins.NoneType"),
]


@pytest.mark.parametrize(("value", "says"), REFUSED, ids=[says[:40] for _, says in REFUSED])
def test_what_does_not_fit_is_refused_by_name(double: bytes, value: object, says: str) -> None:
    session = kiln.Session(kiln.compile(double))
    with pytest.raises(kiln.InputError, match=says):
        session(value)
    # The session goes on.
    np.testing.assert_array_equal(session(X + 1), 2 * (X + 1))


def test_names_are_checked(double: bytes) -> None:
    session = kiln.Session(kiln.compile(double))
    for inputs, says in [
        ({"z": X}, "there is no input \"z\"; the program takes `x`"),
        ({}, r"input `x` is missing; it takes f32 of shape \[N, 3\]"),
        ({1: X}, "an input is named by a string"),
    ]:
        with pytest.raises(kiln.InputError, match=says):
            session.run(inputs)  # type: ignore[arg-type]
    with pytest.raises(kiln.InputError, match="takes 1 inputs"):
        session(X, X)
    with pytest.raises(kiln.InputError, match="there is no program `train`"):
        session.run({"x": X}, "train")


def test_errors_have_the_command_s_texts(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch.nn as nn\nmodel = nn.Sequential(nn.Flatten(), nn.Linear(7, 2))\n"
    )
    with pytest.raises(kiln.ModelError, match=r"net\.py:2.*") as error:
        kiln.compile(tmp_path / "net.py", shapes=(2, 2))
    assert "nn.Linear(4, 2)" in str(error.value) and isinstance(error.value, (kiln.Error, ValueError))
    with pytest.raises(kiln.ModelError, match="cannot read `.*none.onnx`"):
        kiln.compile(tmp_path / "none.onnx")
    with pytest.raises(kiln.ModelError, match="not builtins.int"):
        kiln.compile(3)
    (tmp_path / "broken.kplan").write_bytes(b"KILNPLAN but no more")
    with pytest.raises(kiln.PlanError, match="broken.kplan"):
        kiln.Plan.load(tmp_path / "broken.kplan")
    with pytest.raises(kiln.ModelError, match="is a compiled plan"):
        kiln.compile(tmp_path / "broken.kplan")
    relu = model([helper.make_node("Nonsense", ["x"], ["y"])], {"x": (TensorProto.FLOAT, [1])}, ["y"])
    with pytest.raises(kiln.ModelError, match="Nonsense"):
        kiln.compile(relu)


def test_sizes_and_values_can_be_given(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    reshape = model(nodes, {"x": (TensorProto.FLOAT, ["A", "B"]), "shape": (TensorProto.INT64, [2])}, ["y"])
    plan = kiln.compile(reshape, shapes={"x": (2, 6)}, values={"shape": [3, 4]})
    assert plan.outputs[0].shape == (3, 4) and [tensor.name for tensor in plan.inputs] == ["x"]
    with pytest.raises(kiln.InputError, match=r"input `x` has the sizes \[A, B\], 3 are given"):
        kiln.compile(reshape, shapes={"x": (2, 6, 1)}, values={"shape": [3, 4]})
    with pytest.raises(kiln.InputError, match="there is no input `z`"):
        kiln.compile(reshape, shapes={"z": (2, 6)}, values={"shape": [3, 4]})


def test_examples_say_how_large_sizes_get(double: bytes) -> None:
    assert kiln.compile(double, np.zeros((20, 3), np.float32)).max == {"N": 20}
    assert kiln.compile(double, np.zeros((20, 3), np.float32), max={"N": 30}).max == {"N": 30}


def test_targets_and_precisions_are_named(double: bytes) -> None:
    assert kiln.compile(double, target="portable").target == "portable"
    with pytest.raises(kiln.InputError, match="there is no target `abacus`; use `auto`, `portable`"):
        kiln.compile(double, target="abacus")
    with pytest.raises(kiln.InputError, match="`f8` is no precision"):
        kiln.compile(double, precision="f8")
    with pytest.raises(kiln.InputError, match="positive whole number"):
        kiln.compile(double, max={"N": 0})


def test_other_threads_go_on_while_one_runs() -> None:
    side = 512
    product = model(
        [helper.make_node("MatMul", ["x", "x"], ["a"]), helper.make_node("MatMul", ["a", "x"], ["y"])],
        {"x": (TensorProto.FLOAT, [side, side])},
        ["y"],
    )
    session, x = kiln.Session(kiln.compile(product)), np.eye(side, dtype=np.float32)
    session(x)
    running, counted = threading.Event(), 0
    thread = threading.Thread(target=lambda: (running.set(), session(x), running.clear()))
    thread.start()
    running.wait()
    while running.is_set():
        counted += 1
    thread.join()
    # With the interpreter's lock held, the first look would already find the run over.
    assert counted > 1000


def test_threads_share_a_session(double: bytes) -> None:
    session, wrong = kiln.Session(kiln.compile(double)), []

    def work(number: int) -> None:
        x = np.full((2, 3), number, np.float32)
        for _ in range(20):
            if not np.array_equal(session(x), 2 * x):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
