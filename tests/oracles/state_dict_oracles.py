"""Files of weights as PyTorch writes them, with what is in them: `fixtures/state_dicts/`.

    state_dict_oracles.py                   writes the fixtures and `expected.json`
    state_dict_oracles.py --check FILE...   loads files that Kiln wrote with `torch.load(weights_only=True)` (or as
                                            safetensors) and compares them with the fixture of the same name; the test
                                            `every_fixture_survives_writing` leaves them in `target/tmp/state_dicts`

A fixture that Kiln refuses has the words that its error must say instead of tensors. Needs the package `safetensors`
beside PyTorch.
"""

import argparse
import datetime
import io
import json
import os
import pickle
import sys
import tarfile
import types
import warnings
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import numpy
import torch
from torch import nn

FIXTURES = Path(__file__).resolve().parent / "fixtures" / "state_dicts"


class Net(nn.Module):
    """A convolution, a batch normalization with its counter, a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.bn = nn.BatchNorm2d(2)
        self.fc = nn.Linear(8, 3)


# Old files have the source of modules and its place, except where Python does not know them.
Bare = type("Bare", (nn.Module,), {"__module__": "__main__"})


def net():
    torch.manual_seed(0)
    model = Net()
    model.bn(torch.randn(4, 2, 3, 3))
    return model


def views():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return OrderedDict(
        whole=base,
        transposed=base.t(),
        part=base[1:3, 2:5],
        every_other=base[:, ::2],
        row=base[3],
        element=base[2, 4],
        expanded=base[0, :2].reshape(2, 1).expand(2, 3),
        permuted=torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
        channels_last=torch.arange(16.0).reshape(1, 2, 2, 4).to(memory_format=torch.channels_last),
    )


def types_of_elements():
    numbers = torch.tensor([-2.5, 0.0, 1.0, 3.140625])
    return OrderedDict(
        f32=numbers,
        f16=numbers.half(),
        bf16=numbers.bfloat16(),
        f64=numbers.double() / 3,
        extremes=torch.tensor([float("inf"), float("-inf"), float("nan"), 1e-45]),
        i64=torch.tensor([-(2**63), 2**63 - 1, 0]),
        i32=torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
        i16=torch.tensor([-32768, 32767], dtype=torch.int16),
        i8=torch.tensor([-128, 127], dtype=torch.int8),
        u8=torch.tensor([0, 255], dtype=torch.uint8),
        bool=torch.tensor([True, False, True]),
    )


def shapes():
    return {
        "nothing": torch.empty(0),
        "no rows": torch.empty(0, 3),
        "no columns": torch.empty(2, 0, 3),
        "number": torch.tensor(7, dtype=torch.int64),
        "ones": torch.ones(1, 1, 1),
        "große Größe": torch.tensor([1.0]),
        "": torch.tensor([2.0]),
    }


def aliases():
    weight = torch.arange(6.0).reshape(2, 3)
    return OrderedDict([("encoder.weight", weight), ("decoder.weight", weight), ("flat", weight.view(6))])


def parameters():
    parameter = nn.Parameter(torch.arange(4.0))
    with_state = nn.Parameter(torch.arange(3.0), requires_grad=False)
    with_state.tag = "kept by PyTorch"
    return OrderedDict(plain=parameter, with_state=with_state)


def checkpoint(place):
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    sum(p.square().sum() for p in model.parameters()).backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    return {
        "epoch": 3,
        place: model.state_dict(),
        "optimizer": {"state": {}, "param_groups": optimizer.state_dict()["param_groups"]},
        "schedule": {"milestones": Counter([2, 4]), "last_lr": schedule.get_last_lr(), "big": 2**70, "negative": -5},
        "loss": [0.5, 0.25],
        "best": None,
        "shape": torch.Size([1, 28, 28]),
        "data": ("mnist", True),
        "metric": torch.tensor(0.75),
    }


def lightning():
    """As Lightning's Trainer saves a LightningModule with the network as `self.model` and a loss with weights."""
    model = net()
    hyperparameters = argparse.Namespace(lr=1e-3, act=nn.ReLU, path=Path("data"), kinds={1, 2})
    return {
        "epoch": 4,
        "global_step": 500,
        "pytorch-lightning_version": "2.5.1",
        "state_dict": OrderedDict(
            [(f"model.{name}", tensor) for name, tensor in model.state_dict().items()] + [("loss.weight", torch.ones(3))]
        ),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": Counter({"ready": 5})}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5), "dirpath": Path("a")}},
        "optimizer_states": [torch.optim.Adam(model.parameters()).state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"args": hyperparameters, "loss": nn.CrossEntropyLoss(), "began": datetime.date(2024, 1, 2)},
        "numpy": numpy.float64(0.25),
    }


