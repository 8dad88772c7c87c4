"""Online PPO counts what it costs, can be repeated, and keeps its curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.algorithms.descent import read_log  # noqa: E402 (after the check)
from vla_mbpo_ros.algorithms.grounds.tabletop import TabletopGround, resolve_tasks  # noqa: E402
from vla_mbpo_ros.algorithms.trial.online_ppo import OnlinePpoConfig, _Trainer, train_online_ppo  # noqa: E402
from vla_mbpo_ros.errors import ConfigError, UnknownName  # noqa: E402
from vla_mbpo_ros.rl.rollout import Player  # noqa: E402
from vla_mbpo_ros.sim.tabletop import Pool, task_names  # noqa: E402

Make = Callable[..., Any]
TASKS = ("press_red", "lift_green")


def weights(policy: Any) -> list[Any]:
    return [parameter.detach().clone() for parameter in policy.parameters()]


def test_what_it_costs_is_what_was_played(fresh: Make, pool: Pool, tmp_path: Path) -> None:
    before = pool.ledger.steps, pool.ledger.episodes
    played_elsewhere: list[int] = []

    def evaluate(policy: Any) -> float:
        start = pool.ledger.steps
        share = Player(policy, TabletopGround(pool), keep=False).play(TASKS, [1, 2], 0).success.mean()
        played_elsewhere.append(pool.ledger.steps - start)
        return float(share)

    cfg = OnlinePpoConfig(iterations=2, episodes=6, group=1, evaluate_every=2, value_only=1)
    train_online_ppo(fresh(), pool, TASKS, cfg, tmp_path, evaluate=evaluate)
    rows = read_log(tmp_path / "curve.csv")
    assert [int(row["episodes"]) for row in rows] == [6, 12]
    assert len(played_elsewhere) == 1
    assert int(rows[-1]["control_steps"]) == pool.ledger.steps - before[0] - played_elsewhere[0]
    assert [row["evaluated"] == "nan" for row in rows] == [True, False]
    assert rows[0]["steps"] == "0"
    assert int(rows[1]["steps"]) > 0
    assert all(f"success/{task}" in rows[0] for task in TASKS)
    assert 0.0 < float(rows[0]["seconds"]) < float(rows[1]["seconds"])


def test_a_training_can_be_repeated_with_another_number_of_workers(fresh: Make, pool: Pool) -> None:
    cfg = OnlinePpoConfig(iterations=2, episodes=6, group=1)
    one, other = fresh(), fresh()
    for policy in (one, other):  # without a success there is nothing to learn but from what was expected
        torch.nn.init.constant_(policy.value_head.mlp.last.bias, 0.5)
    train_online_ppo(one, pool, TASKS, cfg)
    with Pool(workers=1, width=32, height=32) as alone:
        train_online_ppo(other, alone, TASKS, cfg)
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(one.net.head), weights(fresh().net.head), strict=True))


def test_an_interrupted_training_goes_on_bit_for_bit(fresh: Make, pool: Pool, tmp_path: Path) -> None:
    cfg = OnlinePpoConfig(iterations=4, episodes=6, group=1, value_only=0, save_every=3)
    made = [fresh(), fresh(), fresh()]
    for policy in made:
        torch.nn.init.constant_(policy.value_head.mlp.last.bias, 0.5)
    through, first, second = made
    train_online_ppo(through, pool, TASKS, cfg, tmp_path / "through")
    train_online_ppo(first, pool, TASKS, cfg, tmp_path / "halves", until=2)
    train_online_ppo(second, pool, TASKS, cfg, tmp_path / "halves")
    assert all(torch.equal(a, b) for a, b in zip(weights(through), weights(second), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(through), weights(first), strict=True))
    rows = [read_log(tmp_path / name / "curve.csv") for name in ("through", "halves")]
    assert [len(each) for each in rows] == [4, 4]
    for one, other in zip(*rows, strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}


def test_a_training_goes_on_only_as_it_began(fresh: Make, pool: Pool, tmp_path: Path) -> None:
    cfg = OnlinePpoConfig(iterations=2, episodes=4, group=1)
    train_online_ppo(fresh(), pool, TASKS, cfg, tmp_path, until=1)
    with pytest.raises(ConfigError, match="discount was"):
        train_online_ppo(fresh(), pool, TASKS, replace(cfg, discount=0.5), tmp_path)
    with pytest.raises(ConfigError, match="played press_red, lift_green"):
        train_online_ppo(fresh(), pool, TASKS[::-1], cfg, tmp_path)


def test_tasks_that_teach_more_get_more_episodes(fresh: Make, pool: Pool) -> None:
    trainer = _Trainer(fresh(), pool, TASKS, OnlinePpoConfig(episodes=12, group=1, need_rate=1.0))
    trainer._need.see({"press_red": 1.0, "lift_green": 0.5})
    assert trainer._play().tasks == ("press_red",) * 1 + ("lift_green",) * 11


def test_no_start_is_played_twice_or_shared_with_another_seed(
    fresh: Make, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    reset = Pool.reset

    def watched(self: Pool, task: Any, seeds: Any) -> Any:
        seen.extend(seeds)
        return reset(self, task, seeds)

    monkeypatch.setattr(Pool, "reset", watched)
    for seed in (0, 1):
        train_online_ppo(fresh(), pool, TASKS, OnlinePpoConfig(iterations=2, episodes=4, group=1, seed=seed))
    assert len(set(seen)) == len(seen) == 16


def test_the_ground_tells_time_limits_from_failures(pool: Pool) -> None:
    ground = TabletopGround(pool)
    ground.reset(["press_red", "press_blue"], [3, 3])
    still = np.zeros((2, 10, 7))
    outcomes = [ground.step(still, np.arange(2)) for _ in range(6)]
    assert not any(outcome.over.any() for outcome in outcomes[:-1])
    assert outcomes[-1].timeout.all()
    assert not outcomes[-1].success.any()
    assert sum(outcome.steps for outcome in outcomes).tolist() == [60, 60]


def test_all_is_every_task_and_a_wrong_name_is_refused() -> None:
    assert resolve_tasks(["all"]) == task_names()
    assert resolve_tasks(["lift_red"]) == ("lift_red",)
    with pytest.raises(UnknownName, match="Did you mean 'press_red'"):
        resolve_tasks(["pres_red"])


def test_groups_must_be_whole(fresh: Make, pool: Pool) -> None:
    with pytest.raises(ConfigError, match="6 episodes in groups of 4"):
        train_online_ppo(fresh(), pool, TASKS, OnlinePpoConfig(episodes=6, group=4))
