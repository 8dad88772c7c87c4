"""One who asks a world model: the wish, and the ticket that says how far it is.

Wish ──check──> Ticket, with a NextChunk for the next chunk of each sample ──model──> Steps ──> result
"""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vla_mbpo_ros.errors import ContractError, VlaMbpoError
from vla_mbpo_ros.schema import FloatArray, ImageArray
from vla_mbpo_ros.world_model.protocol import Scenes, StateSource, WorldModel


class TimeUp(VlaMbpoError):
    """A request was not done within its limit."""


class Cancelled(VlaMbpoError):
    """Nobody wants the answer any more."""


@dataclass(frozen=True)
class Wish:
    """What one asker wants to know."""

    scene: Scenes  # one row
    chunks: FloatArray  # (C, K, N), one after the other
    samples: int = 1
    seed: int = 0
    time_limit_s: float = 30.0  # from now on, waiting included


@dataclass(frozen=True)
class Step:
    """One chunk of one sample, imagined."""

    chunk: int
    sample: int
    images: ImageArray  # (V, H, W, 3)
    success: float
    state: FloatArray  # (N,)
    source: StateSource
    elapsed_s: float  # wall time of the model's call, shared with the rows beside it


@dataclass
class NextChunk:
    """The next chunk of one sample."""

    ticket: Ticket
    sample: int
    chunk: int
    scene: Scenes

    @property
    def seed(self) -> int:
        """The same for the same request, in whatever company it is imagined."""
        return zlib.crc32(f"{self.ticket.wish.seed} {self.sample} {self.chunk}".encode())


@dataclass(eq=False)
class Ticket:
    """One request in the queue. `done` says when to ask for the `result`."""

    model: WorldModel
    wish: Wish
    news: Callable[[], None]  # called on the worker's thread or on the canceller's, after each change
    began_s: float = field(default_factory=time.monotonic)
    steps: list[Step] = field(default_factory=list)  # done so far, in the order of their end
    error: VlaMbpoError | None = None
    rows: deque[NextChunk] = field(default_factory=deque)  # what the model may be given now

    @property
    def total(self) -> int:
        return self.wish.samples * len(self.wish.chunks)

    @property
    def done(self) -> bool:
        return self.error is not None or len(self.steps) == self.total

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began_s

    def result(self) -> list[Step]:
        """Sample by sample, chunk by chunk; or the error that ended it."""
        if self.error is not None:
            raise self.error
        return sorted(self.steps, key=lambda step: (step.sample, step.chunk))

    def cancel(self) -> None:
        self.fail(Cancelled(f"Cancelled after {len(self.steps)} of {self.total} steps."))

    def fail(self, error: VlaMbpoError) -> None:
        """The first end counts."""
        if not self.done:
            self.error = error
            self.news()

    def look_at_the_clock(self) -> None:
        """End it if its time is up."""
        if self.elapsed_s > self.wish.time_limit_s:
            self.fail(
                TimeUp(
                    f"{len(self.steps)} of {self.total} steps were imagined in {self.wish.time_limit_s:g} s.",
                    "Give a longer time_limit_s, or ask for fewer samples or chunks.",
                )
            )


def check(model: WorldModel, wish: Wish) -> None:
    """What one wish must not spoil for those beside it: ContractError unless it has the model's form."""
    images, chunks = wish.scene.images, wish.chunks
    if images.shape != (1, len(model.views), *model.size, 3) or images.dtype != np.uint8:
        raise ContractError(
            f"The images have the shape {images.shape} and the type {images.dtype}.",
            f"{model.version} sees uint8 RGB of {', '.join(model.views)}, {model.size[0]} x {model.size[1]} pixels.",
        )
    dof = wish.scene.state.shape[1]
    if chunks.ndim != 3 or len(chunks) < 1 or chunks.shape[1:] != (model.horizon, dof):
        raise ContractError(
            f"The chunks have the shape {chunks.shape}.",
            f"{model.version} imagines chunks of {model.horizon} steps and {dof} joints, one or more.",
        )
    if wish.samples < 1:
        raise ContractError(f"{wish.samples} samples.", "Ask for one or more.")
