"""Small cases of what is large elsewhere: a pi0.5 of random weights, rows made of random numbers. Also a program.

torchrun --standalone --nproc-per-node 2 test/algorithms/imitation/large.py OUT     trains each of CASES in OUT/NAME
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vla_mbpo_ros.algorithms.imitation.bc import train_bc
from vla_mbpo_ros.algorithms.imitation.bc_config import BcConfig
from vla_mbpo_ros.algorithms.imitation.chunks import Batch, IntArray
from vla_mbpo_ros.models.distributed import Team, join
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig
from vla_mbpo_ros.policy.flow.inputs import InputMaker
from vla_mbpo_ros.policy.flow.net import Inputs
from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Columns, Normalisation
from vla_mbpo_ros.policy.flow.policy import FlowPolicy
from vla_mbpo_ros.policy.flow.text import ByteTokenizer
from vla_mbpo_ros.policy.pi.config import preset
from vla_mbpo_ros.policy.pi.net import PiNet, randomise

# a small learning rate and no cold start: AdamW's first steps would blow rounding up to steps of full size
CFG = BcConfig(steps=4, batch=6, draws=2, lr=1e-3, warmup=0, weight_decay=0.01, log_every=1, save_every=2, ema=0.5)
CASES = {
    "plain": CFG,
    "frozen": replace(CFG, frozen_trunk=True),
    "lora": replace(CFG, lora_rank=2),
    "half_lora": replace(CFG, lora_rank=2),
}


def make_policy(seed: int = 0, half: bool = False) -> FlowPolicy:
    net = PiNet(preset("tiny_random"))
    randomise(net, seed)
    columns = Columns(("a", "b"), (0.0, 0.0), (1.0, 1.0))
    cfg = InputConfig(cameras={"one": "head"}, image_size=28, state_input=False)
    maker = InputMaker(cfg, Normalisation(QUANTILE, columns, columns), ByteTokenizer(), net.state_dim)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = FlowPolicy("pi05", net, FlowConfig(value_hidden=(8,)), maker, "random")
    if half:
        policy.to_precision(torch.bfloat16)
    return policy


class Rows:
    """`ChunkData` of random numbers, the same for everybody."""

    def __init__(self, count: int = 9) -> None:
        draw = torch.Generator().manual_seed(7)
        self._images = torch.rand(count, 1, 3, 28, 28, generator=draw) * 2 - 1
        self._tokens = torch.randint(3, 259, (count, 5), generator=draw)
        self._actions = torch.randn(count, 6, 8, generator=draw)
        self._weight = (torch.rand(count, 6, 1, generator=draw) < 0.8).float().expand(-1, -1, 8)

    def __len__(self) -> int:
        return len(self._actions)

    def batch(self, rows: IntArray) -> Batch:
        take = torch.from_numpy(rows)
        masks = torch.ones(len(rows), 1, dtype=torch.bool), torch.ones(len(rows), 5, dtype=torch.bool)
        inputs = Inputs(self._images[take], masks[0], self._tokens[take], masks[1], torch.zeros(len(rows), 8))
        return Batch(inputs, np.zeros((len(rows), 0)), self._actions[take], self._weight[take])


def train_all(folder: Path, team: Team, until: int | None = None) -> dict[str, FlowPolicy]:
    return {
        name: train_bc(
            make_policy(half="half" in name), Rows(), cfg, folder / name, until=until, held_out=Rows(3), team=team
        )
        for name, cfg in CASES.items()
    }


def main(folder: Path) -> None:
    from vla_mbpo_ros.models.weights import save

    torch.set_num_threads(1)
    with join("cpu") as team:
        half_way = train_all(folder / "half_way", team, until=2)
        policies = train_all(folder / "whole", team)
        assert all(type(value) is torch.Tensor for value in half_way["plain"].state_dict().values())
        for name, policy in policies.items():
            save(policy.state_dict(), folder / f"{name}.{team.rank}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
