"""Data sets as arrays, and trainings on them: checkpoints, averages, measured kernels."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

import kiln
from kiln import data

RNG = np.random.default_rng(0)


def idx(values: np.ndarray) -> bytes:
    """A file of MNIST's format."""
    sizes = b"".join(struct.pack(">I", size) for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()


def test_pixels_and_labels_are_those_of_the_files(tmp_path: Path) -> None:
    images, labels = RNG.integers(0, 256, (7, 28, 28)), RNG.integers(0, 10, 7)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images[:2]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:2]))
    read = data.load(f"mnist:{tmp_path}")
    assert read.train.x.dtype == np.float32 and read.train.x.shape == (7, 1, 28, 28)
    np.testing.assert_allclose(read.train.x[:, 0], images / 255, rtol=1e-6)
    np.testing.assert_array_equal(read.train.y, labels)
    assert read.test is not None and read.test.y.tolist() == labels[:2].tolist() and read.validation is None
    assert read.classes == [str(digit) for digit in range(10)]
    whole = data.load(f"mnist:{tmp_path}", dtype=np.uint8)
    np.testing.assert_array_equal(whole.train.x[:, 0], images)


def test_drawn_data_depends_on_its_seed() -> None:
    first, again, other = data.load("moons:40"), data.load("moons:40"), data.load("moons:40", seed=1)
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert first.train.x.shape == (40, 2) and not np.array_equal(first.train.x, other.train.x)
    waves = data.load("waves:30")
    assert waves.classes is None and waves.train.y.dtype == np.float32


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(kiln.InputError, match="`mnists:x` is not a data set"):
        data.load("mnists:x")
    with pytest.raises(kiln.InputError, match=str(tmp_path)):
        data.load(f"folder:{tmp_path / 'none'}")
    with pytest.raises(kiln.InputError, match="at least one pixel"):
        data.load("digits:10", resize=0)


def source(folder: Path) -> str:
    """A small network for two numbers and two classes, with a normalization."""
    (folder / "net.py").write_text(
        "import torch.nn as nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc1 = nn.Linear(2, 8)\n        self.bn = nn.BatchNorm1d(8)\n        self.fc2 = nn.Linear(8, 2)\n"
        "    def forward(self, x):\n        return self.fc2(self.bn(self.fc1(x)).relu())\n"
    )
    return f"{folder}/net.py:Net"


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    net, moons = source(tmp_path), data.load("moons:96")
    given = {"shapes": (2,), "batch": 32, "optimizer": "adam", "schedule": "one-cycle", "validation": moons.test}
    whole = kiln.train(net, *moons.train, epochs=4, **given)

    class Killed(Exception):
        pass

    def killed(entry: dict[str, float]) -> None:
        if entry["epoch"] == 2:
            raise Killed

    path = tmp_path / "net.checkpoint"
    with pytest.raises(Killed):
        kiln.train(net, *moons.train, epochs=4, checkpoint=path, progress=killed, **given)
    seen: list[float] = []
    resumed = kiln.train(
        net, *moons.train, epochs=4, checkpoint=path, progress=lambda entry: seen.append(entry["epoch"]), **given
    )
    assert seen == [3.0, 4.0] and resumed.history == whole.history
    for name, value in whole.trainer.state_dict(optimizer=True).items():
        np.testing.assert_array_equal(resumed.trainer.state_dict(optimizer=True)[name], value, err_msg=name)
    assert int(resumed.weights["bn.num_batches_tracked"]) == 12
    with pytest.raises(kiln.TrainingError, match="of a training with lr = 0.001, not 0.1"):
        kiln.train(net, *moons.train, epochs=4, checkpoint=path, lr=0.1, **given)


def test_checkpoints_are_whole_or_refused(tmp_path: Path) -> None:
    net, moons = source(tmp_path), data.load("moons:32")
    trainer = kiln.Trainer(net, shapes=(2,), momentum=0.9)
    trainer.step(*moons.train)
    path = tmp_path / "net.safetensors"
    trainer.save_checkpoint(path, {"note": "first"})
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    assert json.loads(header["__metadata__"]["kiln.progress"])["step"] == 1
    first, last = header["fc2.weight"]["data_offsets"]
    start = 8 + struct.unpack("<Q", content[:8])[0]
    stored = np.frombuffer(content[start + first : start + last], np.float32).reshape(2, 8)
    np.testing.assert_array_equal(stored, trainer.state_dict()["fc2.weight"])

    other = kiln.Trainer(net, shapes=(2,), momentum=0.9)
    assert other.load_checkpoint(path)["note"] == "first" and other.steps == 1
    assert other.step(*moons.train) == trainer.step(*moons.train)
    before = other.state_dict()["fc2.weight"]
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(kiln.TrainingError, match="cannot be used"):
        other.load_checkpoint(path)
    path.write_bytes(content)
    with pytest.raises(kiln.TrainingError, match="belongs to another model"):
        kiln.Trainer(net, shapes=(2,), optimizer="adam").load_checkpoint(path)
    np.testing.assert_array_equal(other.state_dict()["fc2.weight"], before)


def test_averages_are_evaluated_and_kept(tmp_path: Path, linear: bytes) -> None:
    x, y = RNG.normal(size=(12, 4)).astype(np.float32), RNG.integers(0, 3, 12)
    trainer, average = kiln.Trainer(linear, batch=12, lr=0.5, ema=0.75), None
    for _ in range(4):
        trainer.step(x, y)
        weight = trainer.state_dict(optimizer=True)["fc.weight"]
        average = weight if average is None else np.float32(0.75) * average + np.float32(0.25) * weight
    assert average is not None and not np.allclose(average, weight)
    kept = trainer.state_dict()
    np.testing.assert_allclose(kept["fc.weight"], average, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trainer.predict(x), x @ kept["fc.weight"].T + kept["fc.bias"], rtol=1e-4, atol=1e-5)
    trainer.load_state_dict({"fc.weight": np.ones((3, 4), np.float32), "fc.bias": np.zeros(3, np.float32)})
    np.testing.assert_allclose(trainer.predict(x)[:, 0], x.sum(1), rtol=1e-4, atol=1e-5)
    with pytest.raises(kiln.InputError, match="`ema` is 1, but should be at least 0 and below 1"):
        kiln.Trainer(linear, ema=1.0)


def test_measured_kernels_give_the_same_answers(tmp_path: Path, linear: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
    x = RNG.normal(size=(5, 4)).astype(np.float32)
    plain = kiln.Session(kiln.compile(linear))(x)
    tuned = kiln.Session(kiln.compile(linear, tune=0.5))(x)
    np.testing.assert_allclose(tuned, plain, rtol=1e-5, atol=1e-6)
    assert (tmp_path / "cache/records.ktune").stat().st_size > 0
    with pytest.raises(kiln.InputError, match="`tune` goes with the target `auto`, not with `portable`"):
        kiln.compile(linear, tune=True, target="portable")
    with pytest.raises(kiln.InputError, match="no number of seconds"):
        kiln.compile(linear, tune=-1)
