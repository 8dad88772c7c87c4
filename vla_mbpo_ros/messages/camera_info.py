"""Pinhole cameras: intrinsics, and the messages CameraInfo and FrameInfo."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.messages.stamps import fill_stamp
from vla_mbpo_ros.schema import Frame


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion; all in pixels, the middle of the first pixel is (0, 0)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @classmethod
    def from_fovy(cls, width: int, height: int, fovy_rad: float) -> Intrinsics:
        """Square pixels, the axis in the middle; `fovy_rad` is the whole vertical angle of view."""
        if not 0.0 < fovy_rad < math.pi:
            raise ContractError(f"An angle of view is {fovy_rad} rad.", "Give one between 0 and pi.")
        focal = height / 2.0 / math.tan(fovy_rad / 2.0)
        return cls(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0)


def encode_camera_info(camera: Any, stamp_ns: int, frame_id: str, camera_info_class: Any) -> Any:
    """`camera` is an `Intrinsics`, or has the same fields."""
    message = camera_info_class()
    fill_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    message.width, message.height = camera.width, camera.height
    message.distortion_model, message.d = "plumb_bob", [0.0] * 5
    message.k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def encode_frame_info(
    frame: Frame, frame_id: str, frame_info_class: Any, clock: int = 0, exposure_s: float = 0.0
) -> Any:
    """`clock` is FrameInfo.SYSTEM, DEVICE or SIMULATED."""
    message = frame_info_class()
    fill_stamp(message.header.stamp, frame.stamp_ns)
    message.header.frame_id = frame_id
    message.frame_number, message.clock, message.exposure_s = int(frame.number), clock, exposure_s
    return message
