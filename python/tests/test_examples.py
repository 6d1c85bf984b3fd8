"""The examples run, and what they assert holds."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_a_notebook_goes_through(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "from_module_to_numpy.py"))
    assert "with Kiln's weights" in capsys.readouterr().out
