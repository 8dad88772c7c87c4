from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vla_mbpo_ros.sim.tabletop import Demonstrations, Pool, collect

TASKS = ("press_red", "lift_green")


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    with Pool(workers=2, width=32, height=32) as pool:
        yield pool


@pytest.fixture(scope="session")
def demos(pool: Pool) -> Demonstrations:
    """Three of each of two tasks, 32 pixels."""
    return collect(TASKS, range(3), 0.3, pool=pool).successful()


@pytest.fixture
def fresh(demos: Demonstrations) -> Callable[..., Any]:
    """A small policy in the size of the demonstrations, with a narrow network."""
    pytest.importorskip("torch", reason="torch is not installed")

    def make(seed: int = 0, **flow: Any) -> Any:
        from dataclasses import replace

        from vla_mbpo_ros.algorithms.grounds.tabletop import FLOW
        from vla_mbpo_ros.algorithms.imitation.chunks import normalisation_of
        from vla_mbpo_ros.policy.flow.config import InputConfig
        from vla_mbpo_ros.policy.tiny.config import TinyConfig
        from vla_mbpo_ros.policy.tiny.factory import make_tiny
        from vla_mbpo_ros.robots.tabletop import TABLETOP

        inputs = InputConfig(cameras={"head": "head", "wrist": "wrist"}, image_size=32, max_tokens=48)
        tiny = TinyConfig(channels=8, keypoints=8, context=64, width=96, blocks=1)
        cfg = replace(FLOW, value_hidden=(32,), **flow)
        return make_tiny(tiny, cfg, inputs, normalisation_of(demos, TABLETOP), seed)

    return make
