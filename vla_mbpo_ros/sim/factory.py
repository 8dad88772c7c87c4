"""The twin that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.robots import RobotSpec, get_robot
from vla_mbpo_ros.sim.protocol import SimulatedRobot
from vla_mbpo_ros.sim.tabletop.twin import TabletopTwin
from vla_mbpo_ros.sim.tasks import get_task
from vla_mbpo_ros.sim.twin import Twin


def make_twin(cfg: Config) -> SimulatedRobot:
    """A twin of `cfg.robot` with `cfg.sim.task` on its table, reset to the first layout."""
    robot = get_robot(cfg.robot)
    if robot.name not in _TWINS:
        raise UnknownName("robot with a twin", robot.name, _TWINS)
    twin = _TWINS[robot.name](cfg, robot, cfg.control_hz or robot.control_hz)
    twin.reset(cfg.sim.seed)
    return twin


def _arx_x5(cfg: Config, robot: RobotSpec, control_hz: float) -> SimulatedRobot:
    return Twin(robot, get_task(cfg.sim.task), control_hz)


def _tabletop(cfg: Config, robot: RobotSpec, control_hz: float) -> SimulatedRobot:
    return TabletopTwin(cfg.sim.task, control_hz, cfg.sim.slip)


_TWINS: dict[str, Callable[[Config, RobotSpec, float], SimulatedRobot]] = {"arx_x5": _arx_x5, "tabletop": _tabletop}
