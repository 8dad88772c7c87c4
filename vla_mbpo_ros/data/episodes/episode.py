"""One episode on its control grid: what was seen, what was done, and what was proposed.

Row t is one control tick: the observation of that tick and the action that was executed at it.

    times_ns   t0      t1      t2      t3            stamps of the executed commands
    action     a0      a1      a2      a3            what the arm was really told
    state      s0      s1      s2      s3            latest joint state at or before the tick
    image_row  0       0       1       1             which frame of a camera is the latest at or before the tick

Bags, the dataset and the other formats meet here; `read_episode` makes it from a bag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.schema import ActionChunk, FloatArray, ImageArray

NO_FRAME = -1
IndexArray = npt.NDArray[np.int64]


class Frames(Protocol):
    """The images of one camera, decoded when asked for."""

    @property
    def stamps_ns(self) -> IndexArray:
        """(F,), rising."""

    def __getitem__(self, index: int) -> ImageArray:
        """(H, W, 3) uint8 RGB."""


@dataclass(frozen=True)
class Seen:
    """What a chunk was proposed from: the very readings that it lists, wherever the rows lie."""

    state: FloatArray  # (S,)
    frames: Mapping[str, int]  # camera -> index into its frames; NO_FRAME if it has none


@dataclass(frozen=True)
class Episode:
    """T rows, S numbers of state, A numbers of action."""

    path: Path  # where it was read from
    facts: EpisodeFacts
    state_names: tuple[str, ...]  # (S,) joint names
    action_names: tuple[str, ...]  # (A,)
    dt_ns: int  # control period
    times_ns: IndexArray  # (T,), rising; a step that is longer than `dt_ns` is a gap
    state: FloatArray  # (T, S)
    action: FloatArray  # (T, A) as executed
    source: tuple[str, ...]  # (T,) who was obeyed: "policy", "human", or "hold" for nobody
    frames: Mapping[str, Frames]  # by camera, in the robot's order
    image_row: Mapping[str, IndexArray]  # camera -> (T,) index into its frames; NO_FRAME if none is fresh
    chunks: tuple[ActionChunk, ...] = ()  # as proposed, in order
    seen: tuple[Seen | None, ...] = ()  # one for each chunk; None if its observation was not recorded
    success_ns: int | None = None  # the moment of success; None: it never came
    skipped: Mapping[str, int] = field(default_factory=dict)  # what was left out, and why: reason -> count

    @property
    def rows(self) -> int:
        return len(self.times_ns)

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self.frames)

    def image(self, camera: str, row: int) -> ImageArray:
        """(H, W, 3), what that camera showed at that row. IndexError where nothing fresh was there."""
        index = int(self.image_row[camera][row])
        if index == NO_FRAME:
            raise IndexError(f"row {row} of {self.path} has no fresh image of '{camera}'")
        return self.frames[camera][index]
