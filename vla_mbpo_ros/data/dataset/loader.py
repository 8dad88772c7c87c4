"""Batches for torch. The only module of the data room that imports it.

    {"images": {camera: (B, H, W, 3) uint8}, "state": (B, S), "action": (B, k, A), …}

The order of samples comes from the seed and the epoch alone: the same for any number of workers, forked or spawned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from vla_mbpo_ros.data.dataset.rewards import RewardSamples
from vla_mbpo_ros.data.dataset.transitions import Transitions
from vla_mbpo_ros.errors import ConfigError, MissingDependency

try:
    import torch
    from torch.utils.data import DataLoader, Sampler
except ImportError as error:
    raise MissingDependency(
        "torch is not installed.", "Install it as pytorch.org says, or `pip install 'vla_mbpo_ros[learn]'`."
    ) from error


class EpochOrder(Sampler[int]):
    """Every index once an epoch. Each pass is the next epoch; set `epoch` to go on where a run was stopped."""

    def __init__(self, samples: Transitions | RewardSamples, seed: int) -> None:
        self._samples, self._seed, self.epoch = samples, seed, 0

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[int]:
        order = self._samples.order(self._seed, self.epoch)
        self.epoch += 1
        return iter(order.tolist())


def make_loader(
    samples: Transitions | RewardSamples,
    batch_size: int,
    workers: int = 0,
    seed: int = 0,
    start: str | None = None,
    drop_last: bool = False,
    pin_memory: bool | None = None,
) -> DataLoader[Any]:
    """`start` is how workers come to life: "fork", "spawn" or "forkserver"; None is torch's choice.

    Memory is pinned where there is a GPU to copy to. `loader.sampler.epoch` is the epoch that comes next.
    """
    if batch_size < 1 or workers < 0 or seed < 0:
        raise ConfigError(
            f"A loader of batches of {batch_size} with {workers} workers and seed {seed} cannot be.",
            "Give 1 or more, 0 or more, and 0 or more.",
        )
    if not len(samples):
        raise ConfigError("There is no sample to load.", "The report of the data set says what was left out.")
    return DataLoader(
        _View(samples),
        batch_size=batch_size,
        sampler=EpochOrder(samples, seed),
        num_workers=workers,
        collate_fn=collate,
        drop_last=drop_last,
        pin_memory=torch.cuda.is_available() if pin_memory is None else pin_memory,
        multiprocessing_context=start if workers else None,
        persistent_workers=workers > 0,
    )


class _View(torch.utils.data.Dataset[Any]):
    """Samples as torch wants them."""

    def __init__(self, samples: Transitions | RewardSamples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Any:
        return self._samples[index]


def collate(samples: Sequence[Any]) -> dict[str, Any]:
    """One batch. Numbers become float32, images stay uint8, texts stay lists. Every image is copied once."""
    return {item.name: _stack([getattr(sample, item.name) for sample in samples]) for item in fields(samples[0])}


def _stack(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, dict):
        return {key: _stack([value[key] for value in values]) for key in first}
    if isinstance(first, (str, tuple)):
        return values
    kind = np.asarray(first).dtype
    dtype = np.dtype(np.float32) if kind.kind == "f" else kind
    made = torch.empty((len(values), *np.shape(first)), dtype=torch.from_numpy(np.empty(0, dtype)).dtype)
    target = made.numpy()
    for place, value in enumerate(values):
        target[place] = value
    return made
