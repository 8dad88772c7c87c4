"""Robots by name."""

from __future__ import annotations

from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.robots.arx_x5 import ARX_X5
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.robots.tabletop import TABLETOP

_ROBOTS = {robot.name: robot for robot in (ARX_X5, TABLETOP)}


def robot_names() -> tuple[str, ...]:
    return tuple(sorted(_ROBOTS))


def get_robot(name: str) -> RobotSpec:
    if name not in _ROBOTS:
        raise UnknownName("robot", name, _ROBOTS)
    return _ROBOTS[name]
