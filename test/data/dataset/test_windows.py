"""Which windows are transitions: the laws of reward, done and truncated."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.data.dataset.windows import Windows, find_windows

DT = 100


def windows(steps: list[int], k: int, seen: list[bool] | None = None, success: int | None = None) -> Windows:
    """Rows `steps` after one another."""
    times = np.cumsum([0, *steps]).astype(np.int64)
    here = np.ones(len(times), dtype=bool) if seen is None else np.array(seen)
    return find_windows(times, DT, np.arange(len(times)), k, here, success)


EPISODES = st.tuples(
    st.lists(st.sampled_from([90, 100, 110, 250]), min_size=1, max_size=24),
    st.integers(1, 6),
    st.lists(st.booleans(), min_size=25, max_size=25),
    st.none() | st.integers(0, 2600),
)


@given(episode=EPISODES)
def test_every_window_keeps_the_rules_and_none_that_does_is_missing(
    episode: tuple[list[int], int, list[bool], int | None],
) -> None:
    steps, k, seen, success = episode
    times = np.cumsum([0, *steps])
    found = windows(steps, k, seen[: len(times)], success)

    def is_good(row: int) -> bool:
        return (
            row + k < len(times)
            and all(step <= 1.5 * DT for step in steps[row : row + k])
            and seen[row]
            and seen[row + k]
            and (success is None or times[row] < success)
        )

    assert found.rows.tolist() == [row for row in range(len(times)) if is_good(row)]
    assert len(found.rows) + found.skipped.total() == len(times)
    for row, done, truncated in zip(found.rows, found.done, found.truncated, strict=True):
        assert done == (success is not None and times[row] < success <= times[row + k])
        # What follows before the next gap, at the window's end or later.
        gap = next((index for index in range(row, len(steps)) if steps[index] > 1.5 * DT), len(steps))
        assert truncated == (not done and not any(is_good(later) for later in range(row + k, gap + 1)))


def test_a_time_out_is_truncated_and_never_done() -> None:
    found = windows([DT] * 8, k=3)
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert not found.done.any()
    assert found.truncated.tolist() == [False, False, False, True, True, True]


def test_only_windows_that_reach_the_success_are_done() -> None:
    found = windows([DT] * 8, k=3, success=450)
    assert found.rows.tolist() == [0, 1, 2, 3, 4]
    assert found.done.tolist() == [False, False, True, True, True]
    assert not found.truncated.any()
    assert found.skipped == {"they start after the success": 4}


def test_a_success_at_a_row_belongs_to_the_window_that_ends_there() -> None:
    found = windows([DT] * 6, k=2, success=400)
    assert dict(zip(found.rows.tolist(), found.done.tolist(), strict=True)) == {0: False, 1: False, 2: True, 3: True}


def test_an_episode_of_one_row_has_no_window() -> None:
    assert len(windows([], k=1).rows) == 0
