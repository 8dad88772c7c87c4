"""Low-rank adapters: a large linear layer stays as it is, and a thin bridge beside it learns.

        x ──────── W x + b ────────── + ──> y           W (out, in) frozen
        └── A x ── B A x · alpha / r ─┘                 A (r, in) ~ N(0, 1 / in), B (out, r) = 0 at the start

With B = 0 the first step begins exactly at the parent. `merge` adds B A to W, so that a checkpoint has the ordinary
layers and acts at the ordinary cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.models.randomness import mix, normal

Layer = TypeVar("Layer", bound=nn.Linear)


class LoraLinear(nn.Linear):
    """A linear layer with its bridge; `weight` and `bias` are those of the layer that it replaces, and frozen."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float, seed: int) -> None:
        nn.Module.__init__(self)  # not Linear's: it would make weights that nobody wants
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.scale = alpha / rank
        device = layer.weight.device
        start = normal([seed], 0, (rank, self.in_features))[0] * self.in_features**-0.5
        # float32 whatever the layer is in: small steps would be lost in bfloat16
        self.down = nn.Parameter(start.to(device))
        self.up = nn.Parameter(torch.zeros(self.out_features, rank, device=device))
        for parameter in layer.parameters():
            parameter.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) -> (…, out)"""
        whole = F.linear(x, self.weight, self.bias)
        more = F.linear(F.linear(x.to(self.down.dtype), self.down), self.up)
        return whole + (self.scale * more).to(whole.dtype)

    def merged(self) -> nn.Linear:
        """The ordinary layer that says the same."""
        layer = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        with torch.no_grad():
            both = self.weight.float() + self.scale * (self.up @ self.down)
            self.weight.copy_(both)
        layer.weight, layer.bias = self.weight, self.bias
        return layer


def adapt(modules: Iterable[nn.Module], rank: int, alpha: float, seed: int) -> int:
    """Freeze `modules` and give each linear layer inside of them a bridge; how many there are."""
    found = 0
    for module in modules:
        module.requires_grad_(False)
        for parent, name, layer in _layers(module, nn.Linear):
            if rank > min(layer.in_features, layer.out_features):
                cause = f"lora_rank is {rank}, the layer {name} is {layer.out_features} by {layer.in_features}."
                raise ConfigError(cause, "A rank above the smaller of the two saves nothing: give a lower one.")
            setattr(parent, name, LoraLinear(layer, rank, alpha, mix(seed, found)))
            found += 1
    return found


def merge(module: nn.Module) -> None:
    """Every bridge inside of `module` goes into its layer."""
    for parent, name, layer in _layers(module, LoraLinear):
        setattr(parent, name, layer.merged())


def _layers(module: nn.Module, kind: type[Layer]) -> list[tuple[nn.Module, str, Layer]]:
    """(parent, name, layer) of exactly this kind; a list, for the tree is about to change."""
    return [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if type(child) is kind
    ]
