"""A camera by the name of its driver."""

from __future__ import annotations

import time
from collections.abc import Callable

from vla_mbpo_ros.config import CameraConfig
from vla_mbpo_ros.devices.cameras.protocol import Camera
from vla_mbpo_ros.devices.cameras.synthetic import SyntheticCamera
from vla_mbpo_ros.errors import UnknownName

Maker = Callable[[str, CameraConfig, Callable[[], int]], Camera]


def _synthetic(name: str, cfg: CameraConfig, now_ns: Callable[[], int]) -> Camera:
    return SyntheticCamera(name, cfg.width, cfg.height, cfg.hz, now_ns)


DRIVERS: dict[str, Maker] = {"synthetic": _synthetic}


def make_camera(name: str, cfg: CameraConfig, now_ns: Callable[[], int] = time.time_ns) -> Camera:
    """`now_ns` stamps the frames of cameras that have no clock of their own."""
    if cfg.driver not in DRIVERS:
        raise UnknownName("camera driver", cfg.driver, DRIVERS, f"cameras.{name}.driver")
    return DRIVERS[cfg.driver](name, cfg, now_ns)
