"""What is made of an episode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from vla_mbpo_ros.config import OUTCOMES
from vla_mbpo_ros.errors import ConfigError, UnknownName

STARTS = ("every", "chunks")
LABELLED = ("success", "failure")  # outcomes that say when the reward was given, or that it was not


@dataclass(frozen=True)
class DatasetSettings:
    """Windows, images, and which episodes are used."""

    k: int = 8
    """Control steps in a window: from o_t over a_t … a_{t+k-1} to o_{t+k}."""

    starts: str = "every"
    """Where windows start: at "every" row, or at those where the policy observed for one of its "chunks"."""

    stride: int = 1
    """Every so many-th of these starts is taken."""

    size: tuple[int, int] | None = None
    """(height, width) of the images; None keeps the camera's. Made once, by area-aware bilinear filtering, as Pillow
    does it; the form is stretched, not cropped."""

    cameras: tuple[str, ...] = ()
    """Those that are used; empty takes all of the robot."""

    outcomes: tuple[str, ...] = LABELLED
    """Which episodes. Of one whose outcome is unknown the reward is unknown too."""

    splits: Mapping[str, float] = field(default_factory=lambda: {"train": 0.9, "val": 0.1})
    """Share of the episodes in each split; together 1."""

    def __post_init__(self) -> None:
        for name in ("k", "stride"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}.", "Give 1 or more.")
        if self.starts not in STARTS:
            raise UnknownName("kind of start", self.starts, STARTS)
        for outcome in self.outcomes:
            if outcome not in OUTCOMES:
                raise UnknownName("outcome", outcome, OUTCOMES)
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ConfigError(f"Images cannot have the size {self.size}.", "Give (height, width) in pixels.")
        if min(self.splits.values(), default=-1.0) < 0.0 or not math.isclose(sum(self.splits.values()), 1.0):
            raise ConfigError(f"The splits are {dict(self.splits)}.", "Give shares that add up to 1.")