def average():
    model = net()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    return averaged


class Runs:
    """What a hostile file does: a call when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class OldPickler(pickle._Pickler):
    """Writes as Python 2 and PyTorch 0.3 did: texts as bytes, dicts as lists of pairs, Parameters as a call of the
    class, tensors without `_v2`."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_text(self, text):
        data = text.encode()
        self.write(b"U" + bytes([len(data)]) + data)
        self.memoize(text)

    dispatch[str] = save_text

    def name(self, module, name):
        self.write(f"c{module}\n{name}\n".encode())

    def save_ordered_dict(self, items):
        self.name("collections", "OrderedDict")
        self.save(([list(item) for item in items.items()],))
        self.write(b"R")

    dispatch[OrderedDict] = save_ordered_dict

    def save_tensor(self, tensor):
        storage = tensor.untyped_storage()
        key = str(1000 + len(self.storages))
        self.storages[key] = tensor
        numel = storage.nbytes() // 4
        # The storage lies in a bigger one, after its first two elements.
        view = (key + "0", 2, numel - 2)
        self.name("torch.nn.parameter", "Parameter")
        self.write(b"(")
        self.name("torch._utils", "_rebuild_tensor")
        self.write(b"((")
        self.save("storage")
        self.name("torch", "FloatStorage")
        for value in (key, "cpu", numel, view):
            self.save(value)
        self.write(b"tQ")
        for value in (0, tuple(tensor.shape), tensor.stride()):
            self.save(value)
        self.write(b"tR")
        self.save(True)
        self.write(b"tR")
        self.save((True, False, OrderedDict()))
        self.write(b"b")

    dispatch[torch.Tensor] = save_tensor


def very_old(path):
    """A file as PyTorch 0.3 on Python 2 wrote it."""
    base = torch.arange(8.0)
    file = io.BytesIO()
    for value in (
        torch.serialization.MAGIC_NUMBER,
        torch.serialization.PROTOCOL_VERSION,
        {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}},
    ):
        pickle.dump(value, file, protocol=2)
    pickler = OldPickler(file, protocol=2)
    pickler.storages = {}
    pickler.dump(OrderedDict([("weight", base[2:].reshape(2, 3)), ("bias", base[2:4])]))
    pickle.dump(list(pickler.storages), file, protocol=2)
    for _ in pickler.storages:
        file.write(len(base).to_bytes(8, "little") + base.numpy().tobytes())
    path.write_bytes(file.getvalue())
    return OrderedDict([("weight", base[2:].reshape(2, 3)), ("bias", base[2:4])])


def save(path, value, **settings):
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(value, path, metadata={"format": "pt"})
        return
    before = path.read_bytes() if path.exists() else b""
    torch.save(value, path, **settings)
    # Files of the old kind name and order storages by addresses: one in which nothing else is new stays as it was.
    if not settings.get("_use_new_zipfile_serialization", True) and without_digits(before) == without_digits(path.read_bytes()):
        path.write_bytes(before)


def without_digits(content):
    return Counter(byte for byte in content if not chr(byte).isdigit())


OLD = {"_use_new_zipfile_serialization": False}

# Name, what is saved, settings of `torch.save`, what Kiln should find if it is not all of it.
READ = [
    ("net.pt", lambda: net().state_dict(), {}, None),
    ("net_old.pth", lambda: net().state_dict(), OLD, None),
    ("net_protocol_1.pt", lambda: net().state_dict(), {"pickle_protocol": 1}, None),
    ("net_protocol_4.pt", lambda: net().state_dict(), {"pickle_protocol": 4}, None),
    ("net_protocol_5_old.pt", lambda: net().state_dict(), {"pickle_protocol": 5, **OLD}, None),
    ("net_protocol_1_old.pt", lambda: net().state_dict(), {"pickle_protocol": 1, **OLD}, None),
    ("views.pt", views, {}, None),
    ("views_old.pt", views, OLD, None),
    ("types.pt", types_of_elements, {}, None),
    ("types_old.pt", types_of_elements, OLD, None),
    ("types.safetensors", types_of_elements, {}, None),
    ("shapes.pt", shapes, {}, None),
    ("shapes_old.pt", shapes, OLD, None),
    ("shapes.safetensors", shapes, {}, None),
    ("aliases.pt", aliases, {}, None),
    ("aliases_old.pt", aliases, OLD, None),
    ("parameters.pt", parameters, {}, None),
    ("parameters_old.pt", parameters, OLD, None),
    ("data_parallel.pt", lambda: nn.DataParallel(net()).state_dict(), {}, lambda _: net().state_dict()),
    ("checkpoint.pt", lambda: checkpoint("model"), {}, lambda value: value["model"]),
    ("checkpoint_old.pt", lambda: checkpoint("state_dict"), OLD, lambda value: value["state_dict"]),
    # Here the padding of the first member has no bytes.
    ("archive_of_21_letters.pt", lambda: net().state_dict(), {}, None),
    ("lightning.ckpt", lightning, {}, lambda value: value["state_dict"]),
    ("lightning_old.ckpt", lightning, {"pickle_protocol": 4, **OLD}, lambda value: value["state_dict"]),
    ("swa.pt", lambda: average().state_dict(), {}, None),
    ("wrapped_twice.pt", lambda: {"epoch": 1, "model": {"state_dict": net().state_dict()}}, {}, lambda value: value["model"]["state_dict"]),
    ("own_name.pt", lambda: {"epoch": 1, "student": net().state_dict(), "args": argparse.Namespace(a=1)}, {}, lambda value: value["student"]),
    ("only_average.pt", lambda: {"state_dict_ema": net().state_dict(), "run": Path("a")}, {}, lambda value: value["state_dict_ema"]),
    ("empty.pt", lambda: nn.ReLU().state_dict(), {}, None),
]

