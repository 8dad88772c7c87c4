"""Episodes go where there is something to learn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.rl.shares import Need

SHARES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=9)


@given(SHARES, st.integers(0, 1000))
def test_all_episodes_are_given_and_no_task_gets_more_than_one_in_need(found: list[float], episodes: int) -> None:
    need = Need([str(index) for index in range(len(found))], 0.05, 1.0)
    need.see({str(index): share for index, share in enumerate(found)})
    counts = need.share(episodes)
    assert sum(counts.values()) == episodes
    weights = [0.05 + share * (1.0 - share) for share in found]
    for count, weight in zip(counts.values(), weights, strict=True):
        assert abs(count - episodes * weight / sum(weights)) < 1.0


def test_what_always_or_never_succeeds_gets_the_floor() -> None:
    need = Need(["always", "half", "never"], 0.05, 1.0)
    need.see({"always": 1.0, "half": 0.5, "never": 0.0})
    assert need.share(80) == {"always": 10, "half": 60, "never": 10}


def test_success_is_followed_slowly_and_kept_where_nobody_looked() -> None:
    need = Need(["one", "other"], 0.05, 0.25)
    need.see({"one": 1.0})
    assert need.success == {"one": pytest.approx(0.625), "other": 0.5}
