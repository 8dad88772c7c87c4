"""Where the joints are after a chunk that nobody has executed: as if its last command had been reached."""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.protocol import Scenes, StateSource


def state_after(
    robot: RobotSpec, scenes: Scenes, chunks: FloatArray, commands: bool = True
) -> tuple[FloatArray, StateSource]:
    """(B, N). Chunks that are no `commands` in the robot's units say no state: NaN."""
    if not commands:
        return np.full_like(scenes.state, np.nan), StateSource.NONE
    return commanded_state(robot, scenes.state, chunks), StateSource.COMMANDED


def commanded_state(robot: RobotSpec, state: FloatArray, chunks: FloatArray) -> FloatArray:
    """(B, N) after chunks (B, K, N), clipped to the limits; a velocity has moved its joint all along the chunk."""
    moved = state + chunks.sum(axis=1) / robot.control_hz
    return np.clip(np.where(robot.is_velocity, moved, chunks[:, -1]), robot.low, robot.high)
