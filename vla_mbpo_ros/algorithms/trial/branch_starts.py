"""What branches begin with: moments of real episodes, and a value that knows how those went on.

journeys ──> moments at which a chunk was due ──> Starts
         ──> success that followed, discounted ──> what the value of each moment should be

dreams of the chunks that were truly played have known outcomes too: of them the value learns what dreams look like
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.protocol import Prefix
from vla_mbpo_ros.rl.branches import Starts
from vla_mbpo_ros.rl.ppo import explained_variance
from vla_mbpo_ros.rl.rollout import BoolArray, Looker, Seen
from vla_mbpo_ros.rl.update import minibatches
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import Journeys, get_table_task
from vla_mbpo_ros.world_model.protocol import Scenes, WorldModel
from vla_mbpo_ros.world_model.rivals.oracle import OracleWorld

_ORDER, _DREAM = 1, 2  # streams of chance
_AT_ONCE = 64  # dreams
_EVERY = 10  # one episode in so many tells how well the value knows


@dataclass(frozen=True)
class ValueFit:
    """How well the value knows, of episodes that it did not learn from; the shares are of the targets' variance."""

    real: float  # explained, of true moments
    dreamt: float | None  # of dreamt ones; None if none were asked for
    passes: int  # after so many it knew best


def starts_of(journeys: Journeys, scenes: Scenes | None = None) -> Starts:
    """Moments at which a chunk was due. `scenes` are those of `moments_of`, where a model needs more than pictures."""
    moments = moments_of(journeys)
    texts = journeys.instructions
    plain = Scenes(journeys.images[moments], journeys.state[moments], tuple(texts[row] for row in moments))
    tasks = tuple(journeys.tasks[index] for index in journeys.episode[moments])
    limits = np.array([get_table_task(task).max_steps for task in tasks], dtype=np.float64)
    left = np.maximum(1.0 - journeys.tick[moments] / limits, 0.0)
    return Starts(scenes or plain, left, journeys.horizon / limits, tasks)


def starts_in(journeys: Journeys, model: WorldModel) -> Starts:
    """Starts as `model` wants them: the simulator branches from its snapshots, not from pictures."""
    if isinstance(model, OracleWorld):
        return starts_of(journeys, model.remember(journeys.snapshots(moments_of(journeys))))
    return starts_of(journeys)


def moments_of(journeys: Journeys) -> Sequence[int]:
    """(P) of which `starts_of` makes starts."""
    return journeys.start[journeys.live].tolist()  # type: ignore[no-any-return]


def returns_of(journeys: Journeys, discount: float) -> FloatArray:
    """(P,) the discounted success that followed each start; a chunk that succeeds at once brings 1."""
    moments, success = np.asarray(moments_of(journeys)), journeys.success
    last = np.searchsorted(journeys.episode, journeys.episode, side="right") - 1  # the last moment of an episode
    found = np.zeros(len(moments))
    for row, moment in enumerate(moments):
        ends = np.flatnonzero(success[moment + 1 : last[moment] + 1])
        found[row] = discount ** ends[0] if len(ends) else 0.0
    return found


def fit_value(
    policy: FlowPolicy,
    journeys: Journeys,
    discount: float,
    passes: int,
    minibatch: int,
    lr: float,
    seed: int = 0,
    dream: WorldModel | None = None,  # whose dreams of the chunks that were played are learnt from too
) -> ValueFit:
    """Let the value head learn how these episodes went on, for as long as it knows more of the ones left out."""
    policy.freeze_trunk()
    starts, returns = starts_of(journeys), returns_of(journeys, discount)
    sets: list[_Shown] = [(_encoded(policy, starts.scenes, starts.time_left), torch.from_numpy(returns).float())]
    if dream is not None:
        ends = torch.from_numpy(returns / discount).float()  # a chunk's return is Γ times what its end is worth
        sets.append((_dreamt(policy, starts, journeys.chunks[journeys.live], dream, seed), ends))
    tested = _left_out(journeys)
    learnt, held = _joined([_chosen(one, ~tested) for one in sets]), [_chosen(one, tested) for one in sets]
    head = policy.value_head
    optimiser = torch.optim.AdamW(head.parameters(), lr=lr, fused=True)
    best, passed, kept = math.inf, 0, copy.deepcopy(head.state_dict())
    for turn in range(1, passes + 1):
        for rows in minibatches(len(learnt[1]), 1, minibatch, mix(seed, _ORDER, turn)):
            loss = huber_loss(policy.value_of(learnt[0].select(rows)), learnt[1][rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if (off := sum(_error(policy, *one) for one in held)) < best:
            best, passed, kept = off, turn, copy.deepcopy(head.state_dict())
    head.load_state_dict(kept)
    with torch.no_grad():
        found = [explained_variance(policy.value_of(prefix), target) for prefix, target in held]
    return ValueFit(found[0], found[1] if len(found) > 1 else None, passed)


def _left_out(journeys: Journeys) -> BoolArray:
    """(P,) starts of every tenth episode; of the last one if there are fewer."""
    episodes = len(journeys.tasks)
    every = min(_EVERY, episodes)
    return np.asarray(journeys.episode[moments_of(journeys)] % every == every - 1)


_Shown = tuple[Prefix, Tensor]  # what the policy sees of some moments, and their values (M,)


def _dreamt(policy: FlowPolicy, starts: Starts, chunks: FloatArray, dream: WorldModel, seed: int) -> Prefix:
    """Dreams of the chunks that were played: they are worth what truly came."""
    left = np.maximum(starts.time_left - starts.chunk_share, 0.0)
    parts = []
    for first in range(0, len(starts), _AT_ONCE):
        rows = np.arange(first, min(first + _AT_ONCE, len(starts)))
        scenes = starts.scenes.select(rows.tolist())
        dreams = dream.imagine(scenes, chunks[rows], [mix(seed, _DREAM, int(row)) for row in rows])
        parts.append(_encoded(policy, dreams.as_scenes(scenes), left[rows]))
    return Prefix.cat(parts)


@torch.no_grad()
def _encoded(policy: FlowPolicy, scenes: Scenes, left: FloatArray) -> Prefix:
    seen = Seen(scenes.images, scenes.state, scenes.instructions, left)
    return Looker(policy, TABLETOP.camera_names).encode(seen)


def _chosen(shown: _Shown, rows: BoolArray) -> _Shown:
    chosen = np.flatnonzero(rows).tolist()
    return shown[0].select(chosen), shown[1][chosen]


def _joined(parts: Sequence[_Shown]) -> _Shown:
    return Prefix.cat([prefix for prefix, _ in parts]), torch.cat([target for _, target in parts])


@torch.no_grad()
def _error(policy: FlowPolicy, prefix: Prefix, target: Tensor) -> float:
    return float(huber_loss(policy.value_of(prefix), target))
