"""Where the joints are after a chunk, by what was commanded and what is seen then.

    state, command, chunk ──linear──┐
                                    +──SiLU, linear, SiLU, linear──> off        state after = command + off
    latents after ─────────linear───┘

A drive lags, a table stops the tool, a cube keeps the fingers apart: the command says none of it. Whoever judges dreams
by their state (a value) is misled by a commanded one just where it matters: how high the tool is, and what it holds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.weights import load, read_header, save
from vla_mbpo_ros.robots.spec import RobotSpec
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.commanded import commanded_state
from vla_mbpo_ros.world_model.protocol import Scenes

FILE = "arrival.safetensors"
_LEAST = 1e-6  # deviation; what never differs counts as that


class Arrival(nn.Module):
    """Of one robot, chunk length and size of what is seen."""

    told_mean: Tensor  # (I,)
    told_deviation: Tensor
    off_deviation: Tensor  # (N,) in the robot's units

    def __init__(self, dof: int, horizon: int, seen: int, width: int = 128) -> None:
        super().__init__()
        told = dof * (2 + horizon)
        self.told, self.seen = nn.Linear(told, width), nn.Linear(seen, width)
        self.mix, self.off = nn.Linear(width, width), nn.Linear(width, dof)
        for name, size in (("told_mean", told), ("told_deviation", told), ("off_deviation", dof)):
            self.register_buffer(name, torch.ones(size))

    def calibrate(self, told: Tensor, off: Tensor) -> None:
        """To the spread of (R, I) and (R, N)."""
        self.told_mean.copy_(told.mean(dim=0))
        self.told_deviation.copy_(told.std(dim=0).clamp(min=_LEAST))
        self.off_deviation.copy_(off.std(dim=0).clamp(min=_LEAST))

    def forward(self, told: Tensor, latents: Tensor) -> Tensor:
        """(B, I) of `tell`, latents (B, V, T, D) -> (B, N) how far off the command, in its deviations."""
        known = self.told((told - self.told_mean) / self.told_deviation) + self.seen(latents.flatten(1).float())
        result: Tensor = self.off(F.silu(self.mix(F.silu(known))))
        return result

    @torch.inference_mode()
    def state_after(self, robot: RobotSpec, scenes: Scenes, chunks: FloatArray, latents: Tensor) -> FloatArray:
        """(B, N) within the limits."""
        told = tell(robot, scenes.state, chunks).to(latents.device)
        off = self(told, latents) * self.off_deviation
        found = commanded_state(robot, scenes.state, chunks) + off.double().cpu().numpy()
        return np.asarray(np.clip(found, robot.low, robot.high))


def tell(robot: RobotSpec, state: FloatArray, chunks: FloatArray) -> Tensor:
    """(B, I): state, commanded state, the whole chunk."""
    command = commanded_state(robot, state, chunks)
    return torch.from_numpy(np.concatenate([state, command, chunks.reshape(len(chunks), -1)], axis=1)).float()


def save_arrival(arrival: Arrival | None, folder: Path) -> None:
    """None takes away what is there."""
    if arrival is None:
        (folder / FILE).unlink(missing_ok=True)
    else:
        save(arrival.state_dict(), folder / FILE)


def load_arrival(folder: Path, dof: int, horizon: int, device: str) -> Arrival | None:
    """None if there is none; ContractError if it is of another size."""
    if not (folder / FILE).exists():
        return None
    weights = read_header(folder / FILE)
    try:
        width, seen = weights.shapes["seen.weight"]
        arrival = Arrival(dof, horizon, seen, width)
        arrival.load_state_dict(load(weights, {name: name for name in arrival.state_dict()}, device))
    except (KeyError, ValueError, RuntimeError) as error:
        cause = f"{folder / FILE} is not of {dof} joints and {horizon} steps: {error}."
        raise ContractError(cause, "Copy the folder again, or train it anew.") from error
    return arrival.to(device).eval().requires_grad_(False)
