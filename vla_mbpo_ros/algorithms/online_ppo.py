"""Online PPO in the true simulator (the paper's online-RL row), from an imitation policy.

    repeat `iterations` times
      play        `episodes` whole episodes of all tasks with Flow-Noise, one picture at each chunk's end
      judge       V before and after each chunk, GAE over chunks; reward 1 in the chunk that succeeds
      update      passes of PPO over the chunks, stopped by the KL; the first `value_only` ones leave the policy alone

The trunk is frozen, so an observation is encoded once, when it is met, and the prefix serves acting and all passes.

Deviations from the paper's PPO and from the public Flow-Noise code, and why:
- Chance acts in the two lowest cosines of the chunk for x, y and z (6 numbers a denoising step instead of 70): whole
  motions differ, and log-probabilities can be summed without ratios that explode.
- The standard deviation starts at 0.5 within [0.2, 1], of a coefficient: 0.16 of an action, not 0.08 to 0.16 each step.
- Chunks are judged by the success of their episode against others from the same start (`group`), not by a value: with
  few samples the value was the weaker judge. `group` 1 is GAE; the value head learns in both.
- Discount 0.97 a chunk, instead of 0.99 a step (0.904 a chunk): success counts more than haste.
- The time limit ends an episode with nothing: success within it is what is measured.
- Up to 4 passes with a KL stop instead of 20 passes; clip 0.2 instead of 0.1.
- The value head sees the keypoints, not a mean of tokens.
- Shared out evenly over the tasks; advantages are normalised over all of them together.

Every chance is keyed by (seed, iteration, episode, chunk): the same seed gives the same curve.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_mbpo_ros.algorithms.log import Log, Watch
from vla_mbpo_ros.algorithms.tabletop import TabletopGround
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.protocol import NOISE
from vla_mbpo_ros.rl.ppo import PpoConfig
from vla_mbpo_ros.rl.rollout import Episodes, Player
from vla_mbpo_ros.rl.samples import against_group, samples_of
from vla_mbpo_ros.rl.update import Learner, UpdateConfig
from vla_mbpo_ros.sim.tabletop import Pool

CURVE = "curve.csv"
_FIRST_SEED, _SEEDS = 100_000_000, 10_000_000  # of starts; far from those of demonstrations and evaluations
_PLAY, _SHUFFLE = 1, 2  # streams of chance

Evaluate = Callable[[FlowPolicy], float]


@dataclass(frozen=True)
class OnlinePpoConfig:
    """Settings of online PPO."""

    iterations: int = leaf(40, "Rounds of playing and learning.", low=1)
    episodes: int = leaf(256, "Episodes in a round, shared out over the tasks.", low=1)
    discount: float = leaf(0.97, "Discount of a whole chunk.", low=0.0, high=1.0)
    lam: float = leaf(0.95, "GAE's lambda, a chunk.", low=0.0, high=1.0)
    timeout_ends: bool = leaf(True, "The time limit ends an episode with nothing; otherwise it only cuts it off.")
    group: int = leaf(
        8, "Episodes from the same start; from 2 on, chunks are judged against them and not by the value.", low=1
    )
    value_only: int = leaf(0, "First rounds in which only the value head learns.", low=0)
    evaluate_every: int = leaf(0, "Rounds between evaluations on the curve; 0: none.", low=0)
    seed: int = leaf(0, "Seed of everything random.", low=0)
    ppo: PpoConfig = field(default_factory=lambda: PpoConfig(clip=0.2))
    update: UpdateConfig = field(default_factory=UpdateConfig)


def train_online_ppo(
    policy: FlowPolicy,
    pool: Pool,
    tasks: Sequence[str],
    cfg: OnlinePpoConfig,
    folder: Path | None = None,  # where the curve goes
    watch: Watch | None = None,
    evaluate: Evaluate | None = None,  # success of a policy, outside of the ledger
) -> FlowPolicy:
    """Improve `policy` in place. What it cost is in the curve: control steps and episodes of `pool`."""
    if cfg.episodes % cfg.group:
        raise ConfigError(f"{cfg.episodes} episodes in groups of {cfg.group}.", "Give a multiple.")
    reference = copy.deepcopy(policy).requires_grad_(False) if cfg.ppo.reference_weight else None
    learner = Learner(policy, cfg.ppo, cfg.update)
    player = Player(policy, TabletopGround(pool), keep=True)
    cost = _Cost()
    with Log(folder / CURVE if folder else None, "iteration", watch=watch) as log:
        for iteration in range(cfg.iterations):
            with cost.counting(pool):
                episodes = _play(player, tasks, cfg, iteration)
            samples = samples_of(episodes, cfg.discount, cfg.lam, cfg.timeout_ends)
            if cfg.group > 1:
                samples = against_group(samples, episodes)
            shuffle = mix(cfg.seed, _SHUFFLE, iteration)
            report = learner.update(samples, shuffle, reference, act=iteration >= cfg.value_only)
            row = {"iteration": iteration + 1, **cost.row(), **_shares(episodes), **vars(report)}
            log.write({**row, "evaluated": _evaluated(policy, cfg, iteration, evaluate)})
    policy.freeze_trunk(False)
    return policy


def _play(player: Player, tasks: Sequence[str], cfg: OnlinePpoConfig, iteration: int) -> Episodes:
    """Each start is used once. The first tasks get one more if it does not divide."""
    first = _FIRST_SEED + (cfg.seed * _SEEDS) + iteration * cfg.episodes
    starts = [index // cfg.group for index in range(cfg.episodes)]
    names = [tasks[start % len(tasks)] for start in starts]
    seeds = [first + start for start in starts]
    return player.play(names, seeds, mix(cfg.seed, _PLAY, iteration), NOISE)


def _shares(episodes: Episodes) -> dict[str, float]:
    """Success with noise, over all and by task."""
    found: dict[str, list[bool]] = {"success": list(map(bool, episodes.success))}
    for task, success in zip(episodes.tasks, episodes.success, strict=True):
        found.setdefault(f"success/{task}", []).append(bool(success))
    return {name: sum(each) / len(each) for name, each in found.items()}


def _evaluated(policy: FlowPolicy, cfg: OnlinePpoConfig, iteration: int, evaluate: Evaluate | None) -> float:
    if evaluate is None or not cfg.evaluate_every or (iteration + 1) % cfg.evaluate_every:
        return float("nan")
    return evaluate(policy)


class _Cost:
    """The ledger of real interactions: what was played to learn from, evaluations apart."""

    def __init__(self) -> None:
        self._steps = self._episodes = 0
        self._began = time.perf_counter()

    def counting(self, pool: Pool) -> _Cost:
        self._pool, self._before = pool, (pool.ledger.steps, pool.ledger.episodes)
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._steps += self._pool.ledger.steps - self._before[0]
        self._episodes += self._pool.ledger.episodes - self._before[1]

    def row(self) -> dict[str, float]:
        seconds = time.perf_counter() - self._began
        return {"control_steps": self._steps, "episodes": self._episodes, "seconds": seconds}


def lineage_config(cfg: OnlinePpoConfig, more: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint tells of its training."""
    return {"algorithm": "online_ppo", **nested(cfg), **more}
