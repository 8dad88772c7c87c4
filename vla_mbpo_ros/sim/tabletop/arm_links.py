"""The two links of the arm, seen only: upper arm and forearm between the shoulder and the wrist, elbow up.

shoulder ──upper_arm── elbow
                         └──forearm── wrist (above the tool)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vla_mbpo_ros.schema import FloatArray

SHOULDER_M = np.array([-0.42, 0.0, 0.30])
LINK_M = 0.36
WRIST_M = 0.145  # above the point between the fingertips, along the tool
_REACH_M = 1.998 * LINK_M


def pose_links(data: Any, tool: int) -> None:
    """Set the links' places for the place of the body `tool`, which must be up to date."""
    wrist = data.xpos[tool] + WRIST_M * data.xmat[tool].reshape(3, 3)[:, 2]
    elbow = _elbow(wrist)
    for index, (begin, end) in enumerate(((SHOULDER_M, elbow), (elbow, wrist))):
        data.mocap_pos[index] = begin
        data.mocap_quat[index] = _along((end - begin) / np.linalg.norm(end - begin))


def _elbow(wrist: FloatArray) -> FloatArray:
    """(3,) in the upright plane through shoulder and wrist."""
    way = wrist - SHOULDER_M
    distance = min(float(np.linalg.norm(way)), _REACH_M)
    forward = way / np.linalg.norm(way)
    up = np.array([0.0, 0.0, 1.0]) - forward[2] * forward
    height = math.sqrt(LINK_M**2 - (distance / 2.0) ** 2)
    elbow: FloatArray = SHOULDER_M + forward * (distance / 2.0) + up / np.linalg.norm(up) * height
    return elbow


def _along(direction: FloatArray) -> FloatArray:
    """(4,) the quaternion that turns z to `direction`."""
    x, y, z = (float(value) for value in direction)
    quaternion: FloatArray = np.array([1.0 + z, -y, x, 0.0])
    quaternion /= np.linalg.norm(quaternion)
    return quaternion