# Name, what is saved, settings, words of the error.
REFUSED = [
    ("whole_model.pt", net, {}, ["__main__.Net", "model.state_dict()"]),
    ("whole_model_old.pt", Bare, OLD, ["__main__.Bare", "model.state_dict()"]),
    ("known_model.pt", lambda: nn.Sequential(nn.Linear(1, 1)), {}, ["torch.nn.modules.container.Sequential"]),
    ("runs_system.pt", lambda: {"a": Runs(os.system, "exit 1")}, {}, ["posix.system", "runs no code"]),
    ("runs_eval.pt", lambda: {"a": Runs(eval, "1")}, {"pickle_protocol": 4}, ["builtins.eval"]),
    ("runs_old.pt", lambda: {"a": Runs(os.system, "exit 1")}, OLD, ["posix.system"]),
    ("namespace.pt", lambda: {"args": types.SimpleNamespace(lr=1)}, {}, ["types.SimpleNamespace"]),
    ("tensor.pt", lambda: torch.ones(2), {}, ["a tensor", "not a dict"]),
    ("list.pt", lambda: [torch.ones(2)], {}, ["a list", "not a dict"]),
    ("no_tensors.pt", lambda: {"epoch": 3, "lr": 0.1, 7: {}}, {}, ["`epoch`, `lr`", "model_state_dict"]),
    ("not_a_tensor.pt", lambda: {"w": torch.ones(1), "steps": 3}, {}, ["`steps`", "a number"]),
    ("key_number.pt", lambda: {"model": {3: torch.ones(1)}}, {}, ["a number as a key"]),
    ("model_in_checkpoint.pt", lambda: {"epoch": 1, "model": net()}, {}, ["__main__.Net", "model.state_dict()"]),
    ("several.pt", lambda: {"student": net().state_dict(), "teacher": net().state_dict()}, {}, ["`student`, `teacher`", "several"]),
    ("set.pt", lambda: {"a": {1, 2}}, {"pickle_protocol": 4}, ["set"]),
    ("complex.pt", lambda: {"a": torch.ones(2, dtype=torch.complex64)}, {}, ["torch.ComplexFloatStorage"]),
    ("unsigned.pt", lambda: {"a": torch.ones(2, dtype=torch.uint16)}, {}, ["rare element type"]),
    ("sparse.pt", lambda: {"a": torch.eye(2).to_sparse()}, {}, ["sparse"]),
    ("huge.pt", lambda: {"small": torch.ones(2), "huge": torch.ones(1).expand(10**6, 10**4)}, {}, ["`huge`", "expanded"]),
]


