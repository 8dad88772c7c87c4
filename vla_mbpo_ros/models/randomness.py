"""Noise keyed by (seed, row): the same on every device, in every batch, with any number of workers.

Made by NumPy's Philox on the CPU. torch's own generators give other numbers on a GPU, and on a CPU depend on how
many are asked for at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError

Seed = int | Sequence[int]


def mix(*keys: int) -> int:
    """One seed from several numbers, such as (seed, iteration, sample, chunk). Order matters."""
    if any(key < 0 for key in keys):
        raise ContractError(f"A seed is made of {keys}.", "Give whole numbers from 0 on.")
    return int(np.random.SeedSequence(list(keys)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def row_seeds(seed: Seed, rows: int) -> list[int]:
    """A seed for each row: mixed from one number and the row's place, or given one by one."""
    if isinstance(seed, (int, np.integer)):
        return [mix(int(seed), row) for row in range(rows)]
    if len(seed) != rows:
        raise ContractError(f"{len(seed)} seeds came for {rows} rows.", "Give one seed, or one for each row.")
    return [int(one) for one in seed]


def normal(seeds: Sequence[int], stream: int, shape: tuple[int, ...], device: torch.device | str = "cpu") -> Tensor:
    """(B, *shape) float32 standard normal; row b depends on seeds[b] and `stream` only."""
    rows = [_generator(seed, stream).standard_normal(shape, dtype=np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows)).to(device)


def uniform(seeds: Sequence[int], stream: int, device: torch.device | str = "cpu") -> Tensor:
    """(B,) float32 in [0, 1)."""
    rows = [_generator(seed, stream).random(dtype=np.float32) for seed in seeds]
    return torch.from_numpy(np.array(rows, dtype=np.float32)).to(device)


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, stream])))
