"""Training without PyTorch: steps against formulas, weights in and out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kiln

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 12)


def by_hand(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Cross-entropy of a linear layer, with its gradients, in 64 bits."""
    scores = x.astype(np.float64) @ weight.astype(np.float64).T + bias
    scores -= scores.max(1, keepdims=True)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    loss = -np.log(shares[np.arange(len(y)), y]).mean()
    shares[np.arange(len(y)), y] -= 1
    return loss, shares.T @ x / len(y), shares.mean(0)


def test_steps_are_those_of_the_formula(linear: bytes) -> None:
    trainer = kiln.Trainer(linear, lr=0.5, batch=12)
    weights = trainer.state_dict()
    weight, bias = weights["fc.weight"].astype(np.float64), weights["fc.bias"].astype(np.float64)
    for _ in range(4):
        loss, dw, db = by_hand(weight, bias, X, Y)
        assert trainer.step(X, Y) == pytest.approx(loss, rel=1e-5)
        weight, bias = weight - 0.5 * dw, bias - 0.5 * db
    np.testing.assert_allclose(trainer.state_dict()["fc.weight"], weight, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trainer.state_dict()["fc.bias"], bias, rtol=1e-5, atol=1e-6)
    assert trainer.steps == 4
    # Fewer samples than the largest batch, and evaluation in several batches.
    small = kiln.Trainer(linear, weights=trainer.state_dict(), batch=5)
    measured, (loss, _, _) = small.evaluate(X, Y), by_hand(weight, bias, X, Y)
    assert measured.loss == pytest.approx(loss, rel=1e-5)
    right = (X @ weight.T + bias).argmax(1) == Y
    assert measured.accuracy == pytest.approx(right.mean())
    np.testing.assert_allclose(trainer.predict(X[:5]), X[:5] @ weight.T + bias, rtol=1e-4, atol=1e-5)


def test_the_gradients_are_in_one_row(linear: bytes) -> None:
    whole, split = kiln.Trainer(linear, batch=12, clip_norm=0.1), kiln.Trainer(linear, batch=12, clip_norm=0.1, split=True)
    weights = split.state_dict()
    loss, flat = split.gradients(X, Y)
    wanted, dw, db = by_hand(weights["fc.weight"], weights["fc.bias"], X, Y)
    np.testing.assert_allclose(flat, np.concatenate([dw.ravel(), db, [wanted, 12]]), rtol=1e-4, atol=1e-6)
    assert loss == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_array_equal(split.state_dict()["fc.weight"], weights["fc.weight"])
    split.apply(flat)
    assert whole.step(X, Y) == loss
    for name, value in whole.state_dict().items():
        np.testing.assert_allclose(split.state_dict()[name], value, rtol=1e-6, atol=1e-7)
    before = split.state_dict(optimizer=True)
    for place in (0, -2):
        broken = flat.copy()
        broken[place] = np.nan
        with pytest.raises(kiln.TrainingError, match="not finite; nothing was changed"):
            split.apply(broken)
    for name, value in split.state_dict(optimizer=True).items():
        np.testing.assert_array_equal(value, before[name])
    for call in (lambda: split.step(X, Y), lambda: whole.gradients(X, Y)):
        with pytest.raises(kiln.InputError, match="split"):
            call()
    with pytest.raises(kiln.Error, match="accumulates nothing"):
        kiln.Trainer(linear, accumulate=2, split=True)


def test_a_training_goes_on_from_its_states(linear: bytes, tmp_path: Path) -> None:
    one = kiln.Trainer(linear, optimizer="adam", batch=12)
    for _ in range(3):
        one.step(X, Y)
    np.savez(tmp_path / "states.npz", **one.state_dict(optimizer=True))
    other = kiln.Trainer(linear, optimizer="adam", batch=12)
    with np.load(tmp_path / "states.npz") as states:
        other.load_state_dict(states)
    assert one.step(X, Y) == other.step(X, Y)
    for name, value in one.state_dict(optimizer=True).items():
        np.testing.assert_array_equal(other.state_dict(optimizer=True)[name], value)


def test_a_loss_that_is_not_finite_changes_nothing(linear: bytes) -> None:
    trainer = kiln.Trainer(linear, batch=12, lr=0.1)
    before = trainer.state_dict()
    with pytest.raises(kiln.TrainingError, match="the loss is nan; nothing was changed"):
        trainer.step(np.full_like(X, np.nan), Y)
    for name, value in trainer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    trainer.step(X, Y)
    assert not np.array_equal(trainer.state_dict()["fc.weight"], before["fc.weight"])


