"""What a small policy sees and reads, before it acts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from vla_mbpo_ros.algorithms.descent import CURVE, read_log
from vla_mbpo_ros.algorithms.grounds.tabletop import copy_trunk, make_policy_for
from vla_mbpo_ros.algorithms.imitation.trunk import SCALE_M, TrunkTraining, train_trunk, ways
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.sim.tabletop import Demonstrations, Pool, collect

FAST = TrunkTraining(steps=6, batch=8, warmup=2, held_out=0.2, log_every=2, save_every=3, seed=3)


@pytest.fixture(scope="module")
def scenes(pool: Pool) -> Demonstrations:
    """Pictures of disturbed episodes, without anybody's chunks."""
    return collect(("press_red", "lift_green"), range(50, 55), 0.8, pool=pool, horizon=0, stride=4)


def test_ways_lead_from_the_tool_to_what_is_touched_and_to_the_target(scenes: Demonstrations) -> None:
    told = ways(scenes)
    row = len(told) // 2
    there = scenes.state[row, :3] + SCALE_M * told[row, :3]
    np.testing.assert_allclose(there, scenes.places[row, 0, :3])
    np.testing.assert_allclose(np.hypot(told[:, 6], told[:, 7]), 1.0)


def test_a_cube_that_was_turned_by_a_quarter_is_the_same_cube(scenes: Demonstrations) -> None:
    places = scenes.places.copy()
    places[:, 0, 3] += np.pi / 2.0
    np.testing.assert_allclose(ways(dataclasses.replace(scenes, places=places)), ways(scenes), atol=1e-9)


def test_a_trunk_comes_nearer_to_held_out_places(fresh: Callable[..., Any], scenes: Demonstrations) -> None:
    rows: list[dict[str, float]] = []
    cfg = dataclasses.replace(FAST, steps=150, batch=32, lr=3e-3, warmup=10, ema=0.9, log_every=75)
    train_trunk(fresh(), scenes, cfg, watch=lambda row: rows.append(dict(row)))
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    blind = SCALE_M * 1e3 * float(np.median(np.linalg.norm(ways(scenes)[:, :3] - ways(scenes)[:, :3].mean(0), axis=1)))
    assert rows[-1]["touched_mm"] < 0.9 * blind


def test_an_interrupted_training_goes_on_bit_for_bit(
    fresh: Callable[..., Any], scenes: Demonstrations, tmp_path: Path
) -> None:
    whole, parts = fresh(), fresh()
    train_trunk(whole, scenes, FAST, tmp_path / "whole")
    train_trunk(parts, scenes, FAST, tmp_path / "parts", until=3)
    train_trunk(again := fresh(seed=9), scenes, FAST, tmp_path / "parts")
    for (name, one), other in zip(whole.net.named_parameters(), again.net.parameters(), strict=True):
        if name.split(".")[0] != "head":  # which does not learn here
            assert torch.equal(one, other), name
    curves = [read_log(tmp_path / name / CURVE) for name in ("whole", "parts")]
    assert [row["loss"] for row in curves[0]] == [row["loss"] for row in curves[1]]


def test_a_new_policy_sees_by_a_trunk_that_was_given(fresh: Callable[..., Any], scenes: Demonstrations) -> None:
    taught = make_policy_for(scenes, seed=1)
    made = make_policy_for(scenes, seed=2, trunk=taught)
    assert made.normalisation.state == taught.normalisation.state
    for given, taken in zip(taught.net.trunk(), made.net.trunk(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(given.parameters(), taken.parameters(), strict=True))
    assert not torch.equal(taught.net.head.enter.weight, made.net.head.enter.weight)
    with pytest.raises(ContractError, match="does not fit"):
        copy_trunk(taught, fresh())


def test_actions_span_the_robots_limits_where_nobody_showed_any(scenes: Demonstrations) -> None:
    from vla_mbpo_ros.robots.tabletop import TABLETOP

    action = make_policy_for(scenes).normalisation.action
    np.testing.assert_allclose(action.scale[:3], TABLETOP.max_velocity[:3])
