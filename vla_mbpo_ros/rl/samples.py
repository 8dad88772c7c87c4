"""Episodes as rows to learn from: one chunk a row, with its advantage.

turns of episodes ──(T, E) tables──> GAE ──> rows, shuffled by whoever learns
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.policy.protocol import Prefix
from vla_mbpo_ros.rl.gae import gae
from vla_mbpo_ros.rl.rollout import Episodes, Turn


@dataclass(frozen=True)
class Samples:
    """M chunks. The prefix was encoded once; while the trunk is frozen it serves all passes."""

    prefix: Prefix
    chain: Tensor  # (M, S + 1, K, D)
    log_prob: Tensor  # (M,) float64, when it was made
    value: Tensor  # (M,)
    advantage: Tensor  # (M,)
    target: Tensor  # (M,) of the value

    def __len__(self) -> int:
        return self.prefix.size


def samples_of(episodes: Episodes, discount: float, lam: float, timeout_ends: bool) -> Samples:
    """A reward of 1 in the chunk that succeeds. `discount` is that of a whole chunk.

    Success and failure end an episode. So does the time limit if `timeout_ends`; otherwise it only cuts it off, and
    the value of what would have come is counted.
    """
    turns = episodes.turns
    table = _Table(turns, len(episodes.tasks))
    timeout = table.of([turn.outcome.timeout for turn in turns], torch.bool)
    over = table.of([turn.outcome.over for turn in turns], torch.bool)
    value = table.of([turn.value for turn in turns], torch.float64)
    returns = gae(
        rewards=table.of([turn.outcome.success for turn in turns], torch.float64),
        values=value,
        next_values=table.of([turn.value_after for turn in turns], torch.float64),
        done=over if timeout_ends else over & ~timeout,
        truncated=over & timeout,
        discount=discount,
        lam=lam,
        valid=table.exists,
    )
    return Samples(
        prefix=Prefix.cat([turn.prefix for turn in turns]),
        chain=torch.cat([turn.chain for turn in turns]),
        log_prob=torch.cat([turn.log_prob for turn in turns]),
        value=table.rows(value).float(),
        advantage=table.rows(returns.advantage).float(),
        target=table.rows(returns.target).float(),
    )


def against_group(samples: Samples, episodes: Episodes) -> Samples:
    """With another advantage: success less the mean success of the other episodes from the same start.

    It needs no value, and takes the difficulty of the start out of the noise. All chunks of an episode share it.
    """
    groups: dict[tuple[str, int], list[int]] = {}
    for index, start in enumerate(zip(episodes.tasks, episodes.seeds, strict=True)):
        groups.setdefault(start, []).append(index)
    if min(map(len, groups.values())) < 2:
        raise ContractError("An episode has no other from its start.", "Play each start at least twice.")
    success = torch.from_numpy(episodes.success).float()
    better = torch.zeros(len(success))
    for members in groups.values():
        own = success[members]
        better[members] = own - (own.sum() - own) / (len(members) - 1)
    slots = torch.cat([torch.from_numpy(turn.slots) for turn in episodes.turns])
    return replace(samples, advantage=better[slots])


class _Table:
    """Between rows, turn by turn, and a table of (turns, episodes)."""

    def __init__(self, turns: Sequence[Turn], episodes: int) -> None:
        self._slots = [torch.from_numpy(turn.slots) for turn in turns]
        self.exists = torch.zeros(len(turns), episodes, dtype=torch.bool)
        for row, slots in enumerate(self._slots):
            self.exists[row, slots] = True

    def of(self, parts: Sequence[npt.NDArray[np.generic]], dtype: torch.dtype) -> Tensor:
        made = torch.zeros(self.exists.shape, dtype=dtype)
        for row, (slots, part) in enumerate(zip(self._slots, parts, strict=True)):
            made[row, slots] = torch.from_numpy(part).to(dtype)
        return made

    def rows(self, table: Tensor) -> Tensor:
        return torch.cat([table[row, slots] for row, slots in enumerate(self._slots)])
