"""How often did it succeed, and how sure is that? A rate of few episodes says little; its interval says how little."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_mbpo_ros.errors import ConfigError

Z95 = 1.959963984540054  # 95 % of a normal distribution lie within so many deviations


@dataclass(frozen=True)
class SuccessRate:
    """`success` of `total`, with the Wilson score interval of 95 %."""

    success: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.success <= self.total:
            raise ConfigError(f"{self.success} of {self.total} is no rate.", "Count successes among all episodes.")

    @property
    def rate(self) -> float:
        """NaN of no episode."""
        return self.success / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true rate lies. It is sound for few episodes too, and never leaves 0 to 1."""
        n, z2 = self.total, Z95 * Z95
        if not n:
            return 0.0, 1.0
        middle = (self.success + z2 / 2.0) / (n + z2)
        half = Z95 / (n + z2) * math.sqrt(self.success * (n - self.success) / n + z2 / 4.0)
        # exact at the ends, which rounding would miss by a hair
        return middle - half if self.success else 0.0, middle + half if self.success < n else 1.0

    def __str__(self) -> str:
        if not self.total:
            return "no episode is decided"
        low, high = self.interval
        return f"{self.success} of {self.total} succeeded: {self.rate:.0%} [{low:.0%}, {high:.0%}]"