def test_accumulated_gradients_make_one_step(linear: bytes) -> None:
    whole, parts = kiln.Trainer(linear, batch=12, lr=0.5), kiln.Trainer(linear, batch=12, lr=0.5, accumulate=2)
    whole.step(X, Y)
    parts.step(X[:6], Y[:6], update=False)
    parts.step(X[6:], Y[6:])
    for name, value in whole.state_dict().items():
        np.testing.assert_allclose(parts.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_epochs_over_arrays(linear: bytes) -> None:
    seen: list[dict[str, float]] = []
    trained = kiln.train(
        linear, X, Y, epochs=20, batch=5, optimizer="adam", lr=0.05, schedule="one-cycle", validation=(X, Y),
        progress=seen.append,
    )  # fmt: skip
    assert [entry["epoch"] for entry in trained.history] == list(range(1, 21)) and seen == trained.history
    assert trained.history[-1]["validation_loss"] < 0.8 * trained.history[0]["validation_loss"]
    assert trained.history[-1]["lr"] < trained.history[5]["lr"]
    again = kiln.train(linear, X, Y, epochs=20, batch=5, optimizer="adam", lr=0.05, schedule="one-cycle")
    np.testing.assert_array_equal(again.weights["fc.weight"], trained.weights["fc.weight"])


def test_source_is_trained_by_its_names(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch.nn as nn\nclass Net(nn.Module):\n    def __init__(self, hidden=4):\n        super().__init__()\n"
        "        self.fc1 = nn.Linear(4, hidden)\n        self.fc2 = nn.Linear(hidden, 3)\n"
        "    def forward(self, x):\n        return self.fc2(self.fc1(x).relu())\n"
    )
    trained = kiln.train(f"{tmp_path}/net.py:Net", X, Y, epochs=2, shapes=(4,), arguments={"hidden": 7})
    assert {name: value.shape for name, value in trained.weights.items()} == {
        "fc1.weight": (7, 4), "fc1.bias": (7,), "fc2.weight": (3, 7), "fc2.bias": (3,),
    }  # fmt: skip
    weights = trained.weights
    plan = kiln.compile(f"{tmp_path}/net.py:Net", shapes=(4,), arguments={"hidden": 7}, weights=weights)
    wanted = np.maximum(X @ weights["fc1.weight"].T + weights["fc1.bias"], 0) @ weights["fc2.weight"].T + weights["fc2.bias"]
    np.testing.assert_allclose(kiln.Session(plan)(X[:8]), wanted[:8], rtol=1e-4, atol=1e-5)


def test_mistakes_are_told(linear: bytes) -> None:
    trainer = kiln.Trainer(linear, batch=12)
    with pytest.raises(kiln.WeightsError, match="it has no `fc.wait`"):
        trainer.load_state_dict({"fc.wait": X})
    with pytest.raises(kiln.WeightsError, match="missing are `fc.bias`"):
        trainer.load_state_dict({"fc.weight": np.zeros((3, 4), np.float32)})
    with pytest.raises(kiln.WeightsError, match=r"`fc.weight` is \(4, 3\), the model has \(3, 4\)"):
        trainer.load_state_dict({**trainer.state_dict(), "fc.weight": np.zeros((4, 3), np.float32)})
    with pytest.raises(kiln.WeightsError, match="the weights do not fit the model"):
        kiln.compile(linear, weights={"fc.weight": X})
    with pytest.raises(TypeError, match="there is no setting `learning`"):
        kiln.Trainer(linear, learning=1)
    with pytest.raises(kiln.InputError, match="there is no loss `ce`; use `cross-entropy`"):
        kiln.Trainer(linear, loss="ce")
    with pytest.raises(kiln.InputError, match="there is no optimizer `lion`"):
        kiln.Trainer(linear, optimizer="lion")
    with pytest.raises(kiln.InputError, match="schedule"):
        kiln.train(linear, X, Y, schedule="up")
    with pytest.raises(kiln.InputError, match="12 samples, but 3 targets"):
        kiln.train(linear, X, Y[:3])
    with pytest.raises(kiln.InputError, match="`target` is f32, i32 is expected"):
        trainer.step(X, Y.astype(np.float32))


def test_less_memory_gives_the_same_weights(tmp_path: Path) -> None:
    layers = ", ".join("nn.Conv2d(4, 4, 3, padding=1), nn.Tanh()" for _ in range(12))
    source = tmp_path / "chain.py"
    source.write_text(f"import torch.nn as nn\n\n\ndef chain():\n    return nn.Sequential({layers})\n")
    model = f"{source}:chain"
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=(8, 4, 32, 32)).astype(np.float32) for _ in range(2))

    def trained(memory: int | None) -> dict[str, np.ndarray]:
        trainer = kiln.Trainer(model, shapes=(4, 32, 32), loss="mse", batch=8, memory=memory)
        for _ in range(2):
            trainer.step(x, y)
        return trainer.state_dict()

    with pytest.raises(kiln.CompileError, match="the training takes at least") as refused:
        trained(1)
    least = float(str(refused.value).split("at least ")[1].split(" MiB")[0])
    # Twelve results of 128 KiB are kept without a limit.
    assert least < 1.5
    whole, limited = trained(None), trained(int((least + 0.1) * 2**20))
    for name, weight in whole.items():
        np.testing.assert_allclose(limited[name], weight, rtol=1e-5, atol=1e-6, err_msg=name)
