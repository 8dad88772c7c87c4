"""The twin that the settings ask for."""

from __future__ import annotations

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.sim.tasks import get_task
from vla_mbpo_ros.sim.twin import Twin

_TWINS = {"arx_x5": Twin}


def make_twin(cfg: Config) -> Twin:
    """A twin of `cfg.robot` with `cfg.sim.task` on its table, reset to the first layout."""
    robot = get_robot(cfg.robot)
    if robot.name not in _TWINS:
        raise UnknownName("robot with a twin", robot.name, _TWINS)
    twin = _TWINS[robot.name](robot, get_task(cfg.sim.task), cfg.control_hz or robot.control_hz)
    twin.reset(cfg.sim.seed)
    return twin
