"""What a world model learns from: views before and after a chunk, and views that are judged.

    Moves    views now, chunk, state, instruction ──> views after it
    Judged   views, instruction ──> done or not

Rows stand in a fixed order; what is read is a matter of `rows` alone. Pictures were encoded once, when the data were
opened; a model with a vision encoder gets their pixels too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.pictures import fit_all
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.sim.tabletop.journeys import Journeys
from vla_mbpo_ros.world_model.protocol import Scenes
from vla_mbpo_ros.world_model.umm.assemble import Clean
from vla_mbpo_ros.world_model.umm.model import UmmWorld

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
_AT_ONCE, _DREAMS_AT_ONCE = 128, 32  # moments that are encoded together


@dataclass(frozen=True)
class Moves:
    """B chunks and what they led to."""

    now: Clean
    after: Clean
    chunks: FloatArray  # (B, K, N) in the robot's units
    state: FloatArray  # (B, N) when they began
    reached: FloatArray  # (B, N) when they ended
    instructions: tuple[str, ...]  # (B)


@dataclass(frozen=True)
class Judged:
    """B moments, and whether their task was done."""

    views: Clean
    instructions: tuple[str, ...]  # (B)
    done: BoolArray  # (B,)

    def weight(self, share: float) -> FloatArray:
        """(B,) with which done moments count as if they were this share of all: a judge that has seen more of them than
        there are would say Yes too often."""
        came = float(self.done.mean())
        if not 0.0 < came < 1.0:
            return np.ones(len(self.done))
        return np.where(self.done, share / came, (1.0 - share) / (1.0 - came))


class DreamData(Protocol):
    """Rows to learn from, or to be tested with."""

    def __len__(self) -> int:
        """Chunks."""
        ...

    @property
    def done(self) -> BoolArray:
        """(J,) of every moment that may be judged."""
        ...

    def moves(self, rows: IntArray) -> Moves: ...

    def judged(self, rows: IntArray) -> Judged: ...

    def after(self, rows: IntArray) -> BoolArray:
        """(B,) whether the task was done after these chunks."""
        ...

    def scenes(self, rows: IntArray) -> tuple[Scenes, FloatArray, ImageArray]:
        """Where these chunks begin, the chunks (B, K, N), and what was truly seen after them (B, V, H, W, 3).
        Pictures are of the world model's size."""
        ...


class JourneyDreams:
    """Episodes of the tabletop. Chunks that began after their episode's end are left out: nobody would play them."""

    def __init__(self, journeys: Journeys, world: UmmWorld) -> None:
        self._journeys, self._world = journeys, world
        self._chunks = np.flatnonzero(journeys.live)
        self._moments = np.union1d(journeys.start[self._chunks], journeys.start[self._chunks] + 1)
        self.done: BoolArray = journeys.success[self._moments]
        self._texts = journeys.instructions
        self._latents = _encoded(journeys.images, world)

    def __len__(self) -> int:
        return len(self._chunks)

    def moves(self, rows: IntArray) -> Moves:
        chunks = self._chunks[rows]
        begin = self._journeys.start[chunks]
        return Moves(
            self._views(begin),
            self._views(begin + 1),
            self._journeys.chunks[chunks],
            self._journeys.state[begin],
            self._journeys.state[begin + 1],
            tuple(self._texts[moment] for moment in begin),
        )

    def judged(self, rows: IntArray) -> Judged:
        moments = self._moments[rows]
        return Judged(self._views(moments), tuple(self._texts[moment] for moment in moments), self.done[rows])

    def after(self, rows: IntArray) -> BoolArray:
        """(B,) whether the task was done after these chunks."""
        return np.asarray(self._journeys.success[self._journeys.start[self._chunks[rows]] + 1])

    def scenes(self, rows: IntArray) -> tuple[Scenes, FloatArray, ImageArray]:
        journeys, chunks = self._journeys, self._chunks[rows]
        begin = journeys.start[chunks]
        texts = tuple(self._texts[moment] for moment in begin)
        before, after = (fit_all(journeys.images[moments], self._world.size[0]) for moments in (begin, begin + 1))
        return Scenes(before, journeys.state[begin], texts), journeys.chunks[chunks], after

    def _views(self, moments: IntArray) -> Clean:
        latents = self._latents[torch.from_numpy(moments)]
        if not self._world.net.cfg.vit.layers:
            return Clean(latents, None)
        return self._world.clean(self._journeys.images[moments])


def dream_of(world: UmmWorld, data: DreamData, rows: IntArray, seeds: Sequence[int]) -> Iterator[Tensor]:
    """(≤ 32, V, T, latent width): what `world` dreams of these chunks, as it would see it itself; part after part."""
    for first in range(0, len(rows), _DREAMS_AT_ONCE):
        part = slice(first, first + _DREAMS_AT_ONCE)
        scenes, chunks, _ = data.scenes(rows[part])
        with torch.no_grad():
            latents = world.clean(world.imagine(scenes, chunks, seeds[part]).images).latents
        yield latents


@torch.no_grad()
def _encoded(images: ImageArray, world: UmmWorld) -> Tensor:
    """(F, V, T, latent width)"""
    if not len(images):
        raise ContractError("There is no picture to learn from.", "Play at least one episode.")
    parts = [world.clean(images[first : first + _AT_ONCE]).latents for first in range(0, len(images), _AT_ONCE)]
    return torch.cat(parts)
