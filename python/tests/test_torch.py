"""Modules of PyTorch: in, trained, and back."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import kiln


class Net(nn.Module):
    """A small network with a normalization, a skip connection and dropout."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(8, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 2)
        x = x + F.relu(self.bn2(self.conv2(x)))
        return self.fc(self.drop(x.mean((2, 3))))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 3, 16, 16, generator=generator), torch.randint(0, 5, (8,), generator=generator)


def test_a_module_answers_the_same(net: Net, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, _ = batch
    net.train()
    net.drop.eval()
    plan = kiln.compile(net, images[:1], max={"N": 8})
    assert net.training and not net.drop.training and net.bn1.training
    assert [tensor.name for tensor in plan.inputs] == ["image"] and plan.inputs[0].shape == ("N", 3, 16, 16)
    session = kiln.Session(plan)
    net.eval()
    with torch.no_grad():
        for count in (8, 1, 3):
            # Tensors are read in place.
            np.testing.assert_allclose(session(images[:count]), net(images[:count]), rtol=1e-4, atol=1e-5)
        wide = images.to(memory_format=torch.channels_last)
        np.testing.assert_allclose(session(wide), net(images), rtol=1e-4, atol=1e-5)
    by_shape = kiln.compile(net, shapes=(3, 16, 16))
    assert by_shape.inputs == plan.inputs
    fixed = kiln.compile(net, images, dynamic_batch=False)
    assert fixed.inputs[0].shape == (8, 3, 16, 16)


def test_tensors_that_cannot_be_read_are_refused_by_name(net: Net, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, _ = batch
    session = kiln.Session(kiln.compile(net, images[:1]))
    for wrong, says in [
        (images.bfloat16(), "input `image` is torch.bfloat16"),
        (images.clone().requires_grad_(), "input `image` records gradients"),
        (images.to("meta"), "input `image`"),
        (images.double(), "input `image` is f64, f32 is expected"),
        (images.to_sparse(), "input `image`"),
    ]:
        with pytest.raises(kiln.InputError, match=says):
            session(wrong)


def test_what_a_plan_cannot_do_is_refused() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            return x * self.seen

    with pytest.raises(kiln.ModelError, match="`forward` changes `seen`"):
        kiln.compile(Counts(), torch.zeros(2, 3))

    class Branches(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(kiln.ModelError, match="PyTorch cannot export the module"):
        kiln.compile(Branches(), torch.zeros(2, 3))
    with pytest.raises(kiln.ModelError, match="needs `example_inputs`"):
        kiln.compile(Branches())


OPTIMIZERS = {
    "sgd": (dict(lr=0.05, momentum=0.9, weight_decay=1e-3, nesterov=True), lambda p: torch.optim.SGD(
        p, lr=0.05, momentum=0.9, weight_decay=1e-3, nesterov=True)),
    "adamw": (dict(lr=1e-3, weight_decay=0.1), lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1)),
}  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_are_those_of_pytorch(net: Net, batch: tuple[torch.Tensor, torch.Tensor], optimizer: str) -> None:
    (images, labels), (settings, make) = batch, OPTIMIZERS[optimizer]
    for module in (net.conv1,):
        # In front of a normalization, a bias has a gradient of rounding errors alone.
        module.bias.requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    trainer = kiln.Trainer(net, images[:2], optimizer=optimizer, batch=8, **settings)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    theirs, losses = make([p for p in net.parameters() if p.requires_grad]), []
    net.train()
    for _ in range(5):
        theirs.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        theirs.step()
        losses.append(loss.item())
    np.testing.assert_allclose([trainer.step(images, labels) for _ in range(5)], losses, rtol=1e-4)
    weights = trainer.state_dict()
    assert list(sorted(weights)) == sorted(net.state_dict())
    for name, value in net.state_dict().items():
        np.testing.assert_allclose(weights[name], value, rtol=1e-3, atol=2e-5, err_msg=name)
    # Back into a module, which then answers as the trainer does.
    other = Net()
    trainer.copy_to(other)
    other.eval()
    with torch.no_grad():
        np.testing.assert_allclose(trainer.predict(images), other(images), rtol=1e-4, atol=1e-5)
        wanted = F.cross_entropy(other(images), labels).item()
        accuracy = (other(images).argmax(1) == labels).float().mean().item()
    measured = trainer.evaluate(images, labels)
    assert measured.loss == pytest.approx(wanted, rel=1e-4) and measured.accuracy == pytest.approx(accuracy)
    # And again into a plan.
    plan = kiln.compile(other, images[:1], weights=weights)
    np.testing.assert_allclose(kiln.Session(plan)(images), trainer.predict(images), rtol=1e-4, atol=1e-5)


def test_dropout_drops_in_training_only(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = batch

    class Functional(Net):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return F.dropout(super().forward(image), 0.5, self.training)

    for net in (Net(0.5), Functional()):
        trainer = kiln.Trainer(net, images[:2], batch=8, lr=0.0)
        losses = {trainer.step(images, labels) for _ in range(4)}
        assert len(losses) == 4
        assert len({trainer.evaluate(images, labels).loss for _ in range(2)}) == 1


def test_frozen_parameters_stay(net: Net, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = batch
    net.conv2.weight.requires_grad_(False)
    trainer = kiln.Trainer(net, images[:2], batch=8, lr=0.1, freeze=["bn1.*"])
    before = trainer.state_dict()
    trainer.step(images, labels)
    same = {name for name, value in trainer.state_dict().items() if np.array_equal(value, before[name])}
    assert same == {"conv2.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"}


def test_train_takes_a_module(net: Net, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = batch
    trained = kiln.train(net, images, labels, epochs=15, batch=4, optimizer="adam", lr=0.01)
    assert trained.history[-1]["loss"] < 0.8 * trained.history[0]["loss"]
    trained.trainer.copy_to(net)
    assert net.bn1.num_batches_tracked == 30


def test_weights_go_through_files(net: Net, batch: tuple[torch.Tensor, torch.Tensor], tmp_path: Path) -> None:
    images, _ = batch
    torch.save(net.state_dict(), tmp_path / "net.pt")
    (tmp_path / "net.onnx").write_bytes(kiln._export.export(net, (images[:2],), optimize=False).data)  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = kiln.compile(tmp_path / "net.onnx", weights=tmp_path / "net.pt")
    with torch.no_grad():
        np.testing.assert_allclose(kiln.Session(plan)(images), net.eval()(images), rtol=1e-4, atol=1e-5)


def test_weights_of_source_fit_the_module(tmp_path: Path, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = batch
    source = (
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 8, 3)\n        self.bn = nn.BatchNorm2d(8)\n        self.fc = nn.Linear(8, 5)\n\n"
        "    def forward(self, x):\n        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))\n"
    )
    (tmp_path / "net.py").write_text(source)
    trainer = kiln.Trainer(f"{tmp_path}/net.py:Net", shapes=(3, 16, 16), batch=8)
    trainer.step(images, labels)
    space: dict[str, type[nn.Module]] = {}
    exec(source, space)
    module = space["Net"]()
    trainer.copy_to(module)
    assert module.bn.num_batches_tracked == 1
    with torch.no_grad():
        np.testing.assert_allclose(trainer.predict(images), module.eval()(images), rtol=1e-4, atol=1e-5)
