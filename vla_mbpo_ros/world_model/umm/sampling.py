"""Views out of noise: Euler steps along the guided velocity, view after view.

    texts, views now ──run──> cache ──┬── noise of the head, S steps ──> head ── encoded anew, run ──┐
                                      └─────────────── grown by prompt and head <────────────────────┘
                                      └── noise of the wrist, S steps ──> wrist

    grid       t' = s t / (1 + (s - 1) t) of t = 1, 1 - 1/S, …, 0
    guided     u = v_no_actions + text_scale  (v - v_no_actions)
               w = v_no_images  + image_scale (u - v_no_images)
               w · min(1, |v| / |w|)       a norm over all tokens of a view: guidance turns the velocity, never grows it

A branch whose scale is 1 is not computed. All branches are rows of one batch: first all samples with everything, then
all without actions, then all without images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from vla_mbpo_ros.models.randomness import normal
from vla_mbpo_ros.world_model.builders import Context
from vla_mbpo_ros.world_model.protocol import Pause, go_on
from vla_mbpo_ros.world_model.sequence import Kind, Stage, stages
from vla_mbpo_ros.world_model.umm.cache import Cache
from vla_mbpo_ros.world_model.umm.config import SamplerConfig
from vla_mbpo_ros.world_model.umm.net import Images, Tokens, UmmNet
from vla_mbpo_ros.world_model.umm.rows import Part, Rows

_SMALL = 1e-8  # keeps the rescale finite where the guided velocity is zero
_ROUNDING = 1e-6  # of the grid: with 49 steps one moment is 0.4 itself, where guidance has ended already
Encode = Callable[[int, Tensor], Mapping[Kind, Tensor]]  # view, latents (B, T, D) -> what its clean copies hold
Sampler = Callable[[UmmNet, Rows, Tokens, Mapping[int, Tensor], Encode, Pause], list[Tensor]]  # as `sample` is


def contexts(cfg: SamplerConfig) -> tuple[Context, ...]:
    """The branches that guidance needs, the full one first."""
    found = [Context.ALL]
    if cfg.text_scale != 1.0:
        found.append(Context.NO_ACTIONS)
    if cfg.image_scale != 1.0:
        found.append(Context.NO_IMAGES)
    return tuple(found)


def grid(steps: int, shift: float) -> list[float]:
    """Flow times from 1, noise, to 0: steps + 1 of them."""
    even = [1.0 - step / steps for step in range(steps + 1)]
    return [shifted(t, shift) for t in even]


def shifted(t: float, shift: float) -> float:
    return shift * t / (1.0 + (shift - 1.0) * t)


def is_guided(t: float, cfg: SamplerConfig) -> bool:
    return len(contexts(cfg)) > 1 and cfg.guided_from + _ROUNDING < t <= cfg.guided_to + _ROUNDING


def forwards(cfg: SamplerConfig, shift: float) -> int:
    """Passes through the trunk for one view of one sample, without what fills the cache."""
    branches = len(contexts(cfg))
    return sum(branches if is_guided(t, cfg) else 1 for t in grid(cfg.euler_steps, shift)[:-1])


def guide(branches: Mapping[Context, Tensor], cfg: SamplerConfig) -> Tensor:
    """The guided velocity (B, T, D) from that of every branch."""
    plain = found = branches[Context.ALL]
    for context, scale in ((Context.NO_ACTIONS, cfg.text_scale), (Context.NO_IMAGES, cfg.image_scale)):
        if context in branches:
            found = branches[context] + scale * (found - branches[context])
    share = _norm(plain) / (_norm(found) + _SMALL)
    return found * share.clamp(max=1.0)


def sample(
    net: UmmNet,
    layout: Rows,
    tokens: Tokens,
    noise: Mapping[int, Tensor],
    encode: Encode,
    pause: Pause = go_on,
) -> list[Tensor]:
    """Latents (B, T, D) of every view, in the order of the layout.

    `layout` and `tokens` have the rows of every branch; `noise` is by NOISE block and has B rows.
    """
    tokens, cache = dict(tokens), None
    made: list[Tensor] = []
    plan = stages(layout.form)
    for number, stage in enumerate(plan):
        cache = _filled(net, layout, tokens, stage, cache)
        made.append(_solve(net, layout, stage, cache, noise[stage.block], pause))
        if number + 1 < len(plan):
            branches = len(layout) // len(made[-1])
            tokens.update(clean_copies(net, layout, stage, encode, made[-1], branches))
    return made


def _filled(net: UmmNet, layout: Rows, tokens: Tokens, stage: Stage, cache: Cache | None) -> Cache:
    part = layout.part(stage.fill, None if cache is None else cache.columns)
    _, more = net.run(part, net.embed(part, layout, tokens), cache)
    return more if cache is None else cache.grown(more)


def _solve(net: UmmNet, layout: Rows, stage: Stage, cache: Cache, x: Tensor, pause: Pause) -> Tensor:
    """x (B, T, D) from noise to data."""
    cfg, rows = net.cfg.sampler, len(x)
    part = layout.part(stage.noise, cache.columns)
    alone = (part.first(rows), cache.first(rows))
    moments = grid(cfg.euler_steps, net.cfg.timestep_shift)
    for t, following in pairwise(moments):
        pause()
        if is_guided(t, cfg):
            both = _velocity(net, layout, stage, part, cache, x.repeat(len(contexts(cfg)), 1, 1), t)
            v = guide(dict(zip(contexts(cfg), both.chunk(len(both) // rows), strict=True)), cfg)
        else:
            v = _velocity(net, layout, stage, *alone, x, t)
        x = x - (t - following) * v
    return x


def _velocity(net: UmmNet, layout: Rows, stage: Stage, part: Part, cache: Cache, x: Tensor, t: float) -> Tensor:
    times = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
    tokens = net.image_tokens(Images({stage.block: x}, times={stage.block: times}))
    hidden, _ = net.run(part, net.embed(part, layout, tokens), cache)
    return net.velocity(hidden[:, 1:-1])  # without the markers


def clean_copies(net: UmmNet, layout: Rows, stage: Stage, encode: Encode, made: Tensor, branches: int) -> Tokens:
    """Tokens of the blocks in which later views see the view that was made."""
    after = [
        index
        for index in layout.form.images(Kind.LATENT, Kind.VIT)
        if layout.form.blocks[index].view == stage.view and layout.form.blocks[index].time == 1
    ]
    if not after:
        return {}
    held = encode(stage.view, made)
    by_kind: dict[Kind, dict[int, Tensor]] = {Kind.LATENT: {}, Kind.VIT: {}}
    for index in after:
        kind = layout.form.blocks[index].kind
        by_kind[kind][index] = held[kind]
    return repeated(net.image_tokens(Images(by_kind[Kind.LATENT], by_kind[Kind.VIT])), branches)


def repeated(tokens: Tokens, branches: int) -> Tokens:
    """The same images in every branch."""
    return {block: found.repeat(branches, 1, 1) for block, found in tokens.items()}


def _norm(v: Tensor) -> Tensor:
    """(B, 1, 1)"""
    return v.square().sum(dim=(1, 2), keepdim=True).sqrt()


def seeded_noise(seeds: Sequence[int], layout: Rows, net: UmmNet) -> dict[int, Tensor]:
    """Where every view begins: row b depends on seeds[b] and the view alone."""
    shape, spread = (net.cfg.latent.tokens, net.cfg.latent.width), net.cfg.sampler.spread
    blocks = layout.form.images(Kind.NOISE)
    return {block: spread * normal(seeds, layout.form.blocks[block].view, shape, net.device) for block in blocks}
