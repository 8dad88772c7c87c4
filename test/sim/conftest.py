from __future__ import annotations

from collections.abc import Iterator

import pytest

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.sim.factory import make_twin
from vla_mbpo_ros.sim.twin import Twin


@pytest.fixture(scope="session")
def shared_twin() -> Iterator[Twin]:
    twin = make_twin(Config())
    yield twin
    twin.close()


@pytest.fixture
def twin(shared_twin: Twin) -> Twin:
    """At home with layout 0."""
    shared_twin.reset(0)
    return shared_twin
