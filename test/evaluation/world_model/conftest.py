"""A few held-out episodes, and models that are easy to understand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.evaluation.world_model.held_out import HeldOut, Size, hold_out  # noqa: E402 (after the check)
from vla_mbpo_ros.evaluation.world_model.places import Finder  # noqa: E402
from vla_mbpo_ros.robots.tabletop import TABLETOP  # noqa: E402
from vla_mbpo_ros.schema import FloatArray  # noqa: E402
from vla_mbpo_ros.sim.tabletop import Pool  # noqa: E402
from vla_mbpo_ros.world_model.protocol import Dreams, Pause, Scenes, go_on  # noqa: E402
from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast  # noqa: E402
from vla_mbpo_ros.world_model.rivals.oracle import OracleWorld  # noqa: E402

SIZE = Size(episodes=3, pairs=8, single=20, tasks=("press_red", "push_yellow", "lift_red"))


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    with Pool() as pool:
        yield pool


@pytest.fixture(scope="session")
def held(pool: Pool) -> HeldOut:
    return hold_out(pool, SIZE)


@pytest.fixture(scope="session")
def finder() -> Finder:
    return Finder()


@pytest.fixture(scope="session")
def oracle() -> Iterator[OracleWorld]:
    with OracleWorld(horizon=10) as oracle:
        yield oracle


@pytest.fixture
def copy_last() -> CopyLast:
    return CopyLast(TABLETOP.camera_names, (64, 64), 10)


class Contrary:
    """The simulator, told the opposite of every velocity."""

    version = "contrary"

    def __init__(self, oracle: OracleWorld) -> None:
        self._oracle = oracle
        self.views, self.size, self.horizon = oracle.views, oracle.size, oracle.horizon

    def imagine(self, scenes: Scenes, chunks: FloatArray, seeds: Sequence[int], pause: Pause = go_on) -> Dreams:
        opposite = np.concatenate([-chunks[..., :-1], chunks[..., -1:]], axis=-1)
        dreams = self._oracle.imagine(scenes, opposite, seeds, pause)
        return replace(dreams, success=1.0 - dreams.success)

    def judge(self, scenes: Scenes) -> FloatArray:
        return 1.0 - self._oracle.judge(scenes)


@pytest.fixture
def contrary(oracle: OracleWorld) -> Contrary:
    return Contrary(oracle)
