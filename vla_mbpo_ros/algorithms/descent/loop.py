"""From the first step of a training to its last: the curve, and the state that an interrupted one goes on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from vla_mbpo_ros.algorithms.descent.log import Log, Watch
from vla_mbpo_ros.algorithms.descent.saved import has_training

TRAINING, CURVE = "training", "curve.csv"


class Pace(Protocol):
    """How long a training goes on, and how often it says and saves something."""

    @property
    def steps(self) -> int: ...
    @property
    def log_every(self) -> int: ...
    @property
    def save_every(self) -> int: ...


class Trainer(Protocol):
    """One training, step by step."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    def advance(self) -> dict[str, float]:
        """One step; what it cost."""
        ...

    def look(self) -> dict[str, float]:
        """What is told beside it on the curve: held-out numbers."""
        ...

    def save(self, folder: Path) -> None: ...

    def restore(self, folder: Path) -> None: ...


def descend(
    trainer: Trainer,
    pace: Pace,
    folder: Path | None,  # where the curve and the state go; what is there goes on
    watch: Watch | None,
    until: int | None = None,  # stop after this many steps, as an interruption would
    leads: bool = True,  # of several processes one writes and speaks
    is_over: Callable[[], bool] = lambda: False,  # asked after each step: an end before the last one
    key: str = "step",  # the column of the curve that counts
) -> None:
    """To the last step."""
    if folder is not None and has_training(folder / TRAINING):
        trainer.restore(folder / TRAINING)
    curve = folder / CURVE if folder and leads else None
    with Log(curve, key, trainer.step, watch if leads else None) as log:
        last = min(pace.steps, until if until is not None else pace.steps)
        while trainer.step < last and not is_over():
            row = trainer.advance()
            if trainer.step % pace.log_every == 0 or trainer.step == pace.steps:
                log.write({**row, **trainer.look()})
            if folder is not None and (trainer.step % pace.save_every == 0 or trainer.step == last):
                trainer.save(folder / TRAINING)
