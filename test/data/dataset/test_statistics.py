"""Normalisation: there and back, merged from parts, and refused where it does not belong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vla_mbpo_ros.data.dataset import DatasetSettings, load_statistics, open_episodes
from vla_mbpo_ros.data.dataset.statistics import column_statistics
from vla_mbpo_ros.errors import BagError, ContractError

NAMES = ("a", "b", "c")
Rows = np.ndarray[Any, np.dtype[np.float64]]
ROWS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 40), st.just(len(NAMES))), elements=st.floats(-1e4, 1e4, width=32)
)


@given(rows=ROWS, more=ROWS)
def test_denormalised_is_what_it_was(rows: Rows, more: Rows) -> None:
    found = column_statistics(NAMES, [rows])
    for there, back in ((found.z_score, found.from_z_score), (found.quantile, found.from_quantile)):
        for values in (rows, more, more.reshape(1, -1, len(NAMES))):
            assert np.isfinite(there(values)).all()
            assert np.allclose(back(there(values)), values, rtol=1e-9, atol=1e-6)


@given(parts=st.lists(ROWS, min_size=1, max_size=5))
def test_parts_give_what_the_whole_gives(parts: list[Rows]) -> None:
    assert column_statistics(NAMES, parts) == column_statistics(NAMES, [np.concatenate(parts)])


def test_z_scores_have_mean_zero_and_spread_one_and_quantiles_span_minus_one_to_one() -> None:
    rows = np.random.default_rng(0).normal([1.0, -5.0, 0.0], [2.0, 0.1, 30.0], (4000, 3))
    found = column_statistics(NAMES, [rows])
    scores = found.z_score(rows)
    assert np.allclose(scores.mean(axis=0), 0.0)
    assert np.allclose(scores.std(axis=0), 1.0)
    spread = found.quantile(rows)
    assert np.allclose(np.quantile(spread, [0.01, 0.99], axis=0), [[-1.0] * 3, [1.0] * 3])
    assert np.abs(spread).max() > 1.0, "not clipped"
    assert np.abs(found.quantile(rows, clip=True)).max() == 1.0


def test_a_column_that_never_changes_is_moved_to_zero_and_not_blown_up() -> None:
    rows = np.tile([0.1, 7.0, 0.0], (30, 1))
    found = column_statistics(NAMES, [rows])
    assert found.std == (0.0, 0.0, 0.0)
    for normalise in (found.z_score, found.quantile):
        assert np.allclose(normalise(rows), 0.0)
        assert np.allclose(normalise(rows + 1.0), 1.0)


def test_numbers_that_are_not_finite_and_no_numbers_are_refused() -> None:
    for rows, word in ((np.zeros((0, 3)), "no row"), (np.full((2, 3), np.nan), "not finite")):
        with pytest.raises(ContractError, match=word):
            column_statistics(NAMES, [rows])
    with pytest.raises(ContractError, match="do not fit statistics of 3 columns"):
        column_statistics(NAMES, [np.zeros((2, 3))]).z_score(np.zeros((2, 4)))


@pytest.fixture
def saved(folder: Path, make_bag: Callable[..., Path], tmp_path: Path) -> tuple[Path, Any]:
    for index in range(3):
        make_bag(f"bag{index}", seed=index)
    episodes = open_episodes(folder, DatasetSettings(splits={"train": 1.0}))
    found = episodes.statistics()
    found.save(tmp_path / "model" / "statistics.json")
    return tmp_path / "model" / "statistics.json", found


def test_saved_statistics_come_back_the_same(saved: tuple[Path, Any]) -> None:
    path, found = saved
    assert load_statistics(path, found.state.names, found.action.names) == found
    assert (found.robot, found.episodes, found.state.count) == ("arx_x5", 3, 72)


def test_statistics_of_other_columns_are_refused_with_a_cure(saved: tuple[Path, Any]) -> None:
    path, found = saved
    names = list(found.state.names)
    for wrong in (names[:-1], [*names[1:], names[0]]):
        with pytest.raises(ContractError, match="columns of state") as caught:
            load_statistics(path, wrong, found.action.names)
        assert "vla-mbpo dataset stats" in caught.value.cure
    with pytest.raises(ContractError, match="columns of action"):
        load_statistics(path, names, ["x"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("state"),
        lambda data: data.update(format=99),
        lambda data: data["state"].update(mean=[1.0]),
        lambda data: data["action"].update(std=[None] * 14),
        lambda data: data.update(surprise=1),
        lambda data: data.update(action=[]),
    ],
)
def test_a_spoilt_file_is_refused(saved: tuple[Path, Any], spoil: Callable[[dict[str, Any]], object]) -> None:
    path, found = saved
    data = json.loads(path.read_text())
    spoil(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ContractError, match="no statistics that can be read"):
        load_statistics(path, found.state.names, found.action.names)


def test_only_the_rows_of_the_split_count(folder: Path, make_bag: Callable[..., Path]) -> None:
    for index in range(6):
        make_bag(f"episode_{index:03d}", seed=index)
    episodes = open_episodes(folder, DatasetSettings(splits={"train": 0.8, "val": 0.1, "test": 0.1}))
    train = [episode for episode in episodes.episodes if episodes.report.used[episode.id] == "train"]
    rows = np.concatenate([episode.state for episode in train])
    assert 0 < len(train) < 6
    assert episodes.statistics("train").state == column_statistics(train[0].about["state_names"], [rows])
    with pytest.raises(BagError, match="split 'test' has no episode"):
        episodes.statistics("test")
