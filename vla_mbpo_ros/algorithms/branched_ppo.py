"""PPO on short branches from kept moments: in the true simulator, or in a dream in its place.

    played once    episodes of the policy as it is: moments to branch from, and what the value learns first
    repeat `iterations` times
      branch       `chunks` chunks with Flow-Noise from `branches` moments
      judge        V before and after, GAE; reward 1 where success is said; where a branch is cut, V goes on for it
      update       passes of PPO, stopped by the KL

Nothing is played in the real world after the first step: what these episodes cost is the whole bill.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from vla_mbpo_ros.algorithms.descent import descend
from vla_mbpo_ros.algorithms.log import Watch
from vla_mbpo_ros.algorithms.saved import read_training, write_training
from vla_mbpo_ros.algorithms.trial import (
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
from vla_mbpo_ros.rl.update import Learner
from vla_mbpo_ros.world_model.protocol import WorldModel

_PLAY, _SHUFFLE, _CHOOSE = 1, 2, 3  # streams of chance


@dataclass(frozen=True)
class DreamConfig:
    """How a learnt world model is asked here: chunks are compared, so chance in dreams only blurs who is better."""

    euler_steps: int = leaf(3, "Steps from noise to a view.", low=1)
    spread: float = leaf(0.0, "Deviation of the noise that a view begins with; 0: no chance.", low=0.0, high=1.0)


@dataclass(frozen=True)
class BranchedPpoConfig(TrialConfig):
    """Settings of branched PPO."""

    branches: int = leaf(512, "Branches in a round.", low=1)
    chunks: int = leaf(1, "Chunks of a branch at most.", low=1)
    sure: float = leaf(
        1.0,
        "Probability from which on a success is believed; 1: only the simulator's, and a dream is worth what the value "
        "says of it.",
        low=0.0,
        high=1.0,
    )
    dream: DreamConfig = field(default_factory=DreamConfig)
    reach: float = leaf(
        0.5,
        "End where chunks are this far (KL) from the policy that played: what comes then neither the value nor a dream "
        "knows; 0: never.",
        low=0.0,
    )
    value_passes: int = leaf(
        30, "Most passes of the value over the real episodes, before the first round; the best is kept.", low=0
    )
    value_dreams: bool = leaf(True, "It learns from a learnt model's dreams of the played chunks as well.")
    value_learns: bool = leaf(
        False, "The value goes on learning from branches; False: it stays as real episodes have taught it."
    )


def train_branched_ppo(
    policy: FlowPolicy,
    model: WorldModel,
    starts: Starts,
    cfg: BranchedPpoConfig,
    folder: Path | None = None,  # where the curve and the state go; what is there goes on
    watch: Watch | None = None,
    evaluate: Evaluate | None = None,  # true success of a policy
    until: int | None = None,  # stop after this many rounds, as an interruption would
) -> FlowPolicy:
    """Improve `policy` in place. Its value must know real episodes already (`branch_starts.fit_value`)."""
    trainer = _Trainer(policy, model, starts, cfg, evaluate)
    descend(trainer, Rounds.of(cfg), folder, watch, until, is_over=trainer.is_over, key="iteration")
    policy.freeze_trunk(False)
    return policy


class _Trainer:
    """One training, round by round."""

    def __init__(
        self,
        policy: FlowPolicy,
        model: WorldModel,
        starts: Starts,
        cfg: BranchedPpoConfig,
        evaluate: Evaluate | None = None,
    ) -> None:
        self.cfg, self.step, self._starts, self._dreamt = cfg, 0, starts, 0
        self._policy, self._model, self._evaluate = policy, model, evaluate
        self._learner = Learner(policy, cfg.ppo, cfg.update, cfg.value_learns)
        self._played, self._drift = copy.deepcopy(policy).requires_grad_(False), 0.0

    def is_over(self) -> bool:
        return bool(self.cfg.reach) and self._drift >= self.cfg.reach

    def advance(self) -> dict[str, float]:
        cfg = self.cfg
        choice = np.random.default_rng(mix(cfg.seed, _CHOOSE, self.step))
        rows = choice.integers(0, len(self._starts), cfg.branches).tolist()
        ground = BranchGround(self._model, self._starts, cfg.chunks, cfg.sure, mix(cfg.seed, _PLAY, self.step))
        tasks, chance = [self._starts.tasks[row] for row in rows], mix(cfg.seed, _PLAY, self.step)
        played = Player(self._policy, ground, keep=True).play(tasks, rows, chance, NOISE)
        samples = samples_of(played, cfg.discount, cfg.lam, timeout_ends=False)
        self._drift = self._drifted(samples)
        report = self._learner.update(samples, mix(cfg.seed, _SHUFFLE, self.step))
        self.step += 1
        self._dreamt += ground.dreamt
        told = {"branches": self.step * cfg.branches, "chunks": self._dreamt}
        found = {"success": float(played.success.mean()), "drift": self._drift}
        return {"iteration": self.step, **told, **found, **vars(report)}

    @torch.no_grad()
    def _drifted(self, samples: Samples) -> float:
        """KL of the chunks of a round, from the policy that played."""
        before = self._played.log_prob(samples.prefix, samples.chain, NOISE)
        return float((samples.log_prob - before).mean())

    def look(self) -> dict[str, float]:
        return evaluated(self._policy, self.cfg, self.step, self._evaluate)

    def save(self, folder: Path) -> None:
        facts = {"config": self._config(), "iteration": self.step, "dreamt": self._dreamt, "drift": self._drift}
        write_training(folder, learner_tensors(self._learner), {**facts, **learner_facts(self._learner)})

    def restore(self, folder: Path) -> None:
        tensors, facts = read_training(folder, self._config())
        restore_learner(self._learner, tensors, facts)
        self.step, self._dreamt, self._drift = int(facts["iteration"]), int(facts["dreamt"]), float(facts["drift"])

    def _config(self) -> dict[str, object]:
        return {**without_pace(self.cfg), "world_model": self._model.version, "starts": len(self._starts)}
