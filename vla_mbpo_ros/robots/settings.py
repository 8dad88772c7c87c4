"""Settings made whole for one robot: its rate, and one section for each of its cameras."""

from __future__ import annotations

from dataclasses import replace

from vla_mbpo_ros.config import CameraConfig, Config
from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.robots.registry import get_robot


def resolve(cfg: Config) -> Config:
    """`cfg` with every default that depends on the robot filled in."""
    robot = get_robot(cfg.robot)
    for name in cfg.cameras:
        if name not in robot.camera_names:
            raise UnknownName(f"camera of {robot.name}", name, robot.camera_names)
    control_hz = cfg.control_hz or robot.control_hz
    given = {name: cfg.cameras.get(name, CameraConfig()) for name in robot.camera_names}
    cameras = {name: replace(camera, hz=camera.hz or control_hz) for name, camera in given.items()}
    return replace(cfg, cameras=cameras, control_hz=control_hz)
