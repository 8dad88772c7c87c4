"""Every robot description keeps the rules that all others rely on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.robots import get_robot, robot_names
from vla_mbpo_ros.robots.contract import robot_topics


@pytest.fixture(params=robot_names())
def robot(request):  # type: ignore[no-untyped-def]
    return get_robot(request.param)


def test_limits_have_an_inside_and_home_is_in_it(robot) -> None:  # type: ignore[no-untyped-def]
    assert np.all(robot.low < robot.high)
    assert np.all((robot.low <= robot.home) & (robot.home <= robot.high))
    assert np.all(robot.max_velocity > 0)


def test_names_are_unique(robot) -> None:  # type: ignore[no-untyped-def]
    assert len(set(robot.names)) == robot.dof
    assert len(set(robot.camera_names)) == len(robot.cameras)


def test_the_head_comes_first_and_there_is_one(robot) -> None:  # type: ignore[no-untyped-def]
    assert [camera.role for camera in robot.cameras].count("head") == 1
    assert robot.cameras[0].role == "head"


def test_nobody_can_change_the_shared_vectors(robot) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="read-only"):
        robot.low[0] = 7.0


@given(seed=st.integers(0, 1000))
def test_any_order_of_names_comes_back_in_the_robots_own(seed: int) -> None:
    robot = get_robot("arx_x5")
    shuffled = np.random.default_rng(seed).permutation(robot.dof)
    names = [robot.names[index] for index in shuffled]
    assert [names[index] for index in robot.order(names)] == list(robot.names)


def test_wrong_names_are_told_apart() -> None:
    robot = get_robot("arx_x5")
    names = [*robot.names[:-2], robot.names[0], "left_elbow"]
    with pytest.raises(ContractError) as caught:
        robot.order(names)
    for part in ("missing: right_joint6, right_gripper", "unknown: left_elbow", "twice: left_joint1"):
        assert part in str(caught.value)


def test_the_contract_names_each_topic_once(robot) -> None:  # type: ignore[no-untyped-def]
    topics = robot_topics(robot, 15.0, dict.fromkeys(robot.camera_names, 30.0))
    assert len({topic.name for topic in topics}) == len(topics)
    assert {topic.kind for topic in topics} <= {"image", "state", "command", "event", "latched"}
