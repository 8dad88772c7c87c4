"""Actions as integers 0..256 and back.

    level = round(256 (x − low) / (high − low))      |error| <= (high − low) / 512

The ranges are what the robot may do, not what the data has: exploration beyond the data stays visible. What lies
beyond a range is clamped and counted.

    joint                          x                                low, high
    velocity                       the command                      ± max_velocity
    position in metres (gripper)   the command                      its limits
    position in radians            command − state at the start     ± reach of the step

Step i of a chunk may be no farther from the start than reach = share · max_velocity · ((i + 1) dt + lead_s): faster
the gate does not let a joint go, and `lead_s` is how far a command runs before the measured joint. A joint that moves
steadily has about the same level at every step. Bins of the ARX X5 at 15 Hz grow from 0.2° at the first step to 0.9°
at the tenth; absolute joints would have 0.7° to 1.3° at each. A gripper that holds something is commanded to where it
cannot go, so its difference would have no such bound; its whole way is 82 mm, in bins of 0.3 mm.

Differences say nothing about where the arm is: the model is told the state too, by its limits (`encode_state`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.config import GateConfig
from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.schema import FloatArray, Mode
from vla_mbpo_ros.world_model.sequence import IntArray

TOP_LEVEL = 256
LEVELS = TOP_LEVEL + 1
SHARE = GateConfig().velocity_scale
LEAD_S = 0.1  # how far a command runs before the measured joint


@dataclass(frozen=True)
class Encoded:
    """Chunks as levels, and how many numbers of them lay beyond their range."""

    levels: IntArray  # (B, K, N) in 0..256
    clamped: int


@dataclass(frozen=True)
class ActionCodec:
    """Chunks of K steps of N numbers. `for_robot` and `for_unit_actions` make one."""

    low: FloatArray  # (K, N)
    high: FloatArray  # (K, N)
    relative: FloatArray  # (N,) 1 where a target is a difference from the state at the start, 0 elsewhere
    state_low: FloatArray  # (N,)
    state_high: FloatArray  # (N,)

    def __post_init__(self) -> None:
        if not (np.all(self.high > self.low) and np.all(self.state_high > self.state_low)):
            raise ContractError("A range of an action or a joint is empty.", "Give every joint low < high and a speed.")

    @property
    def horizon(self) -> int:
        return int(self.low.shape[0])

    @property
    def dof(self) -> int:
        return int(self.low.shape[1])

    @property
    def needs_state(self) -> bool:
        """Whether the levels of a chunk mean something only together with the state."""
        return bool(self.relative.any())

    def encode(self, chunks: FloatArray, state: FloatArray) -> Encoded:
        """Of chunks (B, K, N) and the state (B, N) when they begin."""
        self._check(chunks, (len(state), self.horizon, self.dof), "chunks")
        self._check(state, (len(state), self.dof), "state")
        bins = _bins(chunks - (state * self.relative)[:, None], self.low, self.high)
        levels = np.clip(bins, 0, TOP_LEVEL)
        return Encoded(levels, int(np.count_nonzero(levels != bins)))

    def decode(self, levels: IntArray, state: FloatArray) -> FloatArray:
        """(B, K, N) the middle of each bin."""
        self._check(levels, (len(state), self.horizon, self.dof), "levels")
        if levels.size and not 0 <= levels.min() <= levels.max() <= TOP_LEVEL:
            raise ContractError(f"Levels lie in {levels.min()}..{levels.max()}.", f"Give 0..{TOP_LEVEL}.")
        chunks: FloatArray = self.low + levels * ((self.high - self.low) / TOP_LEVEL)
        return chunks + (state * self.relative)[:, None]

    def encode_state(self, state: FloatArray) -> IntArray:
        """(B, N) levels of positions within their limits."""
        self._check(state, (len(state), self.dof), "state")
        return np.clip(_bins(state, self.state_low, self.state_high), 0, TOP_LEVEL)

    def _check(self, values: FloatArray | IntArray, shape: tuple[int, ...], name: str) -> None:
        if values.shape != shape:
            raise ContractError(f"The {name} have shape {values.shape}, not {shape}.", "Give (B, K, N) and (B, N).")
        if not np.isfinite(values).all():
            raise NotFinite(f"The {name} have a number that is not finite.", "Find where it comes from.")


def _bins(values: FloatArray, low: FloatArray, high: FloatArray) -> IntArray:
    """The nearest bin, also beyond the range; kept within what an integer holds."""
    wide = np.rint((values - low) * (TOP_LEVEL / (high - low)))
    return np.clip(wide, -1, TOP_LEVEL + 1).astype(np.int64)


def for_robot(robot: RobotSpec, horizon: int, share: float = SHARE, lead_s: float = LEAD_S) -> ActionCodec:
    """For chunks in the robot's units; `share` is that of the gate (`gate.velocity_scale`)."""
    moved = [joint.mode is Mode.POSITION and joint.unit == "rad" for joint in robot.joints]
    time_s = (np.arange(horizon)[:, None] + 1.0) / robot.control_hz + lead_s
    reach = np.minimum(share * robot.max_velocity * time_s, robot.high - robot.low)  # (K, N)
    top = np.where(robot.is_velocity, robot.max_velocity, robot.high)
    bottom = np.where(robot.is_velocity, -robot.max_velocity, robot.low)
    low, high = np.where(moved, -reach, bottom), np.where(moved, reach, top)
    return ActionCodec(low, high, np.array(moved, dtype=np.float64), robot.low, robot.high)


def for_unit_actions(robot: RobotSpec, horizon: int) -> ActionCodec:
    """For a learner's actions in [-1, 1], one a joint."""
    one = np.ones((horizon, robot.dof))
    return ActionCodec(-one, one, np.zeros(robot.dof), robot.low, robot.high)
