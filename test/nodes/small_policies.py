"""Small policies of random weights on disk, for any robot, and what can be wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy
from vla_mbpo_ros.policy.flow.config import REFUSE, FlowConfig, InputConfig
from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Columns, Normalisation
from vla_mbpo_ros.policy.tiny.config import TinyConfig
from vla_mbpo_ros.policy.tiny.factory import make_tiny
from vla_mbpo_ros.robots import RobotSpec

SWING = 0.02  # rad or m: how far a random chunk strays from home


def save_small(
    folder: Path,
    robot: RobotSpec,
    seed: int = 0,
    horizon: int = 16,
    cameras: tuple[str, ...] = ("head", "left_wrist"),
    missing: str = REFUSE,
    control_hz: float = 0.0,
    broken: bool = False,
) -> str:
    """Written to `folder`; its version."""
    home = tuple(float(value) for value in np.clip(robot.home, robot.low + SWING, robot.high - SWING))
    columns = Columns(robot.names, home, (SWING,) * robot.dof)
    tiny = TinyConfig(
        views=len(cameras), horizon=horizon, action_dim=robot.dof, state_dim=robot.dof, channels=8, width=64, blocks=1
    )
    inputs = InputConfig(cameras={name: name for name in cameras}, image_size=64, missing_camera=missing)
    policy = make_tiny(tiny, FlowConfig(value_hidden=(16,)), inputs, Normalisation(QUANTILE, columns, columns), seed)
    if broken:
        net: Any = policy.net
        net.head.out.bias.data.fill_(float("nan"))
    said = {"control_hz": control_hz} if control_hz else {}
    return save_policy(policy, folder, Lineage(config=said)).version
