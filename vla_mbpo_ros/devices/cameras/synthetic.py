"""A camera without hardware: a moving test pattern at its rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from vla_mbpo_ros.devices.cameras.pattern import Pattern
from vla_mbpo_ros.errors import DeviceError
from vla_mbpo_ros.schema import Frame, Intrinsics

_FOVY_RAD = math.radians(45.0)
_NS = 1e9


class SyntheticCamera:
    """Frames are due on steady time and stamped by `now_ns`, the graph's clock.

    Who reads too slowly gets the newest frame, and the numbers show how many were missed.
    """

    def __init__(
        self,
        name: str,
        width: int,
        height: int,
        hz: float,
        now_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._intrinsics = Intrinsics.from_fovy(width, height, _FOVY_RAD)
        self._pattern = Pattern(width, height)
        self._period_ns = round(_NS / hz)
        self._now_ns, self._steady_ns, self._sleep = now_ns, steady_ns, sleep
        self._opened_ns: int | None = None  # steady
        self._number = -1
        self._shown: int | None = None  # number that is painted on every frame while frozen

    @property
    def name(self) -> str:
        return self._name

    @property
    def intrinsics(self) -> Intrinsics:
        return self._intrinsics

    def open(self) -> None:
        if self._opened_ns is None:
            self._opened_ns, self._number = self._steady_ns(), -1

    def close(self) -> None:
        self._opened_ns = None

    def freeze(self, on: bool = True) -> None:
        """Go on delivering, numbered and stamped, but always the same pixels: how many cameras fail."""
        self._shown = max(self._number, 0) if on else None

    def read(self, timeout_s: float) -> Frame:
        if self._opened_ns is None:
            raise DeviceError(f"Camera '{self._name}' is not open.", "Call open() first.")
        due_ns = self._opened_ns + (self._number + 1) * self._period_ns
        wait_s = (due_ns - self._steady_ns()) / _NS
        if wait_s > timeout_s:
            self._sleep(timeout_s)
            raise DeviceError(
                f"Camera '{self._name}' gave no frame within {timeout_s:g} s.",
                "Wait longer than one period, or raise its rate.",
            )
        if wait_s > 0:
            self._sleep(wait_s)
        newest = (self._steady_ns() - self._opened_ns) // self._period_ns
        self._number = max(self._number + 1, newest)
        shown = self._number if self._shown is None else self._shown
        return Frame(self._now_ns(), self._pattern.frame(shown), self._number)
