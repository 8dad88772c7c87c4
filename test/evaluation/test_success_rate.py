from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.evaluation.success_rate import SuccessRate


@pytest.mark.parametrize(
    ("success", "total", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (45, 50, 0.7864, 0.9565)],
)
def test_the_interval_is_wilsons(success: int, total: int, low: float, high: float) -> None:
    """Against published tables of the score interval at 95 %."""
    assert SuccessRate(success, total).interval == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_rate_lies_in_its_interval_and_more_episodes_make_it_narrower(counts: tuple[int, int]) -> None:
    rate = SuccessRate(*counts)
    low, high = rate.interval
    assert 0.0 <= low <= rate.rate <= high <= 1.0
    more_low, more_high = SuccessRate(10 * counts[0], 10 * counts[1]).interval
    assert more_high - more_low < high - low


def test_no_episode_says_nothing() -> None:
    none = SuccessRate(0, 0)
    assert math.isnan(none.rate)
    assert none.interval == (0.0, 1.0)
    assert str(none) == "no episode is decided"
    assert str(SuccessRate(8, 10)) == "8 of 10 succeeded: 80% [49%, 94%]"


@pytest.mark.parametrize("counts", [(2, 1), (-1, 3)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="is no rate"):
        SuccessRate(*counts)
