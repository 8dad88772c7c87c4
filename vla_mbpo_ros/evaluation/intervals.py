"""How sure a share is."""

from __future__ import annotations

from dataclasses import dataclass

from vla_mbpo_ros.evaluation.success_rate import SuccessRate


@dataclass(frozen=True)
class Share:
    """k of n, with Wilson's 95 % interval."""

    k: int
    n: int

    @property
    def share(self) -> float:
        return self.k / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """(0, 1) when nothing was tried."""
        return SuccessRate(self.k, self.n).interval

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.share:.1%} ({low:.1%} to {high:.1%}, {self.k} of {self.n})"
