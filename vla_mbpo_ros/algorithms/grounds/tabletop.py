"""The tabletop as a ground for rollouts, and a small policy in its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from vla_mbpo_ros.algorithms.imitation.chunks import normalisation_of
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig
from vla_mbpo_ros.policy.flow.net import VelocityNet
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.protocol import ODE
from vla_mbpo_ros.policy.tiny.config import TinyConfig
from vla_mbpo_ros.policy.tiny.factory import make_tiny
from vla_mbpo_ros.rl.rollout import IntArray, Outcome, Player, Seen
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.sim.tabletop import (
    Act,
    Demonstrations,
    Moment,
    Observations,
    Pool,
    get_table_task,
    task_names,
    to_action,
)

ALL = "all"
HORIZON = 10  # control steps of a chunk
# Chance in the chunk's lowest cosines and in what the tasks need: whole motions differ, and smoothly. In the last
# denoising step alone: of what is left to chance before, the flow itself takes back 40 to 64 %.
FLOW = FlowConfig(
    noise_low=0.3,
    noise_high=1.4,
    noise_start=0.7,
    noise_steps=1,
    noise_basis=2,
    noise_dims=("x", "y", "z"),
    value_hidden=(256, 256),
)


def resolve_tasks(names: Sequence[str]) -> tuple[str, ...]:
    """Names of tasks; "all" is every one."""
    if tuple(names) == (ALL,):
        return task_names()
    return tuple(get_table_task(name).name for name in names)


def make_policy_for(
    demos: Demonstrations,
    flow: FlowConfig = FLOW,
    seed: int = 0,
    state: bool = True,
    trunk: FlowPolicy | None = None,
) -> FlowPolicy:
    """A fresh small policy in the size of these demonstrations; what sees and reads may be that of another policy."""
    normalisation = normalisation_of(demos, TABLETOP)
    if trunk is not None:  # it reads states as it has learnt to
        normalisation = replace(normalisation, state=trunk.normalisation.state)
    side = int(demos.images.shape[2])
    inputs = InputConfig(
        cameras={name: name for name in TABLETOP.camera_names}, image_size=side, max_tokens=48, state_input=state
    )
    tiny = TinyConfig(views=len(TABLETOP.cameras), horizon=int(demos.actions.shape[1]) or HORIZON)
    made = make_tiny(tiny, flow, inputs, normalisation, seed)
    if trunk is not None:
        copy_trunk(trunk, made)
    return made


def copy_trunk(source: FlowPolicy, target: FlowPolicy) -> None:
    """What sees and reads; ContractError if the two are of different sizes."""
    pairs = zip(cast(VelocityNet, source.net).trunk(), cast(VelocityNet, target.net).trunk(), strict=True)
    try:
        for given, taken in pairs:
            taken.load_state_dict(given.state_dict())
    except (RuntimeError, ValueError) as error:
        cause = f"The trunk of {source.version} does not fit this network: {error}."
        raise ContractError(cause, "Give one of the same kind and sizes.") from error


class TabletopGround:
    """A pool of workers, in the robot's units."""

    cameras = TABLETOP.camera_names

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def reset(self, tasks: Sequence[str], seeds: Sequence[int]) -> Seen:
        return _seen(self.pool.reset(tasks, seeds))

    def step(self, chunks: FloatArray, slots: IntArray) -> Outcome:
        before = np.array([snapshot.ticks for snapshot in self.pool.save()], dtype=np.int64)[slots]
        result = self.pool.step_chunk(to_action(chunks), slots)
        success, seen = result.success, result.observations
        limits = np.array([get_table_task(task).max_steps for task in seen.tasks], dtype=np.int64)
        ends = np.where(success, result.success_step, np.minimum(seen.tick, limits))
        timeout = result.done & ~success & ~self.pool.spoiled[slots]
        return Outcome(_seen(seen), success, result.done, timeout, ends - before)


def acting(policy: FlowPolicy, pool: Pool, seed: int, mode: str = ODE) -> Act:
    """Lets a policy act in `travel`. Its chance is keyed by (seed, the episode's seed, turn)."""
    player = Player(policy, TabletopGround(pool), keep=False)

    def act(moment: Moment) -> FloatArray:
        chance = [mix(seed, one.seed, moment.turn) for one in moment.snapshots]
        return player.act(_seen(moment.seen), chance, mode)

    return act


def _seen(observations: Observations) -> Seen:
    limits = np.array([get_table_task(task).max_steps for task in observations.tasks], dtype=np.float64)
    left = np.maximum(1.0 - observations.tick / limits, 0.0)
    return Seen(observations.images, observations.state, observations.instructions, left)
