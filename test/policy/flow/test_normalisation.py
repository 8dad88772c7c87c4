from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vla_mbpo_ros.errors import ContractError, NotFinite, UnknownName
from vla_mbpo_ros.policy.flow.normalisation import (
    Columns,
    Normalisation,
    from_json,
    from_statistics,
    quantile,
    z_score,
)

NAMES = ("a", "b")
VALUES = arrays(np.float64, (4, 2), elements=st.floats(-100.0, 100.0))


@given(VALUES)
def test_what_is_normalised_comes_back(values: np.ndarray) -> None:
    for columns in (
        quantile(NAMES, np.array([-1.0, 0.0]), np.array([1.0, 5.0]), 1e-6),
        z_score(NAMES, np.array([-1.0, 0.0]), np.array([1.0, 5.0]), 1e-6),
    ):
        np.testing.assert_allclose(columns.restore(columns.normalise(values)), values, atol=1e-9)


def test_quantiles_are_the_ends_of_the_range() -> None:
    low, high = np.array([-3.0, 0.0]), np.array([1.0, 5.0])
    columns = quantile(NAMES, low, high, 1e-6)
    for values in (low, high, np.array([0.3, 0.3])):
        wanted = 2.0 * (values - low) / (high - low + 1e-6) - 1.0
        np.testing.assert_allclose(columns.normalise(values), wanted, atol=1e-12)


def test_a_z_score_counts_deviations() -> None:
    columns = z_score(NAMES, np.array([1.0, 2.0]), np.array([0.5, 0.0]), 1e-6)
    np.testing.assert_allclose(columns.normalise(np.array([2.0, 2.0])), [1.0 / (0.5 + 1e-6), 0.0])


def test_it_is_the_same_after_a_file() -> None:
    columns = quantile(NAMES, np.array([-0.1, 1 / 3]), np.array([0.7, 2 / 3]), 1e-6)
    made = Normalisation("quantile", columns, columns)
    assert from_json(made.to_json(), "here") == made


def test_statistics_of_a_dataset_become_either_kind() -> None:
    columns = SimpleNamespace(names=NAMES, mean=(1.0, 2.0), std=(0.5, 0.0), q01=(0.0, 2.0), q99=(4.0, 2.0))
    statistics = SimpleNamespace(state=columns, action=columns)
    scores = from_statistics(statistics, "z-score").action
    assert scores.normalise(np.array([2.0, 2.0])).tolist() == [2.0, 0.0]
    ranges = from_statistics(statistics, "quantile").state
    assert ranges.normalise(np.array([4.0, 2.0])).tolist() == [1.0, 0.0]  # a column that never changes is not scaled
    with pytest.raises(UnknownName, match="quantile"):
        from_statistics(statistics, "quantiles")


def test_statistics_of_the_wrong_kind_are_refused_with_the_reason() -> None:
    columns = Columns(NAMES, (0.0, 0.0), (1.0, 1.0))
    with pytest.raises(ContractError, match=r"works with quantile statistics, these are z-score .* scaled wrongly"):
        Normalisation("z-score", columns, columns).check_kind("quantile", "pi05")


@pytest.mark.parametrize(
    ("zero", "scale", "error"),
    [
        ((0.0,), (1.0, 1.0), ContractError),
        ((0.0, float("nan")), (1.0, 1.0), NotFinite),
        ((0.0, 0.0), (1.0, 0.0), ContractError),
        ((0.0, 0.0), (1.0, -1.0), ContractError),
    ],
)
def test_broken_statistics_are_refused(zero: tuple[float, ...], scale: tuple[float, ...], error: type) -> None:
    with pytest.raises(error):
        Columns(NAMES, zero, scale)


def test_a_file_without_what_is_needed_is_refused() -> None:
    with pytest.raises(ContractError, match="no statistics that can be read"):
        from_json({"format": 1, "kind": "quantile"}, "stats.json")
    with pytest.raises(ContractError, match="format 7"):
        from_json({"format": 7}, "stats.json")
