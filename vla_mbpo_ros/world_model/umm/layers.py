"""A transformer of two experts (mixture of transformers).

                    understanding: norm, q k v ─┐                       ┌─ out, +, norm, gated layers, +
    tokens, sorted ─┤                           ├─ one attention of all ┤
                    generation:    norm, q k v ─┘                       └─ out, +, norm, gated layers, +

Each expert has weights of its own for everything but the attention itself. The caller sorts the tokens: the first
`split` are of the understanding expert, the rest of the generation expert. Attention does not mind the order (places
and mask tell all), so two slices do what would else be gathered and scattered in every layer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor, nn

from vla_mbpo_ros.world_model.umm.config import TrunkConfig

KeyValue = tuple[Tensor, Tensor]  # (B, kv heads, P, head width) each


class Norm(nn.Module):
    """Root-mean-square norm with a learnt scale. In float32 whatever the rest is."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        unit = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return self.weight.to(x.dtype) * unit.to(x.dtype)


class Expert(nn.Module):
    """One expert's share of a layer: all of it but the attention."""

    def __init__(self, cfg: TrunkConfig) -> None:
        super().__init__()
        self.head_width = cfg.head_width
        self.norm1, self.norm2 = Norm(cfg.width, cfg.norm_eps), Norm(cfg.width, cfg.norm_eps)
        self.q = nn.Linear(cfg.width, cfg.width)
        self.k = nn.Linear(cfg.width, cfg.kv_heads * cfg.head_width)
        self.v = nn.Linear(cfg.width, cfg.kv_heads * cfg.head_width)
        self.q_norm, self.k_norm = Norm(cfg.head_width, cfg.norm_eps), Norm(cfg.head_width, cfg.norm_eps)
        self.out = nn.Linear(cfg.width, cfg.width, bias=False)
        self.gate = nn.Linear(cfg.width, cfg.mlp, bias=False)
        self.up = nn.Linear(cfg.width, cfg.mlp, bias=False)
        self.down = nn.Linear(cfg.mlp, cfg.width, bias=False)

    def open(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, Q, width) -> q, k, v (B, heads, Q, head width); q and k of length one, not yet turned."""
        inner = self.norm1(x)
        q, k, v = (self._heads(layer(inner)) for layer in (self.q, self.k, self.v))
        return self.q_norm(q), self.k_norm(k), v

    def close(self, x: Tensor, mixed: Tensor) -> Tensor:
        """With what the attention gave these tokens (B, Q, width)."""
        x = x + self.out(mixed)
        inner = self.norm2(x)
        result: Tensor = x + self.down(F.silu(self.gate(inner)) * self.up(inner))
        return result

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], -1, self.head_width).transpose(1, 2)


class Layer(nn.Module):
    """Both experts around one attention."""

    def __init__(self, cfg: TrunkConfig) -> None:
        super().__init__()
        self.understanding, self.generation = Expert(cfg), Expert(cfg)

    def forward(
        self, x: Tensor, split: int, turn: KeyValue, mask: Tensor, before: KeyValue | None
    ) -> tuple[Tensor, KeyValue]:
        """x (B, Q, width) -> the same, and its keys and values; `before` are those it sees in front of its own."""
        shares = self._shares(split, x.shape[1])
        opened = [expert.open(x[:, own]) for expert, own in shares]
        q, k, v = (heads[0] if len(heads) == 1 else torch.cat(heads, dim=2) for heads in zip(*opened, strict=True))
        q, k = turned(q, *turn), turned(k, *turn)
        seen = (k, v) if before is None else (torch.cat([before[0], k], dim=2), torch.cat([before[1], v], dim=2))
        mixed = attend(q, *seen, mask).transpose(1, 2).flatten(2)
        closed = [expert.close(x[:, own], mixed[:, own]) for expert, own in shares]
        return closed[0] if len(closed) == 1 else torch.cat(closed, dim=1), (k, v)

    def _shares(self, split: int, tokens: int) -> list[tuple[Expert, slice]]:
        """Each expert with the place of its tokens; one without tokens does not run."""
        both = ((self.understanding, slice(0, split)), (self.generation, slice(split, tokens)))
        return [(expert, own) for expert, own in both if own.stop > own.start]


class Trunk(nn.Module):
    """All layers and each expert's norm behind them."""

    def __init__(self, cfg: TrunkConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.layers = nn.ModuleList(Layer(cfg) for _ in range(cfg.layers))
        self.understanding_norm = Norm(cfg.width, cfg.norm_eps)
        self.generation_norm = Norm(cfg.width, cfg.norm_eps)

    @property
    def dtype(self) -> torch.dtype:
        """In which it computes; its large weights may be kept in fewer bits."""
        return self.understanding_norm.weight.dtype

    def forward(
        self, x: Tensor, split: int, places: Tensor, mask: Tensor, before: list[KeyValue] | None = None
    ) -> tuple[Tensor, list[KeyValue]]:
        """x (B, Q, width) sorted by expert, places (B, Q), mask (B or 1, Q, P + Q), P keys and values before."""
        x = x.to(self.dtype)
        turn = turns(places, self.cfg.head_width, self.cfg.rope_theta)
        kept: list[KeyValue] = []
        for index, layer in enumerate(self.layers):
            x, own = layer(x, split, turn, mask[:, None], None if before is None else before[index])
            kept.append(own)
        return torch.cat([self.understanding_norm(x[:, :split]), self.generation_norm(x[:, split:])], dim=1), kept


def turns(places: Tensor, head_width: int, theta: float) -> KeyValue:
    """Cosines and sines (B, 1, Q, head width) by which a token at its place is turned."""
    share = torch.arange(0, head_width, 2, dtype=torch.float32, device=places.device) / head_width
    angle = places[:, None, :, None].float() * theta**-share
    both = torch.cat([angle, angle], dim=-1)
    return both.cos(), both.sin()


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (B, heads, Q, head width); the first half of a head turns with the second."""
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat([-second, first], dim=-1) * sin.to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """(B, heads, Q, head width); several heads of q share one of k and v; mask (B or 1, 1, Q, P), True is seen."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=q.shape[1] != k.shape[1])
