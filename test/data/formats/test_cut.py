"""Which rows make a sequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_episodes import HZ, START_NS, make_episode

from vla_mbpo_ros.data.episodes.episode import NO_FRAME, Episode
from vla_mbpo_ros.data.formats.cut import BEFORE, Piece, cut, left_out, rate_of
from vla_mbpo_ros.data.formats.facts import facts_of
from vla_mbpo_ros.errors import ConfigError, ContractError, NotFinite

PERIOD_NS = round(1e9 / HZ)


def with_ticks(ticks: list[int], jitter_ns: int = 0) -> Episode:
    """An episode that has only these ticks of the control grid."""
    noise = np.random.default_rng(1).integers(-jitter_ns, jitter_ns + 1, len(ticks))
    times_ns = START_NS + np.array(ticks) * PERIOD_NS + noise
    return make_episode(rows=len(ticks), times_ns=times_ns)


def rows_of(pieces: list[Piece]) -> list[list[int]]:
    return [piece.rows.tolist() for piece in pieces]


def test_an_episode_without_gaps_is_one_piece_in_spite_of_jitter() -> None:
    assert rows_of(cut(with_ticks(list(range(10)), jitter_ns=15_000_000))) == [list(range(10))]


def test_a_gap_divides_and_a_lonely_row_is_left_out() -> None:
    episode = with_ticks([0, 1, 2, 5, 8, 9])
    pieces = cut(episode)
    assert rows_of(pieces) == [[0, 1, 2], [4, 5]]
    assert left_out(episode, pieces).startswith("1 rows")


def test_with_skip_an_episode_with_a_gap_is_refused() -> None:
    with pytest.raises(ContractError, match="has 1 gaps"):
        cut(with_ticks([0, 1, 2, 5, 6]), gaps="skip")


def test_rows_that_miss_an_image_of_one_camera_are_in_no_piece() -> None:
    episode = make_episode(rows=8)
    blind = np.array([NO_FRAME, 1, 2, 3, NO_FRAME, 5, 6, 7])
    assert rows_of(cut(replace(episode, image_row={**episode.image_row, "head": blind}))) == [[1, 2, 3], [5, 6, 7]]


def test_a_camera_without_any_image_is_named() -> None:
    episode = make_episode(rows=8)
    blind = np.full(8, NO_FRAME)
    with pytest.raises(ContractError, match="Of head there is no image"):
        cut(replace(episode, image_row={**episode.image_row, "head": blind}))


def test_a_lower_rate_takes_every_third_row_in_spite_of_jitter() -> None:
    (piece,) = cut(with_ticks(list(range(10)), jitter_ns=15_000_000), fps=5)
    assert piece.rows.tolist() == [0, 3, 6, 9]


def test_a_higher_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match="would invent some"):
        cut(make_episode(), fps=30)


def test_a_rate_that_is_no_whole_number_must_be_chosen() -> None:
    with pytest.raises(ConfigError, match=r"Give --fps 12\."):
        rate_of(make_episode(dt_ns=80_000_000))


def test_numbers_that_are_not_finite_are_named() -> None:
    episode = make_episode()
    episode.action[3, 2] = np.inf
    with pytest.raises(NotFinite, match="inf for left_joint3 at row 3"):
        cut(episode)


def test_success_belongs_to_the_row_whose_action_brought_it() -> None:
    episode = make_episode(rows=6)
    (piece,) = cut(replace(episode, success_ns=int(episode.times_ns[3])))
    assert piece.success_row == 2  # the picture of row 3 shows it
    assert piece.success.tolist() == [False, False, True, True, True, True]
    assert piece.reward.tolist() == [0, 0, 1, 0, 0, 0]


def test_an_outcome_stays_with_the_piece_in_which_it_came() -> None:
    episode = replace(with_ticks([0, 1, 2, 6, 7, 8]), success_ns=START_NS + 2 * PERIOD_NS)
    first, second = cut(episode)
    assert (first.success_row, second.success_row) == (1, BEFORE)
    assert (facts_of(first).outcome, facts_of(second).outcome) == ("success", "unknown")
    assert facts_of(first).success_time_s == pytest.approx(2 / HZ, abs=1e-6)
    assert second.reward.tolist() == [0, 0, 0]
    assert second.success.all()
    assert facts_of(second).note.endswith("Piece 2 of 2, rows 3 to 5.")


def test_a_failure_is_that_of_the_last_piece() -> None:
    episode = with_ticks([0, 1, 2, 6, 7, 8])
    episode = replace(episode, success_ns=None, facts=replace(episode.facts, outcome="failure"))
    assert [facts_of(piece).outcome for piece in cut(episode)] == ["unknown", "failure"]


@given(st.sets(st.integers(0, 40), min_size=2), st.sampled_from([3, 5, 15]))
def test_pieces_keep_the_order_and_never_reach_over_a_gap(ticks: set[int], fps: int) -> None:
    episode = with_ticks(sorted(ticks))
    try:
        pieces = cut(episode, fps)
    except ContractError:
        assert all(b - a > 1 for a, b in zip(sorted(ticks), sorted(ticks)[1:], strict=False)) or fps < HZ
        return
    seen: list[int] = []
    for piece in pieces:
        assert piece.length >= 2
        steps = np.diff(piece.times_ns)
        np.testing.assert_allclose(steps, 1e9 / fps, atol=PERIOD_NS // 2 + 2)
        seen += piece.rows.tolist()
    assert seen == sorted(set(seen))
    if fps == HZ:
        neighbours = {tick for tick in ticks if tick - 1 in ticks or tick + 1 in ticks}
        assert len(seen) == len(neighbours)
