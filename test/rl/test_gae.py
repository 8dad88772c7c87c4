"""Advantages against plain sums in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.rl.gae import chunk_rewards, gae

FLOATS = st.floats(-2.0, 2.0, width=32)


def brute(rewards, values, next_values, done, truncated, discount, lam):  # type: ignore[no-untyped-def]
    """Σ_m (Γλ)^m δ_{j+m}, stopped behind the first end."""
    length = len(rewards)
    out = np.zeros(length)
    for start in range(length):
        weight = 1.0
        for step in range(start, length):
            following = 0.0 if done[step] else next_values[step]
            out[start] += weight * (rewards[step] + discount * following - values[step])
            if done[step] or truncated[step]:
                break
            weight *= discount * lam
    return out


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_gae_is_the_plain_sum_cut_at_every_end(seed: int, length: int, discount: float, lam: float) -> None:
    random = np.random.default_rng(seed)
    rows = [random.normal(size=length) for _ in range(3)]
    ends = [random.random(length) < 0.2, random.random(length) < 0.2]
    columns = [torch.tensor(row)[:, None] for row in (*rows, *ends)]
    found = gae(*columns, discount=discount, lam=lam)
    expected = brute(*rows, *ends, discount, lam)
    np.testing.assert_allclose(found.advantage[:, 0].numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(found.target[:, 0].numpy(), expected + rows[1], atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(0.5, 1.0))
def test_lambda_one_gives_the_discounted_return(seed: int, length: int, discount: float) -> None:
    random = np.random.default_rng(seed)
    rewards, values = random.normal(size=length), random.normal(size=length + 1)
    no = torch.zeros(length, 1, dtype=torch.bool)
    column = [torch.tensor(row)[:, None] for row in (rewards, values[:-1], values[1:])]
    found = gae(*column, no, no, discount=discount, lam=1.0)
    whole = sum(discount**j * rewards[j] for j in range(length)) + discount**length * values[-1]
    assert float(found.target[0, 0]) == pytest.approx(whole, abs=1e-9)


def test_success_ends_a_column_and_a_time_out_does_not_take_the_future_away() -> None:
    one, yes, no = torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.bool)
    zero = torch.zeros(1, 1)
    assert float(gae(one, zero, 5 * one, yes, no, discount=0.9, lam=0.95).advantage) == 1.0
    assert float(gae(zero, zero, 5 * one, no, yes, discount=0.9, lam=0.95).advantage) == pytest.approx(4.5)


def test_rows_that_do_not_exist_say_nothing() -> None:
    valid = torch.tensor([[True], [False]])
    no = torch.zeros(2, 1, dtype=torch.bool)
    rewards = torch.tensor([[1.0], [99.0]])
    found = gae(rewards, rewards * 0, rewards * 0, no, no, discount=1.0, lam=1.0, valid=valid)
    assert found.advantage.tolist() == [[1.0], [0.0]]


@given(st.lists(FLOATS, min_size=1, max_size=12), st.floats(0.0, 1.0))
def test_a_chunks_reward_is_its_discounted_sum(rewards: list[float], gamma: float) -> None:
    found = chunk_rewards(torch.tensor(rewards, dtype=torch.float64), gamma)
    assert float(found) == pytest.approx(sum(gamma**step * reward for step, reward in enumerate(rewards)), abs=1e-9)


def test_shapes_that_do_not_agree_are_refused() -> None:
    good, bad = torch.zeros(3, 2), torch.zeros(2, 3)
    flags = torch.zeros(3, 2, dtype=torch.bool)
    with pytest.raises(ContractError, match="shapes"):
        gae(good, bad, good, flags, flags, discount=0.9, lam=0.9)
