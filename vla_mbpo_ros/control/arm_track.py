"""What the gate knows of the arm: where it is, and what it was told last."""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.control.limits import limit
from vla_mbpo_ros.control.safety import Refusal
from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import FloatArray, JointState

_NS = 1e9


class ArmTrack:
    def __init__(self, robot: RobotSpec, control_dt_ns: int) -> None:
        self._robot, self._dt_ns = robot, control_dt_ns
        self._state: JointState | None = None
        self._target: FloatArray | None = None  # (N,) last executed; None: start from the measured position
        self._moved_ns: int | None = None  # stamp of the last executed command, not counting holds

    def observe(self, state: JointState) -> None:
        for part in (state.position, state.velocity):
            if np.shape(part) != (self._robot.dof,):
                raise ContractError(
                    f"A joint state has the shape {np.shape(part)}, {self._robot.name} has {self._robot.dof} joints.",
                    "Check the driver's joint names.",
                )
        bad = np.flatnonzero(~np.isfinite(state.position))
        if len(bad):
            raise NotFinite(
                f"The measured position of {self._robot.names[bad[0]]} is {state.position[bad[0]]}.",
                "Check the driver and its encoder.",
            )
        self._state = state

    def rebase(self) -> None:
        """Forget what was told."""
        self._target = self._moved_ns = None

    def age_s(self, now_ns: int) -> float:
        """Of the joint state; NaN before the first."""
        return float("nan") if self._state is None else (now_ns - self._state.stamp_ns) / _NS

    def stale(self, now_ns: int, max_age_s: float) -> Refusal | None:
        if self._state is None:
            cure = "Start the driver or the simulator, and check its joint names."
            return Refusal("No joint state has arrived yet.", cure)
        age_s = self.age_s(now_ns)
        if abs(age_s) <= max_age_s:
            return None
        return Refusal(
            f"The joint states are {abs(age_s):.1f} s {'old' if age_s > 0 else 'in the future'};"
            f" at most {max_age_s:g} s is allowed.",
            "Check the driver and its clock.",
        )

    def hold(self) -> FloatArray | None:
        """(N,) what keeps the arm where it is; None before the first joint state.

        The measured position is latched at the first hold: asked anew each time, a sagging arm would creep.
        """
        start = self._start()
        if start is None:
            return None
        self._target = np.where(self._robot.is_velocity, 0.0, start)
        return np.array(self._target, dtype=np.float64)

    def move(self, values: FloatArray, stamp_ns: int, scale: float) -> tuple[FloatArray, bool]:
        """(N,) the new target: the admissible values nearest to `values`; and whether they differ."""
        start = self._start()
        if start is None:
            raise ContractError("Nothing is known of the arm.", "Check `stale` first.")
        allowed, clipped = limit(self._robot, values, start, self._elapsed_s(stamp_ns), scale)
        self._target, self._moved_ns = allowed, stamp_ns
        return allowed.copy(), clipped

    def _start(self) -> FloatArray | None:
        if self._target is not None or self._state is None:
            return self._target
        return np.asarray(self._state.position, dtype=np.float64)

    def _elapsed_s(self, stamp_ns: int) -> float:
        """Time that a step may use: since the last executed command, one control period at most."""
        if self._moved_ns is None:
            return self._dt_ns / _NS
        return min(max(stamp_ns - self._moved_ns, 0), self._dt_ns) / _NS
