"""How the executor is doing. Fields, names and numbers are those of ExecutorStatus.msg."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class ExecutorState(IntEnum):
    IDLE = 0  # not enabled
    WAITING = 1  # enabled, no usable chunk: nothing is commanded, the arm holds
    RUNNING = 2  # commanding from a chunk
    BLENDING = 3  # commanding a crossfade into this chunk


@dataclass(frozen=True)
class ExecutorStatus:
    stamp_ns: int
    state: ExecutorState
    chunk_id: int  # 0 if none
    step: int  # -1 if none
    steps_left: int
    chunks_received: int
    chunks_refused: int
    reason: str  # empty if all is well
    latency_s: float  # 0 if no chunk is in use
    largest_step: float  # rad or m
    seam_step: float  # rad or m
    seam_acceleration: float  # rad/s^2 or m/s^2
    seam_joint: str
