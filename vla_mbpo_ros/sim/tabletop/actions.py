"""Between a learner's actions in [-1, 1] and the robot's commands.

action   [dx dy dz drx dry drz gripper], gripper -1 open and +1 closed, as LIBERO has it
command  [m/s m/s m/s rad/s rad/s rad/s m], gripper 0 closed, as `robots/tabletop.py` has it
"""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray

ACTION_DIM = TABLETOP.dof
_GRIPPER = TABLETOP.dof - 1
_OPEN_M = float(TABLETOP.high[_GRIPPER])


def to_command(actions: FloatArray) -> FloatArray:
    """(..., 7) the commands of actions; what is beyond [-1, 1] is cut off."""
    inside = np.clip(np.asarray(actions, dtype=np.float64), -1.0, 1.0)
    commands = inside * TABLETOP.max_velocity
    commands[..., _GRIPPER] = (1.0 - inside[..., _GRIPPER]) * (_OPEN_M / 2.0)
    return commands


def to_action(commands: FloatArray) -> FloatArray:
    """(..., 7) the actions of commands: the inverse of `to_command` within the limits."""
    actions: FloatArray = np.asarray(commands, dtype=np.float64) / TABLETOP.max_velocity
    actions[..., _GRIPPER] = 1.0 - 2.0 * np.asarray(commands)[..., _GRIPPER] / _OPEN_M
    return np.clip(actions, -1.0, 1.0)
