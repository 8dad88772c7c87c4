"""A policy acts in journeys as it plays episodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.algorithms.grounds.tabletop import FLOW, acting, make_policy_for  # noqa: E402 (after the check)
from vla_mbpo_ros.sim.tabletop import Pool, collect, travel  # noqa: E402


def test_what_a_policy_does_depends_on_the_start_and_the_seed_alone() -> None:
    with Pool(workers=1, width=32, height=32) as pool:
        demos = collect(("press_red", "lift_red"), range(2), 0.3, pool=pool)
        policy = make_policy_for(demos, replace(FLOW, value_hidden=(8,)))
        both = travel(pool, ["press_red", "lift_red"], [3, 4], acting(policy, pool, 0))
        alone = travel(pool, ["lift_red"], [4], acting(policy, pool, 0))
        other = travel(pool, ["lift_red"], [4], acting(policy, pool, 1))
    np.testing.assert_array_equal(both.take([1]).chunks, alone.chunks)
    assert not np.array_equal(other.chunks[0], alone.chunks[0])
