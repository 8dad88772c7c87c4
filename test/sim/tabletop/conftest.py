from __future__ import annotations

from collections.abc import Iterator

import pytest

from vla_mbpo_ros.sim.tabletop import Pool
from vla_mbpo_ros.sim.tabletop.world import World


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="session")
def shared_pool() -> Iterator[Pool]:
    with Pool(workers=2) as pool:
        yield pool
