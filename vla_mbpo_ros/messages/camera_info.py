"""Pinhole cameras -> the messages CameraInfo and FrameInfo."""

from __future__ import annotations

from typing import Any

from vla_mbpo_ros.messages.stamps import fill_stamp
from vla_mbpo_ros.schema import Frame, Intrinsics


def encode_camera_info(camera: Intrinsics, stamp_ns: int, frame_id: str, camera_info_class: Any) -> Any:
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
