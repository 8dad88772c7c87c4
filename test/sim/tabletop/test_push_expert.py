"""The pusher: where it begins is a matter of the block and the side; on the way friction takes the block aside."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import TASKS, sizes, to_command
from vla_mbpo_ros.sim.tabletop.experts import expert_action
from vla_mbpo_ros.sim.tabletop.state import TableState, Thing
from vla_mbpo_ros.sim.tabletop.world import World

TASK = TASKS["push_yellow"]
BEHIND_M = 0.039  # the tool touches the block
MIRROR = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0])  # of an action, left and right exchanged


def said(tool: tuple[float, float, float], zone: tuple[float, float], block: tuple[float, float]) -> FloatArray:
    """(7,) what the expert does with upright fingers."""
    things: Mapping[str, Thing] = {
        "block": Thing((*block, sizes.BLOCK_HALF_M)),
        "yellow_zone": Thing((*zone, 0.0)),
        "purple_zone": Thing((0.0, -math.copysign(0.13, zone[1]), 0.0)),
    }
    return expert_action(TASK, TableState(np.array([*tool, 0.0, 0.0, 0.0]), 0.03, things))


def test_where_it_begins_depends_on_the_block_and_the_side_alone() -> None:
    asked = [said((-0.06, 0.01, 0.19), (x, y), (0.01, 0.0)) for x in (-0.03, 0.01, 0.04) for y in (0.12, 0.15)]
    assert all(np.array_equal(asked[0], other) for other in asked)
    assert not np.array_equal(asked[0], said((-0.06, 0.01, 0.19), (0.01, -0.13), (0.01, 0.0)))


def test_in_touch_it_goes_where_the_zone_is() -> None:
    for x in (-0.04, 0.0, 0.04):
        action = said((0.0, -BEHIND_M, 0.016), (x, 0.12), (0.0, 0.0))
        assert action[1] > 0.4
        assert action[0] == pytest.approx(x / 0.1 * action[1], abs=1e-6)


def test_left_and_right_are_the_same_in_a_mirror() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        tool = (*random.uniform(-0.12, 0.12, 2), random.uniform(0.01, 0.1))
        zone, block = (random.uniform(-0.05, 0.05), random.uniform(0.05, 0.15)), tuple(random.uniform(-0.04, 0.04, 2))
        here = said(tool, zone, (block[0], block[1]))
        there = said((tool[0], -tool[1], tool[2]), (zone[0], -zone[1]), (block[0], -block[1]))
        np.testing.assert_allclose(there, here * MIRROR, atol=1e-9)


def test_it_hardly_turns_the_fingers_and_brings_the_block_there(world: World) -> None:
    for seed in range(700, 706):
        world.begin("push_yellow", seed)
        turned = 0.0
        while not world.over:
            world.step(to_command(expert_action(world.task, world.state())))
            turned = max(turned, abs(float(world.state().tool[5])))
        assert world.success
        assert turned < 0.5
