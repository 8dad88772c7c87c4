from __future__ import annotations

import pytest

from vla_mbpo_ros.config import PolicyConfig
from vla_mbpo_ros.errors import ConfigError, UnknownName
from vla_mbpo_ros.policy import make_policy
from vla_mbpo_ros.robots import get_robot

ROBOT = get_robot("arx_x5")


def test_a_policy_is_made_by_its_name() -> None:
    policy = make_policy(PolicyConfig(kind="scripted"), ROBOT, 15.0)
    assert policy.version.startswith("scripted")


def test_an_unknown_policy_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'scripted'"):
        make_policy(PolicyConfig(kind="scriptde"), ROBOT, 15.0)


def test_a_robot_that_the_scripted_policy_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="for the arx_x5, not for tabletop"):
        make_policy(PolicyConfig(kind="scripted"), get_robot("tabletop"), 20.0)
