"""Whether a policy listens is seen by telling it the wrong sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.algorithms.grounds.tabletop import FLOW, make_policy_for  # noqa: E402
from vla_mbpo_ros.algorithms.imitation.bc import train_bc  # noqa: E402 (after the check)
from vla_mbpo_ros.algorithms.imitation.bc_config import BcConfig  # noqa: E402
from vla_mbpo_ros.algorithms.imitation.chunks import DemonstrationChunks  # noqa: E402
from vla_mbpo_ros.evaluation.instruction_check import Heed, check_instructions, to_json  # noqa: E402
from vla_mbpo_ros.evaluation.intervals import Share  # noqa: E402
from vla_mbpo_ros.evaluation.tabletop_eval import evaluate  # noqa: E402
from vla_mbpo_ros.robots.tabletop import TABLETOP  # noqa: E402
from vla_mbpo_ros.sim.tabletop import Demonstrations, Pool, collect  # noqa: E402

TASKS = ("press_red", "press_blue")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(workers=2, width=32, height=32) as pool:
        yield pool


def trained(demos: Demonstrations, steps: int) -> Any:
    policy = make_policy_for(demos, replace(FLOW, value_hidden=(8,)))
    cfg = BcConfig(steps=steps, batch=64, draws=2, warmup=20, ema=0.98)
    return train_bc(policy, DemonstrationChunks(demos, policy, TABLETOP), cfg)


@pytest.mark.slow
def test_a_policy_that_listens_loses_its_success_and_does_what_it_is_told(pool: Pool) -> None:
    policy = trained(collect(TASKS, range(40), 0.3, pool=pool, stride=5).successful(), 350)
    right = evaluate(policy, pool, TASKS, 40)
    (row,) = check_instructions(policy, pool, right)
    assert row.right == right.overall
    assert row.right.share > 0.6
    assert row.followed.share > 0.6
    assert row.listens
    assert check_instructions(policy, pool, right) == (row,)  # chance is seeded


def test_a_policy_that_is_deaf_does_the_same_whatever_it_is_told(pool: Pool) -> None:
    policy = trained(collect("press_red", [0], pool=pool), 2)
    with torch.no_grad():
        for parameter in policy.net.read.parameters():  # whatever is said becomes the same
            parameter.zero_()
    right = evaluate(policy, pool, (*TASKS, "lift_red"), 6)
    rows = check_instructions(policy, pool, right)
    assert [row.scene for row in rows] == ["buttons", "cubes"]
    assert [row.right.n for row in rows] == [4, 2]
    assert all(row.wrong == row.right and not row.listens for row in rows)


def test_a_drop_of_forty_points_is_what_listens() -> None:
    row = Heed("buttons", Share(19, 20), Share(10, 20), Share(2, 20))
    assert row.drop == pytest.approx(0.45)
    assert row.listens
    assert not replace(row, wrong=Share(12, 20)).listens
    assert to_json([row])["buttons"]["drop"] == row.drop
