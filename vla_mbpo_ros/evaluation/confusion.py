"""What a judge of success says against what was true.

                    true      false
    said success    hit       false alarm
    said failure    missed    correct "no"

Imagined and real success may agree on average because errors cancel: so every row is compared with its own truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.evaluation.intervals import Share

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Confusion:
    """Four counts, and shares of them with 95 % intervals."""

    hits: int
    false_alarms: int
    missed: int
    correct_no: int

    @classmethod
    def count(cls, said: BoolArray, true: BoolArray) -> Confusion:
        """(N,) each."""
        said, true = np.asarray(said, dtype=np.bool_), np.asarray(true, dtype=np.bool_)
        if said.shape != true.shape or said.ndim != 1:
            cause = f"{said.shape} judgements came for {true.shape} truths."
            raise ContractError(cause, "Give one for each.")
        pairs = ((said, true), (said, ~true), (~said, true), (~said, ~true))
        return cls(*(int((a & b).sum()) for a, b in pairs))

    @property
    def total(self) -> int:
        return self.hits + self.false_alarms + self.missed + self.correct_no

    @property
    def accuracy(self) -> Share:
        return Share(self.hits + self.correct_no, self.total)

    @property
    def precision(self) -> Share:
        """Of those said to succeed, how many did."""
        return Share(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> Share:
        """Of those that succeeded, how many were said to."""
        return Share(self.hits, self.hits + self.missed)

    @property
    def f1(self) -> float:
        """2 J / (1 + J), with J the share of hits among all rows in which either said or was success."""
        return _f1(self._overlap.share)

    @property
    def f1_interval(self) -> tuple[float, float]:
        """F1 is no share itself, but it grows with J, which is: its interval is carried over."""
        low, high = self._overlap.interval
        return _f1(low), _f1(high)

    @property
    def _overlap(self) -> Share:
        return Share(self.hits, self.hits + self.false_alarms + self.missed)

    def to_json(self) -> dict[str, Any]:
        """For a report."""
        shares = {"accuracy": self.accuracy, "precision": self.precision, "recall": self.recall}
        told: dict[str, Any] = {**vars(self), "f1": self.f1, "f1_interval": list(self.f1_interval)}
        for name, share in shares.items():
            told |= {name: share.share, f"{name}_interval": list(share.interval)}
        return told

    def __str__(self) -> str:
        low, high = self.f1_interval
        return (
            f"{self.hits} hits, {self.false_alarms} false alarms, {self.missed} missed, {self.correct_no} correct no; "
            f"accuracy {self.accuracy}, precision {self.precision}, recall {self.recall}, "
            f"F1 {self.f1:.3f} ({low:.3f} to {high:.3f})"
        )


def _f1(overlap: float) -> float:
    return 2.0 * overlap / (1.0 + overlap)
