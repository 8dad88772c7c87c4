from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.policy.scripted.path import Path, minimum_jerk, move

LIMIT = np.array([1.0, 2.0, 0.3])
postures = st.lists(st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(np.array), min_size=2, max_size=6)


@given(points=postures, least_s=st.floats(0.05, 2.0))
def test_no_joint_is_faster_than_its_limit(points: list[np.ndarray], least_s: float) -> None:
    made = move(points, LIMIT, least_s)
    times = np.linspace(0, made.duration_s, 400)
    along = np.stack([made.at(time_s) for time_s in times])
    speed = np.abs(np.diff(along, axis=0)) / (times[1] - times[0])
    assert np.all(speed <= LIMIT * (1 + 1e-6))


@given(points=postures)
def test_a_move_passes_through_its_ends_and_lasts_long_enough(points: list[np.ndarray]) -> None:
    made = move(points, LIMIT, least_s=0.5)
    np.testing.assert_allclose(made.at(0.0), points[0], atol=1e-12)
    np.testing.assert_allclose(made.at(made.duration_s), points[-1], atol=1e-12)
    assert made.duration_s >= 0.5


def test_a_path_joins_its_moves_and_stays_at_its_ends() -> None:
    corners = [np.zeros(3), np.ones(3), np.array([1.0, 0.0, 2.0])]
    moves = (move(corners[:2], LIMIT, 0.5), move(corners[1:], LIMIT, 0.5))
    path = Path(moves, start_ns=1_000)
    seam_ns = 1_000 + round(moves[0].duration_s * 1e9)
    np.testing.assert_array_equal(path.at(0), corners[0])
    np.testing.assert_allclose(path.at(seam_ns), corners[1], atol=1e-6)
    np.testing.assert_array_equal(path.at(10**12), corners[2])
    assert not path.is_over(seam_ns)
    assert path.is_over(1_001 + round(path.duration_s * 1e9))


@given(st.floats(0, 1), st.floats(0, 1))
def test_minimum_jerk_only_goes_forward(first: float, second: float) -> None:
    early, late = sorted((first, second))
    assert 0.0 <= minimum_jerk(early) <= minimum_jerk(late) <= 1.0
    assert (minimum_jerk(0.0), minimum_jerk(1.0)) == (0.0, 1.0)
