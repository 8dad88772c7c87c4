"""The whole network behind a pi policy.

images ──vision──> projector ─┐
prompt ──embedding────────────┴──> trunk ──> keys and values ─┐ once an observation
                                                              │
state (pi0) ─┐                                                v
x_t ─────────┴──> expert, S times ────────────────────────────┴──> h ──> velocity
t  ──> mixed into the tokens (pi0) or into every norm (pi0.5)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

from vla_mbpo_ros.config_io import build
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.policy.flow.net import Inputs, VelocityNet
from vla_mbpo_ros.policy.pi.config import PiConfig
from vla_mbpo_ros.policy.pi.gemma import AdaptiveNorm, Decoder, KeyValue, Norm
from vla_mbpo_ros.policy.pi.masks import expert_mask, expert_places, trunk_mask, trunk_places
from vla_mbpo_ros.policy.pi.vision import VisionTower

_PERIODS = (4e-3, 4.0)  # of the flow time's waves, from 0 to 1


@dataclass(frozen=True)
class PiCache:
    """What the trunk leaves of B observations."""

    layers: list[KeyValue]
    valid: Tensor  # (B, P) bool
    pooled: Tensor  # (B, C) float32, the mean over valid tokens
    state: Tensor  # (B, S) float32


class PiNet(nn.Module):
    """A `VelocityNet`: pi0 or pi0.5 of any size."""

    def __init__(self, cfg: PiConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.horizon, self.action_dim, self.state_dim = cfg.horizon, cfg.action_dim, cfg.action_dim
        self.feature_width, self.context_width = cfg.expert.width, cfg.trunk.width
        self.vision = VisionTower(cfg.vision)
        self.projector = nn.Linear(cfg.vision.width, cfg.trunk.width)
        self.words = nn.Embedding(cfg.vocabulary, cfg.trunk.width)
        self.language = Decoder(cfg, cfg.trunk, adaptive=False)
        self.expert = Decoder(cfg, cfg.expert, adaptive=cfg.adaptive)
        wide = cfg.expert.width
        self.action_in = nn.Linear(cfg.action_dim, wide)
        self.action_out = nn.Linear(wide, cfg.action_dim)
        self.time_in = nn.Linear(wide if cfg.adaptive else 2 * wide, wide)
        self.time_out = nn.Linear(wide, wide)
        if not cfg.adaptive:
            self.state_in = nn.Linear(cfg.action_dim, wide)

    def trunk(self) -> list[nn.Module]:
        return [self.vision, self.projector, self.words, self.language]

    def adaptable(self) -> list[nn.Module]:
        return [self.expert]

    def encode(self, inputs: Inputs) -> PiCache:
        """Images in their slots first, then the prompt."""
        self._check(inputs)
        words = self.words(inputs.tokens) * math.sqrt(self.cfg.trunk.width)
        seen = self._images(inputs.images).to(words.dtype)
        pixels = inputs.image_mask.repeat_interleave(self.cfg.vision.tokens, dim=1)
        valid = torch.cat([pixels, inputs.token_mask], dim=1)
        x, layers = self.language(torch.cat([seen, words], dim=1), trunk_places(valid), trunk_mask(valid))
        counted = valid[:, :, None].float()
        pooled = (x.float() * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1.0)
        return PiCache(layers, valid, pooled, inputs.state)

    def velocity(self, cache: PiCache, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """v (B, K, D) and h (B, K, F), float32."""
        tokens, time = self._suffix(cache, x.float(), t)
        front = tokens.shape[1] - self.horizon
        mask = expert_mask(cache.valid, front, self.horizon)
        places = expert_places(cache.valid, tokens.shape[1])
        out, _ = self.expert(tokens, places, mask, cache.layers, time)
        h = out[:, front:].float()
        return self.action_out(h), h

    def context(self, cache: PiCache) -> Tensor:
        return cache.pooled

    def to_precision(self, dtype: torch.dtype) -> None:
        """The bulk in `dtype`; norms, the first image layer and what touches actions stay in float32."""
        for module in (self.vision, self.projector, self.words, self.language, self.expert):
            module.to(dtype)
        for part in self.modules():
            if isinstance(part, (Norm, AdaptiveNorm, nn.LayerNorm)):
                part.float()
        self.vision.patch.float()
        self.vision.place.float()

    def _images(self, images: Tensor) -> Tensor:
        """(B, V, 3, side, side) -> (B, V x tokens, width)"""
        rows, views = images.shape[:2]
        seen: Tensor = self.vision(images.flatten(0, 1))
        projected: Tensor = self.projector(seen.to(self.projector.weight.dtype))
        return projected.reshape(rows, views * projected.shape[1], -1)

    def _suffix(self, cache: PiCache, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        """The expert's tokens (B, Q, width), and for pi0.5 the time (B, width) for its norms."""
        actions, time = self.action_in(x), time_waves(t, self.cfg.expert.width)
        if self.cfg.adaptive:
            return actions, F.silu(self.time_out(F.silu(self.time_in(time))))
        both = torch.cat([actions, time[:, None].expand_as(actions)], dim=2)
        mixed = self.time_out(F.silu(self.time_in(both)))
        return torch.cat([self.state_in(cache.state)[:, None], mixed], dim=1), None

    def _check(self, inputs: Inputs) -> None:
        side = self.cfg.vision.image
        if inputs.images.shape[-2:] != (side, side):
            came = "x".join(str(size) for size in inputs.images.shape[-2:])
            raise ContractError(f"The network got images of {came}.", f"It takes {side}x{side}.")
        if int(inputs.tokens.max()) >= self.cfg.vocabulary:
            cause = f"A token is {int(inputs.tokens.max())}, the network knows {self.cfg.vocabulary}."
            raise ContractError(cause, "Use the tokenizer that belongs to these weights.")


def time_waves(t: Tensor, width: int) -> Tensor:
    """Flow time (B,) as sines and cosines (B, width), of periods from 0.004 to 4.

    In float64: the fastest wave turns 250 times, and float32 would lose its fourth digit.
    """
    low, high = _PERIODS
    share = torch.linspace(0.0, 1.0, width // 2, dtype=torch.float64, device=t.device)
    angle = t.double()[:, None] * (2.0 * math.pi / (low * (high / low) ** share))
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()


def randomise(net: nn.Module, seed: int) -> None:
    """Random weights for tests and for measuring speed: nothing here has been learnt.

    Every part matters from the start: gates of adaptive norms too, which training begins at zero.
    """
    for module in net.modules():
        if isinstance(module, (Norm, nn.LayerNorm)):
            for name, parameter in module.named_parameters(recurse=False):
                nn.init.constant_(parameter, float(isinstance(module, nn.LayerNorm) and name == "weight"))
    norms = {id(p) for module in net.modules() if isinstance(module, (Norm, nn.LayerNorm)) for p in module.parameters()}
    rest = [parameter for parameter in net.parameters() if id(parameter) not in norms]
    generator = torch.Generator(device=rest[0].device).manual_seed(seed)
    for parameter in rest:
        spread = 0.02 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
        nn.init.normal_(parameter, std=spread, generator=generator)


def make_net(settings: Mapping[str, Any], where: str) -> PiNet:
    """From the settings of a checkpoint."""
    return PiNet(build(PiConfig, settings, where))


if TYPE_CHECKING:  # it keeps the protocol
    _KEPT: type[VelocityNet] = PiNet
