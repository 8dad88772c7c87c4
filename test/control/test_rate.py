"""Periods and their jitter."""

from __future__ import annotations

import pytest

from vla_mbpo_ros.control import RateMeter
from vla_mbpo_ros.errors import ContractError


def test_jitter_is_the_distance_from_the_nominal_period() -> None:
    meter = RateMeter(0.010)
    for tick_ms in (0, 10, 21, 30, 40):
        meter.tick(tick_ms * 1_000_000)
    summary = meter.summary()
    assert summary.count == 4
    assert summary.period_ms == pytest.approx(10.0)
    assert summary.jitter_p50_ms == pytest.approx(0.5)
    assert summary.jitter_max_ms == pytest.approx(1.0)


def test_one_tick_is_no_rate() -> None:
    with pytest.raises(ContractError, match="two ticks"):
        RateMeter(0.010).summary()