def refused_otherwise():
    """Files that `torch.save` did not write."""
    scripted = FIXTURES / "scripted.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.ReLU(), torch.ones(1)), scripted)
    yield "scripted.pt", ["TorchScript", "model.state_dict()"]
    with zipfile.ZipFile(FIXTURES / "other.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("notes.txt"), "notes")
    yield "other.zip", ["zip archive", "`notes.txt`"]
    with zipfile.ZipFile(FIXTURES / "net.pt") as source:
        with zipfile.ZipFile(FIXTURES / "compressed.pt", "w", zipfile.ZIP_DEFLATED) as archive:
            for member in source.infolist():
                plain = zipfile.ZipInfo(member.filename)
                plain.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(plain, source.read(member))
        with zipfile.ZipFile(FIXTURES / "big_endian.pt", "w") as archive:
            for member in source.infolist():
                content = b"big" if member.filename.endswith("byteorder") else source.read(member)
                archive.writestr(zipfile.ZipInfo(member.filename), content)
    yield "compressed.pt", ["compressed"]
    yield "big_endian.pt", ["big endian"]
    # What `pickle.dump` does with tensors, for which Python needs no `torch.save`.
    (FIXTURES / "plain.pkl").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    yield "plain.pkl", ["not from `torch.save`"]
    (FIXTURES / "pointer.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    yield "pointer.pt", ["Git LFS", "git lfs pull"]
    (FIXTURES / "page.pt").write_text("\n<!DOCTYPE html>\n<html><body>Not found</body></html>\n")
    yield "page.pt", ["web page"]
    (FIXTURES / "tar.pt").write_bytes(tarfile.TarInfo("sys_info").tobuf(tarfile.USTAR_FORMAT))
    yield "tar.pt", ["tar archive"]
    (FIXTURES / "text.pt").write_text("weights\n")
    yield "text.pt", ["not a weights file"]
    (FIXTURES / "nothing.pt").write_bytes(b"")
    yield "nothing.pt", ["is empty"]


# What Kiln widens.
WIDENED = {"bfloat16": "f32"}
NAMES = {"float32": "f32", "float16": "f16", "float64": "f64", "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "uint8": "u8"}


def described(state_dict):
    result = []
    for name, tensor in state_dict.items():
        tensor = tensor.detach()
        dtype = str(tensor.dtype).removeprefix("torch.")
        dtype = WIDENED.get(dtype) or NAMES.get(dtype, dtype)
        # As text: JSON has neither infinities nor all 64-bit integers, and its readers round.
        values = [str(float(v) if dtype.startswith("f") else int(v)) for v in tensor.flatten().tolist()]
        result.append({"name": name, "dtype": dtype, "shape": list(tensor.shape), "values": values})
    return result


def write_all():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    read, refused = {}, {}
    for name, make, settings, part in READ:
        value = make()
        save(FIXTURES / name, value, **settings)
        value = part(value) if part else value
        if name.endswith(".safetensors"):
            # The order in the file: larger types first, then names.
            content = (FIXTURES / name).read_bytes()
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            header.pop("__metadata__")
            order = sorted(header, key=lambda key: (header[key]["data_offsets"], key))
            value = OrderedDict((key, value[key]) for key in order)
        read[name] = described(value)
    read["very_old.pth"] = described(very_old(FIXTURES / "very_old.pth"))
    loaded = torch.load(FIXTURES / "very_old.pth", weights_only=False, encoding="utf-8")
    assert described(loaded) == read["very_old.pth"], "PyTorch does not read it so"
    for name, make, settings, words in REFUSED:
        save(FIXTURES / name, make(), **settings)
        refused[name] = words
    refused.update(refused_otherwise())
    expected = json.dumps({"read": read, "refused": refused}, indent=None, separators=(",", ":"), ensure_ascii=False)
    for old in FIXTURES.iterdir():
        if old.name not in read and old.name not in refused:
            old.unlink()
    (FIXTURES / "expected.json").write_text(expected.replace("]}],", "]}],\n") + "\n")
    print(f"{len(read)} files to read and {len(refused)} to refuse")


def check(paths):
    """Compares files that Kiln wrote after reading the fixture of the same name."""
    expected = json.loads((FIXTURES / "expected.json").read_text())["read"]
    wrong = 0
    for path in map(Path, paths):
        fixture = next(name for name in expected if path.stem == name.replace(".", "_"))
        wanted = expected[fixture]
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(path)
            wanted = sorted(wanted, key=lambda x: x["name"])
            found = OrderedDict(sorted(found.items()))
        else:
            found = torch.load(path, weights_only=True)
            mapped = torch.load(path, weights_only=True, mmap=True)
            assert type(found) is OrderedDict, f"{path} is {type(found)}"
            # A text, for a number that is none is not equal to itself.
            assert json.dumps(described(found)) == json.dumps(described(mapped)), f"{path}: mapping it differs"
            for member in zipfile.ZipFile(path).infolist():
                data = member.header_offset + 30 + int.from_bytes(path.read_bytes()[member.header_offset + 26 :][:2], "little")
                data += int.from_bytes(path.read_bytes()[member.header_offset + 28 :][:2], "little")
                assert data % 64 == 0, f"{path}: {member.filename} is at {data}"
            assert zipfile.ZipFile(path).testzip() is None
        if json.dumps(described(found)) != json.dumps(wanted):
            wrong += 1
            print(f"{path} differs:\n  {described(found)}\n  {wanted}")
        if fixture.startswith("aliases") and path.suffix == ".pt":
            storages = {tensor.untyped_storage().data_ptr() for tensor in list(found.values())[:2]}
            assert len(storages) == 1, f"{path}: the aliases are two tensors"
    print(f"{len(paths)} files, {wrong} differ")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", nargs="+", metavar="FILE")
    arguments = parser.parse_args()
    sys.exit(check(arguments.check) != 0 if arguments.check else write_all())
