"""A Gemma decoder: the trunk, and with adaptive norms the action expert of pi0.5.

        x ──norm──> q k v ──turned by place──> attention ──> + ──norm──> gated layers ──> +
             └ time                                          └ gate by time               └ gate by time

The expert's attention looks at the keys and values that the trunk left at the same depth, and at its own.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

from vla_mbpo_ros.policy.pi.config import GemmaConfig, PiConfig

_EPS = 1e-6
_LONGEST_TURN = 10_000.0
KeyValue = tuple[Tensor, Tensor]  # (B, kv heads, P, head_dim) each


class Norm(nn.Module):
    """Root-mean-square norm; the learnt scale is 1 + weight. In float32 whatever the rest is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, time: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, P, width), and no gate."""
        return (_unit(x) * (1.0 + self.weight.float())).to(x.dtype), None


class AdaptiveNorm(nn.Module):
    """The same, but scale, shift and a gate for the result come from the flow time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, time: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, P, width) and the gate (B, 1, width); time (B, width)."""
        if time is None:
            raise ValueError("an adaptive norm needs the flow time")
        said = self.modulation(time.to(self.modulation.weight.dtype))[:, None].float()
        scale, shift, gate = said.chunk(3, dim=-1)
        return (_unit(x) * (1.0 + scale) + shift).to(x.dtype), gate.to(x.dtype)


class Layer(nn.Module):
    """One layer of trunk or expert."""

    def __init__(self, cfg: PiConfig, sizes: GemmaConfig, adaptive: bool) -> None:
        super().__init__()
        self.head_dim = cfg.head_dim
        norm = AdaptiveNorm if adaptive else Norm
        self.norm1, self.norm2 = norm(sizes.width), norm(sizes.width)
        self.q = nn.Linear(sizes.width, cfg.heads * cfg.head_dim, bias=False)
        self.k = nn.Linear(sizes.width, cfg.kv_heads * cfg.head_dim, bias=False)
        self.v = nn.Linear(sizes.width, cfg.kv_heads * cfg.head_dim, bias=False)
        self.out = nn.Linear(cfg.heads * cfg.head_dim, sizes.width, bias=False)
        self.gate = nn.Linear(sizes.width, sizes.mlp, bias=False)
        self.up = nn.Linear(sizes.width, sizes.mlp, bias=False)
        self.down = nn.Linear(sizes.mlp, sizes.width, bias=False)

    def forward(
        self, x: Tensor, turn: KeyValue, mask: Tensor, before: KeyValue | None, time: Tensor | None
    ) -> tuple[Tensor, KeyValue]:
        """x (B, Q, width) -> the same, and its keys and values; `before` are those it sees in front of its own."""
        inner, gate1 = self.norm1(x, time)
        q, k, v = (self._heads(layer(inner)) for layer in (self.q, self.k, self.v))
        q, k = turned(q, *turn), turned(k, *turn)
        seen = (k, v) if before is None else (torch.cat([before[0], k], dim=2), torch.cat([before[1], v], dim=2))
        x = gated(x, self.out(attend(q, *seen, mask).transpose(1, 2).flatten(2)), gate1)
        inner, gate2 = self.norm2(x, time)
        hidden = F.gelu(self.gate(inner), approximate="tanh") * self.up(inner)
        return gated(x, self.down(hidden), gate2), (k, v)

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], -1, self.head_dim).transpose(1, 2)


class Decoder(nn.Module):
    """All layers and the norm behind them."""

    def __init__(self, cfg: PiConfig, sizes: GemmaConfig, adaptive: bool) -> None:
        super().__init__()
        self.head_dim = cfg.head_dim
        self.layers = nn.ModuleList(Layer(cfg, sizes, adaptive) for _ in range(cfg.depth))
        self.norm = AdaptiveNorm(sizes.width) if adaptive else Norm(sizes.width)

    @property
    def dtype(self) -> torch.dtype:
        """That of the bulk of its weights."""
        return cast(Layer, self.layers[0]).q.weight.dtype

    def forward(
        self, x: Tensor, places: Tensor, mask: Tensor, before: list[KeyValue] | None = None, time: Tensor | None = None
    ) -> tuple[Tensor, list[KeyValue]]:
        """x (B, Q, width) at `places` (B, Q) -> the same, and keys and values of every layer."""
        x = x.to(self.dtype)
        turn = turns(places, self.head_dim)
        kept: list[KeyValue] = []
        for index, layer in enumerate(self.layers):
            x, own = layer(x, turn, mask, None if before is None else before[index], time)
            kept.append(own)
        result, _ = self.norm(x, time)
        return result, kept


def turns(places: Tensor, head_dim: int) -> KeyValue:
    """Cosines and sines (B, 1, Q, head_dim) by which a token at its place is turned."""
    share = torch.arange(0, head_dim, 2, dtype=torch.float32, device=places.device) / head_dim
    angle = places[:, None, :, None].float() / _LONGEST_TURN**share
    both = torch.cat([angle, angle], dim=-1)
    return both.cos(), both.sin()


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (B, heads, Q, head_dim); the first half of a head turns with the second."""
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat([-second, first], dim=-1) * sin.to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """(B, heads, Q, head_dim); several heads of q share one of k and v."""
    share = q.shape[1] // k.shape[1]
    if share > 1:
        # expanded, not copied: with one shared head, the usual case, nothing moves
        k, v = (heads[:, :, None].expand(-1, -1, share, -1, -1).flatten(1, 2) for heads in (k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def gated(x: Tensor, more: Tensor, gate: Tensor | None) -> Tensor:
    return x + more if gate is None else x + more * gate


def _unit(x: Tensor) -> Tensor:
    """In float32, of mean square 1 over the last dimension."""
    wide = x.float()
    return wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + _EPS)
