from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from vla_mbpo_ros.policy.scripted.path import Path
from vla_mbpo_ros.policy.scripted.pick import Picker
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.sim.arx_x5.kinematics import ArmKinematics
from vla_mbpo_ros.sim.arx_x5.layout import ARM_BASES
from vla_mbpo_ros.sim.arx_x5.model import joints_of
from vla_mbpo_ros.sim.tasks.pick_place import CUBE_HALF_M, PAD_THICK_M, places

ROBOT = get_robot("arx_x5")
PICKER = Picker(ROBOT)
PAD = np.array([0.30, 0.0, PAD_THICK_M])


@pytest.mark.parametrize(("y", "moving", "resting"), [(0.1, "left", "right"), (-0.1, "right", "left")])
def test_the_arm_on_the_cube_s_side_moves_and_the_other_rests(y: float, moving: str, resting: str) -> None:
    moves = PICKER.plan(np.array(ROBOT.home), np.array([0.3, y, CUBE_HALF_M]), PAD)
    assert moves is not None
    points = np.concatenate([move.points for move in moves])
    travel = dict(zip(ROBOT.names, np.ptp(points, axis=0), strict=True))
    assert travel[f"{moving}_joint2"] > 0.3
    assert all(way == 0.0 for name, way in travel.items() if name.startswith(resting))


def test_every_layout_of_the_task_can_be_planned_within_the_limits() -> None:
    for seed in range(60):
        where = places(seed)
        cube, pad = np.array([*where.cube_xy, CUBE_HALF_M]), np.array([*where.pad_xy, PAD_THICK_M])
        moves = PICKER.plan(np.array(ROBOT.home), cube, pad)
        assert moves is not None
        for move in moves:
            assert np.all(move.points >= ROBOT.low)
            assert np.all(move.points <= ROBOT.high)


def test_the_path_is_continuous_and_ends_at_home() -> None:
    moves = PICKER.plan(np.array(ROBOT.home), np.array([0.3, 0.1, CUBE_HALF_M]), PAD)
    assert moves is not None
    for before, after in pairwise(moves):
        np.testing.assert_allclose(before.points[-1], after.points[0], atol=1e-9)
    np.testing.assert_allclose(moves[0].points[0], ROBOT.home)
    np.testing.assert_allclose(moves[-1].points[-1], ROBOT.home)


def test_the_fingers_close_on_the_cube_and_go_straight_up() -> None:
    cube = np.array([0.3, 0.1, CUBE_HALF_M])
    moves = PICKER.plan(np.array(ROBOT.home), cube, PAD)
    assert moves is not None
    arm = ArmKinematics(joints_of(ROBOT, "left"), "left_")
    lift = [arm.forward(point[:6]).position + ARM_BASES["left"] for point in moves[3].points]
    np.testing.assert_allclose(lift[0], cube, atol=1e-4)
    np.testing.assert_allclose([point[:2] for point in lift], np.tile(cube[:2], (len(lift), 1)), atol=1e-4)
    assert moves[2].points[-1][6] == 0.0


def test_each_tick_of_a_path_is_within_half_the_velocity_limit() -> None:
    moves = PICKER.plan(np.array(ROBOT.home), np.array([0.38, 0.17, CUBE_HALF_M]), PAD)
    assert moves is not None
    path = Path(moves, start_ns=0)
    dt_s = 1 / 15
    ticks = np.stack([path.at(round(tick * dt_s * 1e9)) for tick in range(120)])
    assert np.all(np.abs(np.diff(ticks, axis=0)) <= 0.5 * ROBOT.max_velocity * dt_s)


def test_what_no_arm_reaches_has_no_plan() -> None:
    assert PICKER.plan(np.array(ROBOT.home), np.array([0.7, 0.0, CUBE_HALF_M]), PAD) is None
