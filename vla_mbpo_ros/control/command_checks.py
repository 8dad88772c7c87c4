"""What a command must be before the gate looks at its values. The first reason found is given."""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.control.safety import Refusal
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import Command

_NS = 1e9


def check_address(command: Command, robot_id: str, own_id: str, sources: tuple[str, ...]) -> Refusal | None:
    if robot_id != own_id:
        return Refusal(
            f"A command is for the robot '{robot_id}', this is '{own_id}'.",
            "Start its sender with the right `robot_id`, or give each robot its own ROS_DOMAIN_ID.",
        )
    if command.source not in sources:
        return Refusal(
            f"The source '{command.source}' is not known; known: {', '.join(sources)}.",
            "Set the command's source to one of them, or add it to gate.sources.",
        )
    return None


def check_values(command: Command, robot: RobotSpec) -> Refusal | None:
    try:
        values = np.asarray(command.values, dtype=np.float64)
    except (TypeError, ValueError):
        return Refusal(f"A command of '{command.source}' holds no numbers.", "Send one float for each joint.")
    if values.shape != (robot.dof,):
        return Refusal(
            f"A command of '{command.source}' has the shape {values.shape}, {robot.name} has {robot.dof} joints.",
            "Send one value for each joint.",
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        return Refusal(
            f"A command of '{command.source}' is {values[bad[0]]} for {robot.names[bad[0]]}.",
            "Send finite numbers; look for a division by zero or a NaN in its sender.",
        )
    return None


def check_age(command: Command, now_ns: int, max_age_s: float) -> Refusal | None:
    age_s = (now_ns - command.stamp_ns) / _NS
    if age_s > max_age_s:
        return Refusal(
            f"A command of '{command.source}' is {age_s:.3f} s old; at most {max_age_s:g} s is allowed.",
            "Find what delays it (load, network), or raise gate.max_command_age_s.",
        )
    if age_s < -max_age_s:
        return Refusal(
            f"A command of '{command.source}' is stamped {-age_s:.3f} s in the future.",
            "Let both nodes use the same clock (use_sim_time on both or on neither).",
        )
    return None
