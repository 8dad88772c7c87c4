"""Pinhole geometry: where a pixel looks and where a point is seen.

Camera axes are optical (ROS): x right, y down, z forward. Pixel (0, 0) is the centre of the upper left pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.schema import FloatArray, Intrinsics


@dataclass(frozen=True)
class Pose:
    """A frame seen from another: `parent = rotation @ child + position`."""

    position: FloatArray  # (3,) m
    rotation: FloatArray  # (3, 3)


def look_at(position: Sequence[float], target: Sequence[float]) -> Pose:
    """A camera at `position` that looks at `target` with its upper edge towards +z of the world."""
    forward = np.subtract(target, position).astype(np.float64)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    return Pose(np.array(position, dtype=np.float64), np.column_stack([right, down, forward]))


def project(point: FloatArray, camera: Intrinsics, pose: Pose) -> FloatArray:
    """(2,) pixel (column, row) at which a world point (3,) is seen."""
    x, y, z = pose.rotation.T @ (point - pose.position)
    return np.array([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy])


def on_plane(pixel: FloatArray, height_m: float, camera: Intrinsics, pose: Pose) -> FloatArray:
    """(3,) world point where the ray through `pixel` meets the plane z = `height_m`."""
    right, down = (pixel[0] - camera.cx) / camera.fx, (pixel[1] - camera.cy) / camera.fy
    ray = pose.rotation @ np.array([right, down, 1.0])
    meeting: FloatArray = pose.position + ray * (height_m - pose.position[2]) / ray[2]
    return meeting
