"""Data-parallel training: each process computes the gradients of its part of a batch, all step with their mean.

    torchrun --nproc-per-node 2 data_parallel.py --states states.npz

Kiln gives all gradients as one array, and any library that adds arrays over processes will do: here it is
`torch.distributed` with gloo, and `MPI.COMM_WORLD.Allreduce` of mpi4py would take the same array. A process that is killed ends
the run; with the same arguments, it goes on from the last states.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

import kiln


def average(flat: np.ndarray) -> None:
    """The mean over all processes, in place. Each counts with what its loss was divided by, the last number."""
    row = torch.from_numpy(flat)
    row[:-1] *= row[-1].item()
    dist.all_reduce(row)
    row[:-1] /= row[-1].item()


def network() -> nn.Module:
    """The same first weights in each process."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 14 * 14, 10)
    )


def samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of ten classes that differ in where they are bright."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, count)
    images = random.normal(size=(count, 1, 28, 28)).astype(np.float32)
    for image, label in zip(images, labels):
        image[0, 2 * label : 2 * label + 6, 4:24] += 1
    return images, labels


def main() -> None:
    """Trains, and prints what a step takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--states", type=Path, required=True, help="where the states are kept, and taken from if they are there")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64, help="of all processes together")
    parser.add_argument("--die-after", type=int, help="end without a word after so many steps")
    options = parser.parse_args()

    dist.init_process_group("gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()
    trainer = kiln.Trainer(
        network(), shapes=(1, 28, 28), optimizer="adam", lr=1e-3, batch=options.batch, seed=rank, split=True
    )
    first = 0
    if options.states.exists():
        with np.load(options.states) as states:
            trainer.load_state_dict(states)
            first = int(states["train.steps"])
    images, labels = samples(options.batch * 4)
    spent: list[float] = []
    averaging: list[float] = []
    for step in range(first, options.steps):
        whole = slice(step % 4 * options.batch, (step % 4 + 1) * options.batch)
        own = slice(rank, None, processes)
        start = time.perf_counter()
        _, flat = trainer.gradients(images[whole][own], labels[whole][own])
        between = time.perf_counter()
        average(flat)
        averaging.append(time.perf_counter() - between)
        trainer.apply(flat)
        spent.append(time.perf_counter() - start)
        if rank == 0:
            print(f"step {step + 1}: loss {flat[-2]:.6f}", flush=True)
            kept = options.states.with_suffix(".new.npz")
            np.savez(kept, **trainer.state_dict(optimizer=True))
            kept.replace(options.states)
        dist.barrier()
        if options.die_after == step + 1:
            os._exit(9)
    if rank == 0 and spent:
        print(f"{1e3 * np.median(spent):.2f} ms a step, {1e3 * np.median(averaging):.2f} ms of it averaging "
              f"{flat.size} numbers over {processes} processes")  # fmt: skip
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
