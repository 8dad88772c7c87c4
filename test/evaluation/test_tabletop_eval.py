"""An evaluation can be repeated to the last episode, alone or in company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.algorithms.grounds.tabletop import FLOW, make_policy_for  # noqa: E402 (after the check)
from vla_mbpo_ros.errors import ContractError  # noqa: E402
from vla_mbpo_ros.evaluation.intervals import Share  # noqa: E402
from vla_mbpo_ros.evaluation.tabletop_eval import Result, compare, evaluate  # noqa: E402
from vla_mbpo_ros.sim.tabletop import Pool, collect  # noqa: E402

TASKS = ("press_red", "press_blue", "lift_red")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(workers=2, width=32, height=32) as pool:
        yield pool


@pytest.fixture(scope="module")
def policy(pool: Pool) -> Any:
    return make_policy_for(collect(TASKS, range(2), 0.3, pool=pool), replace(FLOW, value_hidden=(8,)))


def test_it_depends_neither_on_workers_nor_on_company(pool: Pool, policy: Any) -> None:
    together = evaluate(policy, pool, TASKS, 12)
    with Pool(workers=1, width=32, height=32) as other:
        assert evaluate(policy, other, TASKS, 12) == together
    fewer = evaluate(policy, pool, TASKS, 3)
    assert fewer.steps == together.steps[:3]
    assert fewer.success == together.success[:3]


def test_starts_are_shared_out_and_paired(pool: Pool, policy: Any) -> None:
    found = evaluate(policy, pool, TASKS, 7)
    assert found.tasks == ("press_red", "press_blue", "lift_red") * 2 + ("press_red",)
    assert [seed - found.seeds[0] for seed in found.seeds] == [0, 0, 0, 1, 1, 1, 2]
    assert found.overall.n == sum(share.n for share in found.by_task().values()) == 7
    with pytest.raises(ContractError, match="2 episodes for 3 tasks"):
        evaluate(policy, pool, TASKS, 2)


def test_a_comparison_counts_start_by_start() -> None:
    def result(*success: bool) -> Result:
        return Result(("press_red",) * 4, (1, 2, 3, 4), success, (9, 9, 9, 9))

    gain = compare(result(True, False, False, False), result(False, True, True, False))
    assert (gain.won, gain.lost) == (2, 1)
    assert gain.mean == pytest.approx(0.25)
    assert gain.error == pytest.approx(0.4787, abs=1e-3)
    with pytest.raises(ContractError, match="different starts"):
        compare(result(True), replace(result(True), seeds=(2, 2, 3, 4)))


@given(st.integers(0, 400), st.integers(1, 400))
def test_the_interval_holds_the_share_and_lies_between_0_and_1(k: int, n: int) -> None:
    share = Share(min(k, n), n)
    low, high = share.interval
    assert 0.0 <= low <= share.share + 1e-12
    assert share.share - 1e-12 <= high <= 1.0


def test_wilsons_interval_is_the_known_one() -> None:
    low, high = Share(20, 40).interval  # known: 0.352 to 0.648
    assert (low, high) == pytest.approx((0.352, 0.648), abs=5e-4)
    assert Share(0, 10).interval == pytest.approx((0.0, 0.2775), abs=5e-4)
