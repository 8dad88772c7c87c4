"""The network over a layout: everything becomes a token, two experts think, and two heads read.

    text ids ──words───────────────────────────────┐                   ┌─ understanding ──head──> logits
    VIT      ──encoder, connector, + place─────────┼──> trunk ──norms──┤
    LATENT, NOISE ──linear, + time t, + place──────┘    │  ▲            └─ generation ──linear──> velocity
                                                        ▼  │
                                                        cache

Training sends a whole sequence through at once (`whole`). Sampling sends it stretch by stretch (`run`) and keeps
keys and values. Both give the same numbers: what is noise yet is seen by nobody else (`mask.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.world_model.umm.cache import Cache
from vla_mbpo_ros.world_model.umm.config import UmmConfig
from vla_mbpo_ros.world_model.umm.embed import Connector, TimeEmbedder, level_codes, sine_table
from vla_mbpo_ros.world_model.umm.layers import Trunk
from vla_mbpo_ros.world_model.umm.rows import Part, Rows
from vla_mbpo_ros.world_model.umm.vit import Vit

Tokens = dict[int, Tensor]  # image block -> (B, tokens, width)


@dataclass(frozen=True)
class Images:
    """What stands in the image blocks, by the number of the block."""

    latents: Mapping[int, Tensor] = field(default_factory=dict)  # LATENT, NOISE: (B, T, latent width)
    pixels: Mapping[int, Tensor] = field(default_factory=dict)  # VIT: (B, 3, H, W) in [-1, 1]
    times: Mapping[int, Tensor] = field(default_factory=dict)  # flow time (B,); a block without is clean: t = 0


class UmmNet(nn.Module):
    """A mixture of transformers with a word head and a flow head."""

    latent_place: Tensor
    vit_place: Tensor

    def __init__(self, cfg: UmmConfig) -> None:
        super().__init__()
        width = cfg.trunk.width
        self.cfg = cfg
        self.words = nn.Embedding(cfg.trunk.vocabulary, width)
        self.trunk = Trunk(cfg.trunk)
        self.head = nn.Linear(width, cfg.trunk.vocabulary, bias=False)
        self.time = TimeEmbedder(width)
        self.latent_in = nn.Linear(cfg.latent.width, width)
        self.latent_out = nn.Linear(width, cfg.latent.width)
        if cfg.vit.layers:
            self.vit = Vit(cfg.vit)
            self.connector = Connector(cfg.vit.width, width)
        self.make_tables()
        nn.init.normal_(self.words.weight, std=width**-0.5)
        nn.init.zeros_(self.latent_out.weight)
        nn.init.zeros_(self.latent_out.bias)

    def make_tables(self, device: torch.device | str | None = None) -> None:
        """The two tables of places; they follow from the formula and are in no checkpoint of ours."""
        width = self.cfg.trunk.width
        for name, grid in (("latent_place", self.cfg.latent.grid), ("vit_place", self.cfg.vit.grid)):
            self.register_buffer(name, sine_table(width, grid).to(device), persistent=False)

    @property
    def dtype(self) -> torch.dtype:
        return self.trunk.dtype

    @property
    def device(self) -> torch.device:
        return self.words.weight.device

    def image_tokens(self, images: Images) -> Tokens:
        """Every image block as tokens; all blocks of a sort go through its encoder together."""
        return {**self._latent_tokens(images), **self._vit_tokens(images.pixels)}

    def embed(self, part: Part, layout: Rows, tokens: Tokens) -> Tensor:
        """(B, Q, width) in the order of the span."""
        x: Tensor = self.words(part.ids)
        for block in range(len(layout.form.blocks)):
            place = layout.form.image_place(block)
            if layout.form.blocks[block].is_image and part.span.start <= place.start < part.span.stop:
                if block not in tokens:
                    raise ContractError(f"Nothing stands in image block {block}.", "Give its latents or its pixels.")
                x[:, place.start - part.span.start : place.stop - part.span.start] = tokens[block].to(x.dtype)
        return x

    def run(self, part: Part, embedded: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """What the trunk makes of these columns (B, Q, width), in the order of the span, and their keys and values."""
        order = part.columns - part.span.start
        before = None if cache is None else cache.layers
        hidden, kept = self.trunk(embedded[:, order], part.split, part.position, part.mask, before)
        return hidden[:, part.back], Cache(kept, part.columns)

    def whole(self, layout: Rows, tokens: Tokens) -> Tensor:
        """A whole sequence under its mask (B, L, width)."""
        part = layout.whole()
        return self.run(part, self.embed(part, layout, tokens))[0]

    def velocity(self, hidden: Tensor) -> Tensor:
        """Of tokens of a NOISE block (B, T, width) -> (B, T, latent width) float32."""
        result: Tensor = self.latent_out(hidden)
        return result.float()

    def logits(self, hidden: Tensor, words: list[int] | None = None) -> Tensor:
        """Of a text token (…, width) -> (…, vocabulary), or of the `words` alone, float32."""
        table = self.head.weight if words is None else self.head.weight[words]
        return (hidden @ table.T).float()

    def _latent_tokens(self, images: Images) -> Tokens:
        blocks = list(images.latents)
        if not blocks:
            return {}
        clean = torch.zeros(len(images.latents[blocks[0]]), device=self.device)
        latents = torch.stack([images.latents[block] for block in blocks], dim=1)  # (B, blocks, T, latent width)
        times = torch.stack([images.times.get(block, clean) for block in blocks], dim=1)
        found = self.latent_in(latents.to(self.dtype)) + self.time(times)[:, :, None]
        found = found + self.latent_place.to(self.dtype)
        return dict(zip(blocks, found.unbind(1), strict=True))

    def _vit_tokens(self, pixels: Mapping[int, Tensor]) -> Tokens:
        if not pixels:
            return {}
        if not self.cfg.vit.layers:
            raise ContractError("Pixels came to a network without a vision encoder.", "Give latents only.")
        seen = self.connector(self.vit(torch.cat(list(pixels.values()))))
        found = seen + self.vit_place.to(seen.dtype)
        return dict(zip(pixels, found.chunk(len(pixels)), strict=True))


def fresh_net(cfg: UmmConfig, seed: int, levels: Sequence[range] = ()) -> UmmNet:
    """Random weights, which depend on the seed alone. `levels` are the words of each joint's levels, in order:
    neighbours begin alike, for so few data say nothing of most of them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = UmmNet(cfg)
    generator = torch.Generator().manual_seed(seed)
    for words in levels:
        joint = torch.randn(cfg.trunk.width, generator=generator) * cfg.trunk.width**-0.5
        codes = level_codes(len(words), cfg.trunk.width, generator) + joint
        net.words.weight.data[words.start : words.stop] = codes
    return net
