"""What people decide: e-stop, armed, deadman."""

from __future__ import annotations

from vla_mbpo_ros.control.safety import Refusal


class Interlock:
    """The e-stop latches and disarms.

    A pressed deadman must be said again at least every `deadman_ns`: a remote control whose battery is empty
    counts as released.
    """

    def __init__(self, armed: bool, require_deadman: bool, deadman_ns: int) -> None:
        self.armed = armed
        self.estop = False  # latched
        self.require_deadman = require_deadman
        self.deadman_ns = deadman_ns
        self._pressed = False  # the e-stop's button, now
        self._deadman_ns: int | None = None  # last time that it was said to be pressed

    def set_estop(self, pressed: bool) -> None:
        self._pressed = pressed
        if pressed:
            self.estop, self.armed = True, False

    def reset_estop(self) -> Refusal | None:
        if self._pressed:
            return Refusal("The e-stop is still pressed.", "Release it (publish false on estop), then reset.")
        self.estop = False
        return None

    def arm(self, on: bool) -> Refusal | None:
        if on and self.estop:
            return Refusal("The e-stop is latched.", "Release it and call robot/reset_estop, then arm.")
        self.armed = on
        return None

    def set_deadman(self, pressed: bool, now_ns: int) -> None:
        self._deadman_ns = now_ns if pressed else None

    def deadman_ok(self, now_ns: int) -> bool:
        if not self.require_deadman:
            return True
        return self._deadman_ns is not None and abs(now_ns - self._deadman_ns) <= self.deadman_ns

    def why_not(self, now_ns: int) -> Refusal | None:
        """Why nothing may pass."""
        if self.estop:
            return Refusal("The e-stop is latched.", "Release it, call robot/reset_estop, then robot/arm.")
        if not self.armed:
            return Refusal("The robot is not armed.", "Call the service robot/arm with data: true.")
        if not self.deadman_ok(now_ns):
            return Refusal("The deadman is not pressed.", "Press it and keep publishing true on deadman.")
        return None
