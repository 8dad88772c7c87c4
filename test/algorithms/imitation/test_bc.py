"""Imitation learns, can be interrupted anywhere, and refuses what it cannot learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.algorithms.descent import learning_rate, read_log  # noqa: E402
from vla_mbpo_ros.algorithms.imitation.bc import train_bc  # noqa: E402 (after the checks)
from vla_mbpo_ros.algorithms.imitation.bc_config import BcConfig  # noqa: E402
from vla_mbpo_ros.algorithms.imitation.chunks import DemonstrationChunks, normalisation_of  # noqa: E402
from vla_mbpo_ros.errors import ConfigError, ContractError, NotFinite  # noqa: E402
from vla_mbpo_ros.robots.tabletop import TABLETOP  # noqa: E402
from vla_mbpo_ros.sim.tabletop import Demonstrations, to_action  # noqa: E402

Make = Callable[..., Any]
CFG = BcConfig(steps=12, batch=16, draws=2, warmup=3, log_every=2, save_every=4)


def weights(policy: Any) -> list[Any]:
    return [parameter.detach().clone() for parameter in policy.parameters()]


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("stopped", [1, 4, 7])
def test_an_interrupted_training_goes_on_bit_for_bit(
    fresh: Make, demos: Demonstrations, tmp_path: Path, stopped: int
) -> None:
    whole, first, second = fresh(), fresh(), fresh(seed=1)
    data = DemonstrationChunks(demos, whole, TABLETOP)
    train_bc(whole, data, CFG, tmp_path / "whole")
    train_bc(first, data, CFG, tmp_path / "parts", until=stopped)
    train_bc(second, data, CFG, tmp_path / "parts")
    assert same(whole, second)
    curves = [read_log(tmp_path / name / "curve.csv") for name in ("whole", "parts")]
    assert [row["loss"] for row in curves[0]] == [row["loss"] for row in curves[1]]
    assert [row["step"] for row in curves[1]] == ["2", "4", "6", "8", "10", "12"]


def test_the_seed_decides_everything(fresh: Make, demos: Demonstrations) -> None:
    made = [fresh(), fresh(), fresh()]
    for policy, seed in zip(made, (0, 0, 1), strict=True):
        train_bc(policy, DemonstrationChunks(demos, policy, TABLETOP), replace(CFG, seed=seed))
    assert same(made[0], made[1])
    assert not same(made[0], made[2])


def test_other_settings_or_other_data_do_not_go_on(fresh: Make, demos: Demonstrations, tmp_path: Path) -> None:
    policy = fresh()
    data = DemonstrationChunks(demos, policy, TABLETOP)
    train_bc(policy, data, CFG, tmp_path, until=4)
    with pytest.raises(ConfigError, match=r"lr was 0.001, now 0.002"):
        train_bc(fresh(), data, replace(CFG, lr=0.002), tmp_path)
    fewer = DemonstrationChunks(demos.take([0, 1]), policy, TABLETOP)
    with pytest.raises(ContractError, match=f"learnt from {len(data)} rows, now there are {len(fewer)}"):
        train_bc(fresh(), fewer, CFG, tmp_path)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_one_batch_is_learnt_by_heart(fresh: Make, demos: Demonstrations, precision: str) -> None:
    policy = fresh()
    few = demos.take([0])
    data = DemonstrationChunks(few, policy, TABLETOP)
    batch = data.batch(np.arange(len(data), dtype=np.int64))

    def error() -> float:
        made = policy.sample(policy.encode_inputs(batch.inputs, batch.states), 3).values
        return float(np.abs(to_action(made) - few.actions).mean())

    before = error()
    cfg = BcConfig(steps=250, batch=len(data), draws=8, lr=3e-3, warmup=10, ema=0.9, precision=precision)
    train_bc(policy, data, cfg)
    assert before > 0.5
    assert error() < 0.2


def test_a_frozen_trunk_stays_and_the_rest_learns(fresh: Make, demos: Demonstrations) -> None:
    policy = fresh()
    train_bc(policy, DemonstrationChunks(demos, policy, TABLETOP), replace(CFG, frozen_trunk=True))
    for ours, theirs in zip(policy.net.trunk(), fresh().net.trunk(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert not torch.equal(policy.net.head.out.weight, fresh().net.head.out.weight)
    assert all(parameter.requires_grad for parameter in policy.parameters())


def test_every_row_comes_once_before_any_comes_again(fresh: Make, demos: Demonstrations) -> None:
    seen: list[int] = []

    class Watched(DemonstrationChunks):
        def batch(self, rows: Any) -> Any:
            seen.extend(rows.tolist())
            return super().batch(rows)

    policy = fresh()
    data = Watched(demos, policy, TABLETOP)
    train_bc(policy, data, BcConfig(steps=-(-3 * len(data) // 7), batch=7, draws=1, warmup=0))
    for epoch in range(3):
        assert sorted(seen[epoch * len(data) : (epoch + 1) * len(data)]) == list(range(len(data)))
    assert seen[: len(data)] != seen[len(data) : 2 * len(data)]


def test_the_learning_rate_rises_then_falls() -> None:
    cfg = BcConfig(steps=100, warmup=10, lr=1.0, last_lr=0.1)
    rates = [learning_rate(step, cfg) for step in range(101)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_nothing_to_learn_from_is_refused(fresh: Make, demos: Demonstrations) -> None:
    policy = fresh()
    with pytest.raises(ContractError, match="no row to learn from"):
        train_bc(policy, DemonstrationChunks(demos.take([]), policy, TABLETOP), CFG)
    with pytest.raises(ContractError, match="no row to learn from"):
        normalisation_of(demos.take([]), TABLETOP)


def test_demonstrations_of_another_horizon_or_with_a_nan_are_refused(fresh: Make, demos: Demonstrations) -> None:
    with pytest.raises(ContractError, match="chunks of 4 steps, the policy 10"):
        DemonstrationChunks(replace(demos, actions=demos.actions[:, :4]), fresh(), TABLETOP)
    broken = demos.actions.copy()
    broken[1, 2, 3] = np.nan
    with pytest.raises(NotFinite, match="NaN"):
        DemonstrationChunks(replace(demos, actions=broken), fresh(), TABLETOP)


def test_actions_come_back_through_the_normalisation(fresh: Make, demos: Demonstrations) -> None:
    policy = fresh()
    batch = DemonstrationChunks(demos, policy, TABLETOP).batch(np.array([2, 0]))
    back = to_action(policy.to_robot(batch.actions, policy.encode_inputs(batch.inputs, batch.states)))
    np.testing.assert_allclose(back, demos.actions[[2, 0]], atol=1e-5)
