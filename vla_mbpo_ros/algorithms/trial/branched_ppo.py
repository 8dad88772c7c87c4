"""PPO on short branches from kept moments: in the true simulator, or in a dream in its place.

    repeat `plays` times
      play         episodes of the policy as it is: moments to branch from
      value        learns how they went on, and what a learnt model's dreams of the very same chunks were worth
      repeat until chunks are `reach` away from the policy that played
        branch     `chunks` chunks with Flow-Noise from `branches` moments
        judge      V before and after, GAE; reward 1 where success is believed; where a branch is cut, V goes on for it
        update     passes of PPO, stopped by the KL

What the episodes cost is the whole bill: a branch in a dream costs nothing real. Beyond `reach` the value has not seen
what happens, and what is learnt there is its errors, in the simulator as in a dream.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from vla_mbpo_ros.algorithms.descent import Watch, descend
from vla_mbpo_ros.algorithms.descent.saved import module_tensors, read_training, restore_module, write_training
from vla_mbpo_ros.algorithms.trial.branch_starts import ValueFit, fit_value, starts_in
from vla_mbpo_ros.algorithms.trial.rounds import (
    Evaluate,
    Rounds,
    TrialConfig,
    evaluated,
    learner_facts,
    learner_tensors,
    restore_learner,
    without_pace,
)
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.protocol import NOISE
from vla_mbpo_ros.rl.branches import BranchGround, Starts
from vla_mbpo_ros.rl.rollout import Player
from vla_mbpo_ros.rl.samples import Samples, samples_of
from vla_mbpo_ros.rl.update import Learner, UpdateConfig
from vla_mbpo_ros.sim.tabletop import Journeys
from vla_mbpo_ros.world_model.protocol import WorldModel
from vla_mbpo_ros.world_model.rivals.oracle import OracleWorld

_PLAY, _SHUFFLE, _CHOOSE, _FIT = 1, 2, 3, 4  # streams of chance


@dataclass(frozen=True)
class DreamConfig:
    """How a learnt world model is asked here: chunks are compared, so chance in dreams only blurs who is better."""

    euler_steps: int = leaf(3, "Steps from noise to a view.", low=1)
    spread: float = leaf(0.0, "Deviation of the noise that a view begins with; 0: no chance.", low=0.0, high=1.0)
    details: float = leaf(
        0.0, "How far a dream keeps the details of the picture now; it has not helped.", low=0.0, high=1.0
    )


@dataclass(frozen=True)
class BranchedPpoConfig(TrialConfig):
    """Settings of branched PPO."""

    branches: int = leaf(4096, "Branches in a round: what a chunk gains is small beside how much it varies.", low=1)
    chunks: int = leaf(1, "Chunks of a branch at most.", low=1)
    sure: float = leaf(
        1.0,
        "Probability from which on a success is believed; 1: only the simulator's, and a dream is worth what the value "
        "says of it.",
        low=0.0,
        high=1.0,
    )
    dream: DreamConfig = field(default_factory=DreamConfig)
    plays: int = leaf(1, "Times that episodes are played; each begins where branches have come to.", low=1)
    update: UpdateConfig = field(default_factory=lambda: UpdateConfig(minibatch=4096))
    reach: float = leaf(
        0.1, "Branches end where chunks are this far (KL) from the policy that played; 0: never.", low=0.0
    )
    value_passes: int = leaf(
        30, "Most passes of the value over the real episodes, before the first round; the best is kept.", low=0
    )
    value_dreams: bool = leaf(True, "It learns from a learnt model's dreams of the played chunks as well.")
    value_learns: bool = leaf(
        False, "The value goes on learning from branches; False: it stays as real episodes have taught it."
    )


Play = Callable[[FlowPolicy, int], Journeys]  # the n-th time, of this policy; those that are kept already stay the same


def train_branched_ppo(
    policy: FlowPolicy,
    model: WorldModel,
    play: Play,
    cfg: BranchedPpoConfig,
    folder: Path | None = None,  # where the curve and the state go; what is there goes on
    watch: Watch | None = None,
    evaluate: Evaluate | None = None,  # true success of a policy
    until: int | None = None,  # stop after this many rounds, as an interruption would
) -> FlowPolicy:
    """Improve `policy` in place."""
    trainer = _Trainer(policy, model, play, cfg, evaluate)
    descend(trainer, Rounds.of(cfg), folder, watch, until, is_over=trainer.is_over, key="iteration")
    policy.freeze_trunk(False)
    return policy


class _Trainer:
    """One training, round by round."""

    def __init__(
        self,
        policy: FlowPolicy,
        model: WorldModel,
        play: Play,
        cfg: BranchedPpoConfig,
        evaluate: Evaluate | None = None,
    ) -> None:
        self.cfg, self.step, self._plays, self._dreamt, self._drift = cfg, 0, 0, 0, 0.0
        self._policy, self._model, self._play, self._evaluate = policy, model, play, evaluate
        self._learner = Learner(policy, cfg.ppo, cfg.update, cfg.value_learns)
        self._before = copy.deepcopy(policy).requires_grad_(False)  # the policy that played
        self._starts: Starts | None = None
        self._fit = ValueFit(math.nan, None, 0)

    def is_over(self) -> bool:
        return self._is_far() and self._plays >= self.cfg.plays

    def advance(self) -> dict[str, float]:
        cfg, chance = self.cfg, mix(self.cfg.seed, _PLAY, self.step)
        starts = self._play_again() if self._starts is None or self._is_far() else self._starts
        choice = np.random.default_rng(mix(cfg.seed, _CHOOSE, self.step))
        rows = choice.integers(0, len(starts), cfg.branches).tolist()
        ground = BranchGround(self._model, starts, cfg.chunks, cfg.sure, chance)
        played = Player(self._policy, ground, keep=True).play([starts.tasks[row] for row in rows], rows, chance, NOISE)
        samples = samples_of(played, cfg.discount, cfg.lam, timeout_ends=False)
        self._drift = self._drifted(samples)
        report = self._learner.update(samples, mix(cfg.seed, _SHUFFLE, self.step))
        self.step += 1
        self._dreamt += ground.dreamt
        told = {"branches": self.step * cfg.branches, "chunks": self._dreamt, "plays": self._plays}
        known = {"value_real": self._fit.real, "value_dreamt": self._fit.dreamt or math.nan}
        found = {"success": float(played.success.mean()), "drift": self._drift}
        return {"iteration": self.step, **told, **known, **found, **vars(report)}

    def look(self) -> dict[str, float]:
        return evaluated(self._policy, self.cfg, self.step, self._evaluate)

    def save(self, folder: Path) -> None:
        facts = {"config": self._config(), "iteration": self.step, "plays": self._plays, "fit": vars(self._fit)}
        facts |= {"dreamt": self._dreamt, "drift": self._drift, **learner_facts(self._learner)}
        tensors = {**learner_tensors(self._learner), **module_tensors(self._before, "before")}
        write_training(folder, tensors, facts)

    def restore(self, folder: Path) -> None:
        tensors, facts = read_training(folder, self._config())
        restore_learner(self._learner, tensors, facts)
        restore_module(self._before, "before", tensors)
        self.step, self._plays, self._dreamt = (int(facts[name]) for name in ("iteration", "plays", "dreamt"))
        self._drift, self._fit = float(facts["drift"]), ValueFit(**facts["fit"])
        if self._plays:
            self._starts = starts_in(self._play(self._policy, self._plays - 1), self._model)

    # ---- a play -----------------------------------------------------------------------------------------

    def _play_again(self) -> Starts:
        cfg, update = self.cfg, self.cfg.update
        journeys = self._play(self._policy, self._plays)
        shown = self._model if cfg.value_dreams and not isinstance(self._model, OracleWorld) else None
        size, chance = max(update.minibatch // 4, 1), mix(cfg.seed, _FIT, self._plays)
        self._fit = fit_value(
            self._policy, journeys, cfg.discount, cfg.value_passes, size, update.value_lr, chance, shown
        )
        self._before.load_state_dict(self._policy.state_dict())
        self._starts, self._plays, self._drift = starts_in(journeys, self._model), self._plays + 1, 0.0
        return self._starts

    def _is_far(self) -> bool:
        return bool(self.cfg.reach) and self._drift >= self.cfg.reach

    @torch.no_grad()
    def _drifted(self, samples: Samples) -> float:
        """KL of the chunks of a round, from the policy that played: E[r - 1 - log r], where no sample is below 0."""
        log_r = self._before.log_prob(samples.prefix, samples.chain, NOISE) - samples.log_prob
        return float((log_r.expm1() - log_r).mean())

    def _config(self) -> dict[str, object]:
        settings = {name: value for name, value in without_pace(self.cfg).items() if name != "plays"}
        return {**settings, "world_model": self._model.version}
