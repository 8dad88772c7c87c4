"""The world-model protocol. Everything has a batch dimension first, of size B.

    Scenes (B) + chunks (B, K, N) ──imagine(seeds)──> Dreams (B)
                                                        images   (B, V, H, W, 3)  what the cameras see after the chunk
                                                        success  (B,)             probability that the task is done then
                                                        state    (B, N)           and where it comes from

One call imagines one chunk; several chunks are imagined one after the other by `Dreams.as_scenes`. Many samples of one
scene are rows of their own (`Scenes.repeat`). Row b's chance is a matter of `seeds[b]` alone, not of its company.
View 0 is the head's; the wrists follow in the robot's order. The same pictures enter here live, from bags and from
dreams: (H, W, 3) uint8 RGB of the size that the model names, made by `models.pictures.fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import FloatArray, ImageArray

# Called between the steps of a long computation; it ends it by raising (`TimeUp`, `Cancelled`).
Pause = Callable[[], None]


def go_on() -> None:
    """A pause that never ends anything."""


class StateSource(Enum):
    """Where the state after a chunk comes from."""

    NONE = "none"  # there is none: the images are all that is imagined
    COMMANDED = "commanded"  # the last command of the chunk, as if it had been reached
    PREDICTED = "predicted"  # the model's own
    SIMULATED = "simulated"  # read from a simulator


@dataclass(frozen=True)
class Scenes:
    """Where B dreams begin."""

    images: ImageArray  # (B, V, H, W, 3)
    state: FloatArray  # (B, N) in the robot's units
    instructions: tuple[str, ...]  # (B)

    def __post_init__(self) -> None:
        sizes = {len(self.images), len(self.state), len(self.instructions)}
        if len(sizes) != 1:
            raise ContractError(f"Scenes of {sorted(sizes)} rows were put together.", "Give one row each.")

    def __len__(self) -> int:
        return len(self.instructions)

    def select(self, rows: Sequence[int]) -> Scenes:
        """These rows, in this order; a row may come more than once."""
        index = np.asarray(rows, dtype=np.int64)
        return Scenes(self.images[index], self.state[index], tuple(self.instructions[row] for row in rows))

    def repeat(self, samples: int) -> Scenes:
        """Every row `samples` times, the samples of one row side by side."""
        return self.select([row for row in range(len(self)) for _ in range(samples)])


@dataclass(frozen=True)
class Dreams:
    """What B chunks are thought to lead to."""

    images: ImageArray  # (B, V, H, W, 3)
    success: FloatArray  # (B,) probability in [0, 1]; NaN if the model does not judge
    state: FloatArray  # (B, N); NaN if the source is NONE
    source: StateSource

    def as_scenes(self, before: Scenes) -> Scenes:
        """Where the next chunk begins. Without a state of its own a dream keeps the old one."""
        state = before.state if self.source is StateSource.NONE else self.state
        return replace(before, images=self.images, state=state)


def refuse_misfit(model: WorldModel, dof: int, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int]) -> None:
    """ContractError unless this is what `model` can imagine from."""
    wanted = (len(scenes), model.horizon, dof)
    if chunks.shape != wanted or len(seeds) != len(scenes):
        cause = f"Chunks of shape {chunks.shape} and {len(seeds)} seeds came for {len(scenes)} scenes."
        raise ContractError(cause, f"Give chunks {wanted} and a seed for each.")
    if scenes.images.shape[1] != len(model.views):
        cause = f"Scenes have {scenes.images.shape[1]} views, {model.version} imagines {len(model.views)}."
        raise ContractError(cause, f"Give {', '.join(model.views)}, in this order.")


class WorldModel(Protocol):
    """Anything that imagines what a chunk leads to."""

    @property
    def version(self) -> str:
        """Names the model and its weights in every reply."""
        ...

    @property
    def views(self) -> tuple[str, ...]:
        """Camera names, the head first."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of every view."""
        ...

    @property
    def horizon(self) -> int:
        """K, the steps of a chunk."""
        ...

    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams: ...

    def judge(self, scenes: Scenes) -> FloatArray:
        """(B,) probability that the task of each scene is done in it."""
        ...
