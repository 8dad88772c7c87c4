"""What a network must offer to be a flow policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Inputs:
    """Observations as tensors; every network takes what it needs of them. V slots for images, L tokens at most."""

    images: Tensor  # (B, V, 3, H, W) float32 in [-1, 1]
    image_mask: Tensor  # (B, V) bool, False: this camera is missing
    tokens: Tensor  # (B, L) int64, the instruction
    token_mask: Tensor  # (B, L) bool, False: padding
    state: Tensor  # (B, S) float32 normalised, padded with zeros to the network's width


class VelocityNet(Protocol):
    """A torch module that says where noise should flow, given an observation.

    `encode` is the trunk: it sees the observation and neither noise nor time. Its cache is a tree of tensors
    (`models.tree`), each with the batch first, and holds all that `velocity` needs.
    """

    cfg: Any  # a frozen dataclass in the form of `config.py`: all that is needed to make the network again
    horizon: int  # K, steps of a chunk
    action_dim: int  # D, the robot's own dimensions come first, the others are padding
    state_dim: int  # S of Inputs.state
    feature_width: int  # F of h
    context_width: int  # C of `context`

    def encode(self, inputs: Inputs) -> Any: ...

    def velocity(self, cache: Any, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, K, D) at t (B,) -> v (B, K, D) and the features h (B, K, F) it was read from, both float32."""
        ...

    def context(self, cache: Any) -> Tensor:
        """(B, C) float32: what a value head may look at."""
        ...

    def to_precision(self, dtype: torch.dtype) -> None:
        """The bulk of the weights in float32 or bfloat16; what must stay exact stays float32."""
        ...

    def trunk(self) -> list[nn.Module]:
        """The modules that `encode` uses; frozen, a prefix stays valid while the rest learns."""
        ...

    def adaptable(self) -> list[nn.Module]:
        """The modules that turn noise into actions: whose linear layers get low-rank adapters (`models/lora.py`)."""
        ...
