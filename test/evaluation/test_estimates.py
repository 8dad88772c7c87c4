from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.evaluation.estimates import correlation, estimate, mean


def test_the_interval_of_a_mean_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    found = mean(values, np.arange(400))
    error = values.std() / 20.0
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(1.96 * error, rel=0.15)
    assert found.value - found.low == pytest.approx(1.96 * error, rel=0.15)
    assert (found.n, found.groups) == (400, 400)


def test_rows_of_one_episode_say_no_more_than_one() -> None:
    values = np.random.default_rng(1).normal(size=50)
    alone = mean(values, np.arange(50))
    repeated = mean(np.repeat(values, 9), np.repeat(np.arange(50), 9))
    assert repeated.value == pytest.approx(alone.value)
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high))
    assert (repeated.n, repeated.groups) == (450, 50)


def test_what_is_not_a_number_does_not_count() -> None:
    found = mean(np.array([1.0, math.nan, 3.0]), np.array([0, 0, 1]))
    assert (found.value, found.n) == (2.0, 2)
    nothing = mean(np.array([math.nan]), np.array([0]))
    assert math.isnan(nothing.value)
    assert nothing.n == 0


@given(st.integers(0, 1000))
def test_a_correlation_is_the_known_one(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2, 30))
    found = correlation(x[0], x[0] + x[1], np.arange(30))
    assert found.value == pytest.approx(np.corrcoef(x[0], x[0] + x[1])[0, 1])
    assert -1.0 <= found.low <= found.value <= found.high <= 1.0


def test_rows_and_episodes_must_match() -> None:
    with pytest.raises(ContractError, match="Give a row"):
        estimate(np.ones((3, 2)), np.arange(2), lambda sums: sums[..., 0])
