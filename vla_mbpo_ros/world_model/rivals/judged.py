"""Any model that imagines, with another one as its judge: also for models that judge nothing themselves.

scenes, chunks ──world──> dreams ──judge──> the same dreams, with the judge's probability of success
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.protocol import Dreams, Pause, Scenes, WorldModel, go_on


class Judge(Protocol):
    """Anything that says whether a task is done."""

    @property
    def version(self) -> str: ...

    def judge(self, scenes: Scenes) -> FloatArray:
        """(B,) probability that the task of each scene is done in it."""
        ...


class Judged:
    """A `WorldModel`: `world` imagines, `judge` judges."""

    def __init__(self, world: WorldModel, judge: Judge) -> None:
        self.world, self.by = world, judge
        self.views, self.size, self.horizon = world.views, world.size, world.horizon

    @property
    def version(self) -> str:
        return f"{self.world.version}+{self.by.version}"

    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams:
        dreams = self.world.imagine(scenes, chunks, seeds, pause)
        pause()
        return replace(dreams, success=self.judge(dreams.as_scenes(scenes)))

    def judge(self, scenes: Scenes) -> FloatArray:
        return self.by.judge(scenes)


if TYPE_CHECKING:  # it keeps the protocol
    _KEPT: type[WorldModel] = Judged
