"""What the gate says about itself. The fields of `SafetyState` are those of SafetyState.msg."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class GateState(Enum):
    """See the table in `gate`."""

    ESTOPPED = "estopped"
    DISARMED = "disarmed"
    BLOCKED = "blocked"
    FREE = "free"
    OBEYING = "obeying"


@dataclass(frozen=True)
class Refusal:
    """Why something was not done, and what to do about it."""

    cause: str
    cure: str
    hold: bool = True  # whether the arm is to be held now; False: the holder of the lease goes on
    expected: bool = False  # nothing is wrong: somebody else is in control, or the lease was just taken

    def __str__(self) -> str:
        return f"{self.cause} {self.cure}".strip()


@dataclass(frozen=True)
class SafetyState:
    stamp_ns: int
    robot_id: str
    armed: bool
    estop: bool
    deadman_ok: bool
    holding: bool
    control_source: str  # "" for nobody
    reason: str  # empty if all is well
    commands_passed: int
    commands_limited: int
    commands_refused: int
    state_age_s: float  # NaN before the first joint state
