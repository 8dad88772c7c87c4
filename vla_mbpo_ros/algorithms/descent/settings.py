"""What settings of a training must have to be those of a descent; each training has its own defaults."""

from __future__ import annotations

from typing import Protocol

FLOAT32, BFLOAT16 = "float32", "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)


class Schedule(Protocol):
    """The settings that a learning rate follows."""

    @property
    def steps(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def last_lr(self) -> float: ...
    @property
    def warmup(self) -> int: ...


class Descending(Schedule, Protocol):
    """All settings of a descent."""

    @property
    def weight_decay(self) -> float: ...
    @property
    def clip(self) -> float: ...
    @property
    def ema(self) -> float: ...


class Pace(Protocol):
    """How long a training goes on, and how often it says and saves something."""

    @property
    def steps(self) -> int: ...
    @property
    def log_every(self) -> int: ...
    @property
    def save_every(self) -> int: ...
