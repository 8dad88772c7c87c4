"""Short branches from moments of real episodes, and learning in them."""

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
from vla_mbpo_ros.algorithms.trial.branch_starts import fit_value, moments_of, returns_of, starts_of
from vla_mbpo_ros.algorithms.trial.branched_ppo import BranchedPpoConfig, train_branched_ppo
from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.rl.branches import BranchGround, Starts
from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Journeys, Pool, travel
from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast
from vla_mbpo_ros.world_model.rivals.oracle import OracleWorld

DISCOUNT = 0.9
FAST = BranchedPpoConfig(iterations=2, branches=6, value_passes=40, reach=0.0, save_every=1, seed=3)


@pytest.fixture(scope="module")
def journeys(pool: Pool) -> Journeys:
    """Experts that hardly err: most press their button."""
    tasks = ["press_red", "press_blue"] * 2
    return travel(pool, tasks, range(70, 74), ClumsyExperts(pool, noises=(0.2,), astray=0.0))


@pytest.fixture
def starts(journeys: Journeys) -> Starts:
    return starts_of(journeys)


def test_a_branch_in_the_simulator_is_what_was_played(journeys: Journeys) -> None:
    """The oracle, asked for the very chunks of the episode, comes to the same pictures and the same success."""
    with OracleWorld(10, workers=1, size=(32, 32)) as oracle:
        moments = moments_of(journeys)
        starts = starts_of(journeys, oracle.remember(journeys.snapshots(moments)))
        won = [row for row, moment in enumerate(moments) if journeys.success[moment + 1]]
        rows = [*won[:2], 0]
        ground = BranchGround(oracle, starts, chunks=2)
        seen = ground.reset([starts.tasks[row] for row in rows], rows)
        np.testing.assert_array_equal(seen.images, journeys.images[[moments[row] for row in rows]])
        played = np.flatnonzero(journeys.live)[rows]
        outcome = ground.step(journeys.chunks[played], np.arange(len(rows)))
        np.testing.assert_array_equal(outcome.seen.images, journeys.images[journeys.start[played] + 1])
        np.testing.assert_array_equal(outcome.success, journeys.success[journeys.start[played] + 1])
        assert outcome.success.sum() == len(rows) - 1
        assert outcome.over.tolist() == [True] * (len(rows) - 1) + [False]
        assert ground.dreamt == len(rows)


def test_a_branch_is_cut_after_its_chunks_and_ends_with_the_time(starts: Starts) -> None:
    """copy_last judges nothing, so no branch succeeds; of a cut one the value goes on, of a late one it does not."""
    model = CopyLast(("head", "wrist"), (32, 32), 10)
    last = [row for row in range(len(starts)) if starts.time_left[row] <= starts.chunk_share[row] + 1e-9]
    early = next(row for row in range(len(starts)) if starts.time_left[row] > 0.9)
    rows = [early, *last[:1]]
    ground = BranchGround(model, starts, chunks=2)
    ground.reset([starts.tasks[row] for row in rows], rows)
    still = np.zeros((len(rows), 10, 7))
    first = ground.step(still, np.arange(len(rows)))
    assert first.over.tolist() == [False, *[True] * len(last[:1])]
    assert not first.timeout.any()
    second = ground.step(still[:1], np.array([0]))
    assert second.over.tolist() == second.timeout.tolist() == [True]
    assert second.seen.time_left is not None
    np.testing.assert_allclose(second.seen.time_left, 1.0 - 2 * starts.chunk_share[early])


def test_a_start_is_asked_for_by_its_own_task(starts: Starts) -> None:
    ground = BranchGround(CopyLast(("head", "wrist"), (32, 32), 10), starts, chunks=1)
    with pytest.raises(ContractError, match="not one of its task"):
        ground.reset(["lift_red"], [0])


