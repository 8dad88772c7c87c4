"""Several processes as one learner: torchrun starts them, FSDP2 cuts weights and optimiser into shards.

    torchrun --standalone --nproc-per-node 2 --no-python vla-mbpo train policy --data bags --out OUT

    rank r of W:  its rows of a batch ──> loss ──backward──> gradients, averaged over ranks ──> its shard of the weights

Alone (W = 1) nothing is sharded and no process group exists, but the same code runs: everything here is then the
identity.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vla_mbpo_ros.errors import ConfigError


@dataclass(frozen=True)
class Team:
    """This process among all that learn together."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    mesh: Any = None  # of the ranks; None alone

    @property
    def leads(self) -> bool:
        """The one that writes and speaks."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """Which of so many rows are this rank's. All have the same number, or their mean would not be that of all."""
        if rows % self.size:
            cause = f"A batch of {rows} rows cannot be split evenly over {self.size} processes."
            raise ConfigError(cause, f"Give a batch that is a multiple of {self.size}.")
        part = rows // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def shard(self, whole: nn.Module, blocks: Iterable[nn.Module]) -> None:
        """Cut the weights: each block is brought together only while it computes, the rest with `whole`."""
        if self.mesh is None:
            return
        from torch.distributed.fsdp import fully_shard

        for block in blocks:
            fully_shard(block, mesh=self.mesh)
        # By default the outermost stays together after a forward pass: weights that change without a backward pass, as
        # for a look at the moving average, would then be computed with as they were.
        fully_shard(whole, mesh=self.mesh, reshard_after_forward=True)

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.mesh is not None:
            torch.distributed.barrier()

    def mean(self, value: Tensor) -> float:
        """Over the ranks, of a number that each has its own of."""
        if self.mesh is None:
            return float(value)
        total = value.detach().clone()
        torch.distributed.all_reduce(total)
        return float(total) / self.size

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The whole of each, on the rank that leads; the others help and get nothing."""
        found = {}
        for name, tensor in tensors.items():  # one by one: only one is in the device's memory as a whole
            made = whole(tensor)
            if self.leads:
                found[name] = made if self.mesh is None else made.cpu()
        return found


ALONE = Team()


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor that may be sharded; every rank must ask."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def cut_like(pattern: Tensor, tensor: Tensor) -> Tensor:
    """A whole tensor, sharded as `pattern` is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(pattern, DTensor):
        return tensor
    return distribute_tensor(tensor.to(pattern.device), pattern.device_mesh, pattern.placements)


@contextmanager
def join(device: str) -> Iterator[Team]:
    """The team that torchrun has started, or nobody else. `device` is "cpu" or "cuda"."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(device=device)
        return
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh

    place = device
    if device == "cuda":
        place = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Team(distributed.get_rank(), size, place, init_device_mesh(device, (size,)))
    finally:
        distributed.destroy_process_group()


def blocks_of(net: nn.Module) -> list[nn.Module]:
    """The repeated parts of a network, as its lists have them; not what is inside of another one."""
    found: list[nn.Module] = []
    for child in net.children():
        found.extend(child if isinstance(child, nn.ModuleList) else blocks_of(child))
    return found
