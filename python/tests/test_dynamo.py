"""``torch.compile(model, backend="kiln")``: the same answers, and a word where a graph stays in PyTorch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

import kiln.dynamo


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.bn = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.manual_seed(0)
    torch._dynamo.reset()
    yield


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[kiln.Plan]:
    """The plans that are made."""
    made: list[kiln.Plan] = []

    class Counted(kiln.Session):
        def __new__(cls, plan: kiln.Plan) -> Counted:
            made.append(plan)
            return super().__new__(cls, plan)  # type: ignore[return-value]

    monkeypatch.setattr(kiln.dynamo, "Session", Counted)
    return made


def test_a_model_runs_on_kiln(plans: list[kiln.Plan]) -> None:
    net, x = Net().eval(), torch.randn(2, 3, 8, 8)
    compiled = torch.compile(net, backend="kiln")
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(compiled(2 * x), net(2 * x), rtol=1e-4, atol=1e-5)
        assert len(plans) == 1 and len(plans[0].inputs) == 1
        # Other sizes have plans of their own.
        for count in (3, 5, 3):
            more = torch.randn(count, 3, 8, 8)
            torch.testing.assert_close(compiled(more), net(more), rtol=1e-4, atol=1e-5)
        assert len(plans) == 3
    with torch.inference_mode():
        torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-5)


def test_weights_may_change(plans: list[kiln.Plan]) -> None:
    net, x = Net().eval(), torch.randn(2, 3, 8, 8)
    compiled = torch.compile(net, backend="kiln")
    with torch.no_grad():
        compiled(x)
        net.fc.weight.mul_(2)
        torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-5)
        net.load_state_dict(Net().state_dict())
        torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-5)
        net.fc.bias.data = torch.ones(5)
        torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-5)
    assert len(plans) >= 4


def test_parts_around_a_break_run_on_kiln(plans: list[kiln.Plan]) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        x = (x * 2).exp()
        if x.sum() > 1e9:
            return x
        return (x + 1).sqrt()

    x = torch.rand(4, 4)
    torch.testing.assert_close(torch.compile(function, backend="kiln")(x), function(x))
    assert len(plans) >= 2


def random(x: torch.Tensor) -> torch.Tensor:
    return torch.dropout(x, 0.5, True)


def writes(x: torch.Tensor) -> torch.Tensor:
    x.add_(1)
    return x * 2


def view(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.reshape(-1), x * 2


def unsupported(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.eigvalsh(x @ x.T)


def halves(x: torch.Tensor) -> torch.Tensor:
    return x.bfloat16() * 2


STAYS: list[tuple[Callable[..., object], str]] = [
    (random, "draws random numbers"),
    (writes, "changes"),
    (view, "shares memory"),
    (unsupported, "stays in PyTorch"),
]


@pytest.mark.parametrize(("function", "says"), STAYS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_stays_in_pytorch_says_why(
    function: Callable[..., object], says: str, plans: list[kiln.Plan], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "kiln.dynamo"), torch.no_grad():
        torch.manual_seed(1)
        x, y = torch.eye(4) + 0.1, torch.eye(4) + 0.1
        found = torch.compile(function, backend="kiln")(x)
        torch.manual_seed(1)
        torch.testing.assert_close(found, function(y))
        torch.testing.assert_close(x, y)
    assert says in caplog.text and plans == []


def test_gradients_stay_in_pytorch(plans: list[kiln.Plan], caplog: pytest.LogCaptureFixture) -> None:
    net, x = Net(), torch.randn(2, 3, 8, 8)
    with caplog.at_level(logging.WARNING, "kiln.dynamo"):
        torch.compile(net, backend="kiln")(x).sum().backward()
    assert "gradients are recorded" in caplog.text and plans == []
    assert net.fc.weight.grad is not None
    # In training mode, batch normalization changes its statistics.
    with torch.no_grad(), caplog.at_level(logging.WARNING, "kiln.dynamo"):
        torch.compile(Net().train(), backend="kiln")(x)
    assert "changes" in caplog.text and plans == []


def test_options_are_those_of_compile(plans: list[kiln.Plan]) -> None:
    with torch.no_grad():
        torch.compile(lambda x: x + 1, backend="kiln", options={"target": "portable"})(torch.zeros(3))
    assert plans[0].target == "portable"
    with pytest.raises(Exception, match="the backend has no option speed"):
        torch.compile(lambda x: x + 1, backend="kiln", options={"speed": 1})(torch.zeros(3))
