"""The state of a training on disk: everything that the next step depends on, and nothing that can run.

    training/
      tensors.safetensors   weights, their average, what the optimisers remember
      state.json            settings, steps done, and what else the algorithm keeps

Chance is keyed by (seed, step), so no generator has a state to keep. A new state replaces the old one at once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.models.weights import load, read_header, save

TENSORS, STATE = "tensors.safetensors", "state.json"


def has_training(folder: Path) -> bool:
    """Whether one can go on; a write that was cut off between its two renames is undone."""
    old = _old(folder)
    if not folder.exists() and old.exists():
        with suppress(FileNotFoundError):  # of several processes another was first
            old.rename(folder)
    return folder.exists()


def write_training(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    half, old = folder.with_name(f".{folder.name}.part"), _old(folder)
    for left in (half, old):
        shutil.rmtree(left, ignore_errors=True)
    half.mkdir(parents=True)
    save(dict(tensors), half / TENSORS)
    (half / STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        folder.rename(old)
    half.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def read_training(folder: Path, config: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """ConfigError if it was begun with other settings than `config`."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        weights = read_header(folder / TENSORS)
    except (OSError, ValueError) as error:
        raise ContractError(f"{folder} holds no training that can go on: {error}.", "Begin a new one.") from error
    kept, wanted = state["config"], json.loads(json.dumps(config))
    changed = [name for name in wanted if kept.get(name) != wanted[name]]
    if changed:
        detail = ", ".join(f"{name} was {kept.get(name)}, now {wanted[name]}" for name in changed)
        raise ConfigError(f"The training in {folder} began with other settings ({detail}).", "Give those again.")
    return load(weights, {name: name for name in weights.shapes}, "cpu"), state


def optimiser_tensors(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """What it remembers of each parameter."""
    kept = optimiser.state_dict()["state"]
    return {
        f"{prefix}.{index}.{name}": value.detach().clone()
        for index, memory in kept.items()
        for name, value in memory.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    state = optimiser.state_dict()
    memory: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"{prefix}."):
            index, name = key[len(prefix) + 1 :].split(".", 1)
            memory.setdefault(int(index), {})[name] = value.clone()
    optimiser.load_state_dict({**state, "state": memory})


def module_tensors(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value.detach().clone() for name, value in module.state_dict().items()}


def restore_module(module: nn.Module, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    mine = {key[len(prefix) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{prefix}.")}
    module.load_state_dict(mine)
