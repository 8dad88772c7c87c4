"""How smooth the commands are, measured on what was really commanded.

A seam lasts from the first tick of a new chunk until its fade is over. Position joints only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray

_NS = 1e9


@dataclass
class Seam:
    step: float = 0.0  # largest change between two ticks [rad or m]
    acceleration: float = 0.0  # largest second difference [rad/s^2 or m/s^2]
    joint: str = ""  # where the largest step was


class SeamMeter:
    def __init__(self, robot: RobotSpec, control_dt_ns: int) -> None:
        self._index = np.flatnonzero(~robot.is_velocity)
        self._names = [robot.names[index] for index in self._index]
        self._dt_ns = control_dt_ns
        self._ticks: list[tuple[int, FloatArray]] = []  # the last two (time, positions)
        self._in_seam = False
        self.largest_step = 0.0
        self.seam = Seam()

    def restart(self, rest: FloatArray, now_ns: int) -> None:
        """The arm was at rest at `rest` (N,) until the tick before `now_ns`."""
        position = rest[self._index]
        self._ticks = [(now_ns - 2 * self._dt_ns, position), (now_ns - self._dt_ns, position)]

    def begin(self) -> None:
        self.seam = Seam()
        self._in_seam = True

    def sample(self, now_ns: int, values: FloatArray, blending: bool) -> None:
        """One tick; `values` (N,) as commanded."""
        if not self._names:
            return
        position = values[self._index]
        with np.errstate(over="ignore", invalid="ignore"):  # absurd but finite: the gate will clip it
            self._measure(now_ns, position)
        self._ticks = [self._ticks[1], (now_ns, position)]
        self._in_seam = self._in_seam and blending

    def _measure(self, now_ns: int, position: FloatArray) -> None:
        (older_ns, older), (old_ns, old) = self._ticks
        change = np.abs(position - old)
        step = float(change.max())
        self.largest_step = max(self.largest_step, step)
        if not self._in_seam:
            return
        if step >= self.seam.step:
            self.seam.step, self.seam.joint = step, self._names[int(change.argmax())]
        late, early = (now_ns - old_ns) / _NS, (old_ns - older_ns) / _NS
        bend = 2.0 * ((position - old) / late - (old - older) / early) / (late + early)
        self.seam.acceleration = max(self.seam.acceleration, float(np.abs(bend).max()))
