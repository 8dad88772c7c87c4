"""How regular a loop is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_mbpo_ros.errors import ContractError


@dataclass(frozen=True)
class RateSummary:
    count: int  # periods measured
    period_ms: float  # mean
    jitter_p50_ms: float  # of |period - nominal|
    jitter_p99_ms: float
    jitter_max_ms: float


class RateMeter:
    def __init__(self, nominal_s: float) -> None:
        self._nominal_s = nominal_s
        self._ticks_ns: list[int] = []

    def tick(self, steady_ns: int) -> None:
        self._ticks_ns.append(steady_ns)

    def summary(self) -> RateSummary:
        if len(self._ticks_ns) < 2:
            raise ContractError("A rate needs two ticks at least.", "Measure for longer.")
        ticks_ms = (np.array(self._ticks_ns) - self._ticks_ns[0]).astype(np.float64) / 1e6
        periods_ms = ticks_ms[1:] - ticks_ms[:-1]
        jitter_ms = np.abs(periods_ms - self._nominal_s * 1e3)
        p50, p99 = (float(value) for value in np.percentile(jitter_ms, (50, 99)))
        return RateSummary(len(periods_ms), float(periods_ms.mean()), p50, p99, float(jitter_ms.max()))
