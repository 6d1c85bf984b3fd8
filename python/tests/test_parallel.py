"""Two processes with half batches give the weights that one gives with whole ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).parents[1] / "examples" / "data_parallel.py"


def run(processes: int, *arguments: str, fails: bool = False) -> str:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", str(EXAMPLE)]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout


def test_two_processes_are_as_one_killed_or_not(tmp_path: Path) -> None:
    states = {name: tmp_path / f"{name}.npz" for name in ("one", "two", "killed")}
    alone = run(1, "--states", str(states["one"]))
    together = run(2, "--states", str(states["two"]))
    run(2, "--states", str(states["killed"]), "--die-after=3", fails=True)
    resumed = run(2, "--states", str(states["killed"]))
    assert "step 3:" not in resumed and "step 4:" in resumed
    one, two, killed = (np.load(path) for path in states.values())
    assert one["train.steps"] == 8 and set(one) == set(two) == set(killed)
    for name in one:
        if name != "train.random":
            # Sums are in another order; Adam divides by the root of squares near zero, so weights part a little more.
            np.testing.assert_allclose(two[name], one[name], rtol=2e-3, atol=2e-5, err_msg=name)
        np.testing.assert_array_equal(killed[name], two[name], err_msg=name)

    def loss(out: str) -> list[float]:
        return [float(line.rpartition(" ")[2]) for line in out.splitlines() if line.startswith("step ")]

    np.testing.assert_allclose(loss(together), loss(alone), rtol=1e-4)
    assert loss(alone)[-1] < loss(alone)[0]
