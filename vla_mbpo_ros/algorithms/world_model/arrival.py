"""Where the joints are after a chunk: learnt after the world model, from what truly came.

half of a step's rows   true pictures after the chunk
the other half          what the world model dreams of it: what it will be asked about
loss                    squared distance from the true state, in deviations of how far commands are off
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.algorithms.descent import Descent, DescentSettings, Watch, evenly, with_default
from vla_mbpo_ros.algorithms.world_model.dream_data import DreamData, IntArray, Moves, dream_of
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.arrival import Arrival, tell
from vla_mbpo_ros.world_model.commanded import commanded_state
from vla_mbpo_ros.world_model.umm.model import UmmWorld

_ROWS, _DREAMS, _START = 1, 2, 3  # streams of chance
_CALIBRATE_ON, _TEST_ON = 4096, 512  # rows


@dataclass(frozen=True)
class ArrivalTraining(DescentSettings):
    """Settings of the training."""

    batch: int = leaf(256, "Chunks in a step.", low=2)
    dreams: int = leaf(3072, "Dreams to learn from beside true pictures; 0: the last command says the state.", low=0)
    warmup: int = with_default("warmup", 50)
    weight_decay: float = with_default("weight_decay", 0.01)


def fit_arrival(
    world: UmmWorld, data: DreamData, cfg: ArrivalTraining, seed: int = 0, watch: Watch | None = None
) -> Arrival:
    """Of a trained `world`, which is left as it is."""
    chance = np.random.default_rng(mix(seed, _ROWS))
    rows = chance.permutation(len(data))[: cfg.dreams].astype(np.int64)
    dreamt = _dreamt(world, data, rows, seed, watch)
    robot, device = world.around.robot, world.net.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, _START))
        arrival = Arrival(robot.dof, world.horizon, int(dreamt[0].numel())).to(device)
    arrival.calibrate(*_targets(world, data.moves(evenly(len(data), _CALIBRATE_ON))))
    descent = Descent(arrival, cfg)
    while descent.step < cfg.steps:
        true = chance.integers(0, len(data), cfg.batch // 2)
        picked = chance.integers(0, len(rows), cfg.batch - len(true))
        moves = data.moves(np.concatenate([true, rows[picked]]))
        latents = torch.cat([moves.after.latents[: len(true)].to(device), dreamt[torch.from_numpy(picked)]])
        told, off = _targets(world, moves)
        descent.take((arrival(told, latents) - off / arrival.off_deviation).square().mean())
        if watch is not None and descent.step % 100 == 0:
            watch({"percent": 50.0 + 50.0 * descent.step / cfg.steps})
    descent.end()
    return arrival.eval().requires_grad_(False)


def state_errors(world: UmmWorld, held_out: DreamData, arrival: Arrival, seed: int = 0) -> Mapping[str, list[float]]:
    """Joint -> how far off in the robot's units, medians over dreams of held-out chunks: the command, and `arrival`."""
    rows = evenly(len(held_out), _TEST_ON)
    dreamt, robot = _dreamt(world, held_out, rows, seed), world.around.robot
    moves, (scenes, chunks, _) = held_out.moves(rows), held_out.scenes(rows)
    found = commanded_state(robot, scenes.state, chunks), arrival.state_after(robot, scenes, chunks, dreamt)
    off = [np.median(np.abs(each - moves.reached), axis=0) for each in found]
    return {name: [float(each[joint]) for each in off] for joint, name in enumerate(robot.names)}


@torch.no_grad()
def _dreamt(world: UmmWorld, data: DreamData, rows: IntArray, seed: int, watch: Watch | None = None) -> Tensor:
    """(R, V, T, latent width)"""
    found = []
    for part in dream_of(world, data, rows, [mix(seed, _DREAMS, index) for index in range(len(rows))]):
        found.append(part)
        if watch is not None:
            watch({"percent": 50.0 * sum(map(len, found)) / len(rows)})
    return torch.cat(found)


def _targets(world: UmmWorld, moves: Moves) -> tuple[Tensor, Tensor]:
    """(R, I) what is told, (R, N) how far off the command the joints came."""
    robot, device = world.around.robot, world.net.device
    off: FloatArray = moves.reached - commanded_state(robot, moves.state, moves.chunks)
    return tell(robot, moves.state, moves.chunks).to(device), torch.from_numpy(off).float().to(device)
