"""Episodes played by a policy on a ground that many of them share, chunk by chunk.

        Ground.reset ──> Seen ──encode──> prefix ──sample──> chunk ──Ground.step──> Seen, Outcome ──> …

Chance is keyed by (seed, episode, chunk). The policy works on blocks of a fixed number of rows, so that what one
episode does depends neither on its company nor on how many of them are left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.protocol import ODE, Prefix, Sample
from vla_mbpo_ros.rl.arrays import ArrayReader
from vla_mbpo_ros.schema import FloatArray, ImageArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
BLOCK = 32  # rows that the policy works on at once


@dataclass(frozen=True)
class Seen:
    """What B episodes show."""

    images: ImageArray  # (B, V, H, W, 3)
    state: FloatArray  # (B, N) in the robot's units
    instructions: tuple[str, ...]  # (B)
    time_left: FloatArray | None = None  # (B,) share of the episode's time in [0, 1]; None: there is no limit


@dataclass(frozen=True)
class Outcome:
    """What a chunk brought to B episodes."""

    seen: Seen  # after it
    success: BoolArray  # (B,)
    over: BoolArray  # (B,) success, failure, or out of time
    timeout: BoolArray  # (B,) over only because time is up
    steps: IntArray  # (B,) control steps that it took, up to success


class Ground(Protocol):
    """Where episodes are played: a simulator, or a dream."""

    cameras: tuple[str, ...]  # the views of `Seen.images`, in order

    def reset(self, tasks: Sequence[str], seeds: Sequence[int]) -> Seen: ...

    def step(self, chunks: FloatArray, slots: IntArray) -> Outcome:
        """Execute (B, K, N) in the robot's units in these episodes."""
        ...


@dataclass(frozen=True)
class Turn:
    """One chunk of every episode that was still going on."""

    slots: IntArray  # (B,) which episodes
    prefix: Prefix  # before the chunk
    after: Prefix  # after it
    chain: Tensor  # (B, S + 1, K, D)
    log_prob: Tensor  # (B,) float64
    value: FloatArray  # (B,) before
    value_after: FloatArray  # (B,)
    outcome: Outcome


@dataclass(frozen=True)
class Episodes:
    """All turns of some episodes, from the first to the last."""

    tasks: tuple[str, ...]  # (E)
    seeds: tuple[int, ...]  # (E)
    success: BoolArray  # (E,)
    steps: IntArray  # (E,) control steps until it was over
    turns: tuple[Turn, ...]


class Looker:
    """What many worlds show, as a policy's prefix, block by block."""

    def __init__(self, policy: FlowPolicy, cameras: Sequence[str]) -> None:
        self._policy, self._reader = policy, ArrayReader(policy.maker, cameras)

    def encode(self, seen: Seen) -> Prefix:
        parts = []
        rows = len(seen.instructions)
        for first in range(0, rows, BLOCK):
            chosen = [min(row, rows - 1) for row in range(first, first + BLOCK)]
            texts = [seen.instructions[row] for row in chosen]
            inputs = self._reader(seen.images[chosen], seen.state[chosen], texts, self._policy.device)
            left = None if seen.time_left is None else seen.time_left[chosen]
            parts.append(self._policy.encode_inputs(inputs, seen.state[chosen], left))
        return Prefix.cat(parts).select(list(range(rows)))


class Player:
    """Lets a policy play. `executed` steps of each chunk are carried out, as the policy says."""

    def __init__(self, policy: FlowPolicy, ground: Ground, keep: bool) -> None:
        self._policy, self._ground, self._keep = policy, ground, keep
        self._looker = Looker(policy, ground.cameras)

    @torch.no_grad()
    def play(self, tasks: Sequence[str], seeds: Sequence[int], seed: int, mode: str = ODE) -> Episodes:
        """One episode for each task and seed, to its end. Turns are kept if `keep` says so."""
        seen = self._ground.reset(tasks, seeds)
        slots = np.arange(len(tasks), dtype=np.int64)
        keys = _keys(tasks, seeds, seed)
        success, steps = np.zeros(len(tasks), dtype=bool), np.zeros(len(tasks), dtype=np.int64)
        turns: list[Turn] = []
        prefix = self._looker.encode(seen)
        while slots.size:
            chance = [mix(keys[slot], len(turns)) for slot in slots]
            turn = self._turn(slots, prefix, chance, mode)
            outcome = turn.outcome
            success[slots] |= outcome.success
            steps[slots] += outcome.steps
            going = np.flatnonzero(~outcome.over)
            slots, prefix = slots[going], turn.after.select(going.tolist())
            turns.append(turn)
        return Episodes(tuple(tasks), tuple(seeds), success, steps, tuple(turns) if self._keep else ())

    @torch.no_grad()
    def act(self, seen: Seen, chance: list[int], mode: str = ODE) -> FloatArray:
        """(B, K, N) in the robot's units; row b depends on its own `chance` alone."""
        made = self._samples(self._looker.encode(seen), chance, mode)
        return np.concatenate([sample.values for sample in made])[: len(chance)]

    def _turn(self, slots: IntArray, prefix: Prefix, chance: list[int], mode: str) -> Turn:
        made = self._samples(prefix, chance, mode)
        rows = len(slots)
        values = np.concatenate([sample.values for sample in made])[:rows]
        outcome = self._ground.step(values[:, : self._policy.executed], slots)
        after = self._looker.encode(outcome.seen)
        chains = [sample.chain for sample in made if sample.chain is not None]
        chances = [sample.log_prob for sample in made if sample.log_prob is not None]
        return Turn(
            slots=slots,
            prefix=prefix,
            after=after,
            chain=torch.cat(chains)[:rows],
            log_prob=torch.cat(chances)[:rows],
            value=np.concatenate([sample.value for sample in made])[:rows],
            value_after=self._values(after),
            outcome=outcome,
        )

    def _samples(self, prefix: Prefix, chance: list[int], mode: str) -> list[Sample]:
        """One a block."""
        return [
            self._policy.sample(part, chance[first : first + BLOCK] + [0] * (BLOCK - len(chance[first:])), mode)
            for first, part in _blocks(prefix)
        ]

    def _values(self, prefix: Prefix) -> FloatArray:
        found = [self._policy.value_of(part).double().cpu().numpy() for _, part in _blocks(prefix)]
        return np.concatenate(found)[: prefix.size]


def _keys(tasks: Sequence[str], seeds: Sequence[int], seed: int) -> list[int]:
    """Of each episode's chance. Episodes from the same start are told apart by their count."""
    count: Counter[tuple[str, int]] = Counter()
    keys = []
    for start in zip(tasks, seeds, strict=True):
        keys.append(mix(seed, start[1], count[start]))
        count[start] += 1
    return keys


def _blocks(prefix: Prefix) -> list[tuple[int, Prefix]]:
    """Blocks of BLOCK rows with the first row's number; the last is filled up with its last row."""
    firsts = range(0, prefix.size, BLOCK)
    rows = [[min(row, prefix.size - 1) for row in range(first, first + BLOCK)] for first in firsts]
    return [(first, prefix.select(chosen)) for first, chosen in zip(firsts, rows, strict=True)]