def test_the_return_of_a_start_is_the_discounted_success_that_followed(journeys: Journeys) -> None:
    found = returns_of(journeys, DISCOUNT)
    for row, moment in enumerate(moments_of(journeys)):
        own = np.flatnonzero(journeys.episode == journeys.episode[moment])
        later = [place for place in own if place > moment and journeys.success[place]]
        assert found[row] == pytest.approx(DISCOUNT ** (later[0] - moment - 1) if later else 0.0)
    assert 0.0 < found.mean() < 1.0


def test_a_value_learns_how_episodes_went_on(fresh: Callable[..., Any], journeys: Journeys) -> None:
    policy = fresh()
    before = [parameter.clone() for parameter in policy.net.parameters()]
    found = fit_value(policy, journeys, DISCOUNT, passes=40, minibatch=64, lr=1e-3)
    assert found.real > 0.3
    assert found.dreamt is None
    assert all(torch.equal(a, b) for a, b in zip(before, policy.net.parameters(), strict=True))


def test_a_value_learns_what_dreams_of_played_chunks_are_worth(fresh: Callable[..., Any], journeys: Journeys) -> None:
    """The simulator dreams what truly came: a value that has seen its dreams explains them as well as reality."""
    with OracleWorld(10, workers=1, size=(32, 32)) as oracle:
        grounded = _Grounded(oracle, journeys)
        found = fit_value(fresh(), journeys, DISCOUNT, passes=40, minibatch=64, lr=1e-3, dream=grounded)
    assert grounded.dreamt == len(moments_of(journeys))
    assert found.dreamt is not None
    assert found.dreamt > 0.3


class _Grounded:
    """The oracle for scenes that are pictures alone: it looks up which moment they are of."""

    def __init__(self, oracle: OracleWorld, journeys: Journeys) -> None:
        self._oracle, self._journeys, self.dreamt = oracle, journeys, 0
        self.views, self.size, self.horizon, self.version = oracle.views, oracle.size, oracle.horizon, oracle.version

    def imagine(self, scenes: Any, chunks: Any, seeds: Any, pause: Any = None) -> Any:
        moments = [int(np.flatnonzero((self._journeys.state == state).all(axis=1))[0]) for state in scenes.state]
        self.dreamt += len(moments)
        return self._oracle.imagine(self._oracle.remember(self._journeys.snapshots(moments)), chunks, seeds)

    def judge(self, scenes: Any) -> Any:
        return self._oracle.judge(scenes)


def test_an_interrupted_training_goes_on_bit_for_bit(
    fresh: Callable[..., Any], journeys: Journeys, tmp_path: Path
) -> None:
    turns: list[int] = []

    def play(policy: Any, turn: int) -> Journeys:
        turns.append(turn)
        return journeys

    cfg = dataclasses.replace(FAST, iterations=4, reach=1e-9, plays=2)  # so far it is after the second round
    with OracleWorld(10, workers=1, size=(32, 32)) as oracle:
        whole = train_branched_ppo(fresh(), oracle, play, cfg, tmp_path / "whole")
        assert turns == [0, 1]
        train_branched_ppo(fresh(), oracle, play, cfg, tmp_path / "parts", until=3)
        again = train_branched_ppo(fresh(seed=9), oracle, play, cfg, tmp_path / "parts")
    for (name, one), other in zip(whole.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other), name
    other = CopyLast(("head", "wrist"), (32, 32), 10)
    with pytest.raises(ConfigError, match="world_model was oracle_sim-1"):
        train_branched_ppo(fresh(), other, play, cfg, tmp_path / "parts")
    assert not torch.equal(next(fresh().net.head.parameters()), next(whole.net.head.parameters()))
    curves = [read_log(tmp_path / name / CURVE) for name in ("whole", "parts")]
    assert [row["kl"] for row in curves[0]] == [row["kl"] for row in curves[1]]
    assert [row["branches"] for row in curves[0]] == ["6", "12", "18", "24"]
    assert [row["plays"] for row in curves[1]] == ["1", "1", "2", "2"]
