"""Online PPO in the true simulator (the paper's online-RL row), from an imitation policy.

    repeat `iterations` times
      share out   `episodes` over the tasks, most to those that succeed now and fail now
      play        whole episodes with Flow-Noise, one picture at each chunk's end
      judge       V before and after each chunk, GAE over chunks; reward 1 in the chunk that succeeds
      update      passes of PPO over the chunks, stopped by the KL; the first `value_only` ones leave the policy alone
      save        everything that the next round depends on: an interrupted training goes on bit for bit

The trunk is frozen, so an observation is encoded once, when it is met, and the prefix serves acting and all passes.

Deviations from the paper's PPO and from the public Flow-Noise code, and why:
- Chance acts in the two lowest cosines of the chunk for x, y and z, in the last denoising step (6 numbers instead of
  210): whole motions differ, and log-probabilities can be summed without ratios that explode.
- The standard deviation starts at 0.7 within [0.3, 1.4], of a coefficient: 0.22 of an action, not 0.08 to 0.16 a step.
- The first round is for the value alone. With a trunk that sees where things are the value explains half of the returns
  after six rounds, and GAE by it learns more than twice as fast as comparing episodes from the same start (`group`);
  with a trunk that has only seen few demonstrations neither the value nor GAE was of use.
- Discount 0.97 a chunk, instead of 0.99 a step (0.904 a chunk): success counts more than haste.
- The time limit ends an episode with nothing: success within it is what is measured.
- Up to 3 passes with a KL stop instead of 20 passes; clip 0.2 instead of 0.1.
- The value head sees the keypoints, not a mean of tokens, and the time that is left.
- Episodes go to tasks by p (1 - p) of their recent success p; advantages are normalised over all of them together.
- Small steps, a KL near 0.01 a round with a brake beyond twice that: at 0.02 what chance moves ate the gain, at 0.06
  success fell from 0.39 to 0.09 within 13 rounds.

Every chance is keyed by (seed, iteration, episode, chunk): the same seed gives the same curve.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_mbpo_ros.algorithms.descent import Watch, descend
from vla_mbpo_ros.algorithms.descent.saved import read_training, write_training
from vla_mbpo_ros.algorithms.grounds.tabletop import TabletopGround
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
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.protocol import NOISE
from vla_mbpo_ros.rl.rollout import Episodes, Player
from vla_mbpo_ros.rl.samples import against_group, samples_of
from vla_mbpo_ros.rl.shares import Need
from vla_mbpo_ros.rl.update import Learner
from vla_mbpo_ros.sim.tabletop import Pool

_FIRST_SEED, _SEEDS = 100_000_000, 10_000_000  # of starts; far from those of demonstrations and evaluations
_PLAY, _SHUFFLE = 1, 2  # streams of chance


@dataclass(frozen=True)
class OnlinePpoConfig(TrialConfig):
    """Settings of online PPO."""

    episodes: int = leaf(512, "Episodes in a round, shared out over the tasks.", low=1)
    timeout_ends: bool = leaf(True, "The time limit ends an episode with nothing; otherwise it only cuts it off.")
    group: int = leaf(
        1, "Episodes from the same start; from 2 on, chunks are judged against them and not by the value.", low=1
    )
    need_floor: float = leaf(
        0.03, "Episodes go to tasks by p (1 - p) of their success p, and this much more.", low=1e-6
    )
    need_rate: float = leaf(0.3, "How much of that success is the last round's.", low=0.0, high=1.0)
    value_only: int = leaf(1, "First rounds in which only the value head learns.", low=0)


def train_online_ppo(
    policy: FlowPolicy,
    pool: Pool,
    tasks: Sequence[str],
    cfg: OnlinePpoConfig,
    folder: Path | None = None,  # where the curve and the state go; what is there goes on
    watch: Watch | None = None,
    evaluate: Evaluate | None = None,  # success of a policy, outside of the ledger
    until: int | None = None,  # stop after this many rounds, as an interruption would
) -> FlowPolicy:
    """Improve `policy` in place. What it cost is in the curve: control steps and episodes of `pool`."""
    trainer = _Trainer(policy, pool, tasks, cfg, evaluate)
    descend(trainer, Rounds.of(cfg), folder, watch, until, key="iteration")
    policy.freeze_trunk(False)
    return policy


class _Trainer:
    """One training, round by round."""

    def __init__(
        self,
        policy: FlowPolicy,
        pool: Pool,
        tasks: Sequence[str],
        cfg: OnlinePpoConfig,
        evaluate: Evaluate | None = None,
    ) -> None:
        if cfg.episodes % cfg.group:
            raise ConfigError(f"{cfg.episodes} episodes in groups of {cfg.group}.", "Give a multiple.")
        self.policy, self.pool, self.cfg, self.step, self._evaluate = policy, pool, cfg, 0, evaluate
        self._reference = copy.deepcopy(policy).requires_grad_(False) if cfg.ppo.reference_weight else None
        self._learner = Learner(policy, cfg.ppo, cfg.update)
        self._player = Player(policy, TabletopGround(pool), keep=True)
        self._need = Need(tasks, cfg.need_floor, cfg.need_rate)
        self._cost = Cost()

    def advance(self) -> dict[str, float]:
        """One round; what came of it."""
        cfg = self.cfg
        with self._cost.counting(self.pool):
            episodes = self._play()
            samples = samples_of(episodes, cfg.discount, cfg.lam, cfg.timeout_ends)
            if cfg.group > 1:
                samples = against_group(samples, episodes)
            shuffle = mix(cfg.seed, _SHUFFLE, self.step)
            act = self.step >= cfg.value_only
            report = self._learner.update(samples, shuffle, self._reference, act)
        found = _shares(episodes)
        self._need.see(found)
        self.step += 1
        success = float(episodes.success.mean())
        by_task = {f"success/{task}": found.get(task, float("nan")) for task in self._need.success}
        return {"iteration": self.step, **vars(self._cost), "success": success, **by_task, **vars(report)}

    def _play(self) -> Episodes:
        """Each start is used once."""
        cfg = self.cfg
        first = _FIRST_SEED + cfg.seed * _SEEDS + self.step * cfg.episodes
        counts = self._need.share(cfg.episodes // cfg.group)
        starts = [task for task, count in counts.items() for _ in range(count)]
        names = [task for task in starts for _ in range(cfg.group)]
        seeds = [first + start for start in range(len(starts)) for _ in range(cfg.group)]
        return self._player.play(names, seeds, mix(cfg.seed, _PLAY, self.step), NOISE)

    def look(self) -> dict[str, float]:
        return evaluated(self.policy, self.cfg, self.step, self._evaluate)

    def save(self, folder: Path) -> None:
        state = {
            "config": without_pace(self.cfg),
            "tasks": list(self._need.success),
            "iteration": self.step,
            "need": self._need.success,
            "cost": vars(self._cost),
            **learner_facts(self._learner),
        }
        write_training(folder, learner_tensors(self._learner), state)

    def restore(self, folder: Path) -> None:
        tensors, state = read_training(folder, without_pace(self.cfg))
        if state["tasks"] != list(self._need.success):
            cause = f"The training in {folder} played {', '.join(state['tasks'])}."
            raise ConfigError(cause, "Give the same tasks again, in that order.")
        restore_learner(self._learner, tensors, state)
        self.step = int(state["iteration"])
        self._need.success = state["need"]
        self._cost = Cost(**state["cost"])


def _shares(episodes: Episodes) -> dict[str, float]:
    """Success with noise by task."""
    found: dict[str, list[bool]] = {}
    for task, success in zip(episodes.tasks, episodes.success, strict=True):
        found.setdefault(task, []).append(bool(success))
    return {task: sum(each) / len(each) for task, each in found.items()}


@dataclass
class Cost:
    """The ledger of real interactions: what was played to learn from, evaluations apart."""

    control_steps: int = 0
    episodes: int = 0
    seconds: float = 0.0

    @contextmanager
    def counting(self, pool: Pool) -> Iterator[None]:
        """What the pool plays meanwhile, and the time."""
        steps, episodes, began = pool.ledger.steps, pool.ledger.episodes, time.perf_counter()
        yield
        self.control_steps += pool.ledger.steps - steps
        self.episodes += pool.ledger.episodes - episodes
        self.seconds += time.perf_counter() - began


def lineage_config(cfg: OnlinePpoConfig, more: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint tells of its training."""
    return {"algorithm": "online_ppo", **nested(cfg), **more}
