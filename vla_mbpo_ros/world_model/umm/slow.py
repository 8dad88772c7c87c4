"""The same views in slower ways, to compare with: `sampling.sample` must give these numbers, only sooner.

    plain        no cache: at every step, for every branch, the whole sequence anew up to the view that is made
    sequential   a cache for each branch, as long as that branch's own sequence; the branches one after the other, as
                 Bagel's own code does

Both take what `sample` takes. What a branch leaves out is not in its sequence here; there it is padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.world_model.builders import Context
from vla_mbpo_ros.world_model.protocol import Pause, go_on
from vla_mbpo_ros.world_model.sequence import Block, BoolArray, IntArray, Kind, Layout, Stage, stages
from vla_mbpo_ros.world_model.umm.cache import Cache
from vla_mbpo_ros.world_model.umm.net import Images, Tokens, UmmNet
from vla_mbpo_ros.world_model.umm.rows import Part, Rows
from vla_mbpo_ros.world_model.umm.sampling import Encode, clean_copies, contexts, grid, guide, is_guided

Velocity = Callable[[Tensor, float], Tensor]


def plain(
    net: UmmNet, layout: Rows, tokens: Tokens, noise: Mapping[int, Tensor], encode: Encode, pause: Pause = go_on
) -> list[Tensor]:
    """Latents (B, T, D) of every view."""

    def branch(stage: Stage, rows: slice, made: Tokens) -> Velocity:
        before = _before(layout.form, stage)
        seen = _cut(layout, rows, before & _used(layout, rows))
        own = {block: found[rows] for block, found in made.items()}

        def velocity(x: Tensor, t: float) -> Tensor:
            hidden = net.whole(seen, {**own, **_noisy(net, stage, x, t)})
            return net.velocity(hidden[:, seen.form.image_place(stage.block)])

        return velocity

    return _views(net, layout, tokens, noise, encode, pause, branch)


def sequential(
    net: UmmNet, layout: Rows, tokens: Tokens, noise: Mapping[int, Tensor], encode: Encode, pause: Pause = go_on
) -> list[Tensor]:
    """Latents (B, T, D) of every view."""
    kept: dict[int, _Kept] = {}

    def branch(stage: Stage, rows: slice, made: Tokens) -> Velocity:
        if rows.start not in kept:
            kept[rows.start] = _Kept(_cut(layout, rows, _used(layout, rows)))
        own = kept[rows.start]
        here = next(one for one in stages(own.seen.form) if one.block == stage.block)
        own.fill(net, here, {block: found[rows] for block, found in made.items()})
        part, cache = own.part(here), own.cache

        def velocity(x: Tensor, t: float) -> Tensor:
            embedded = net.embed(part, own.seen, _noisy(net, stage, x, t))
            return net.velocity(net.run(part, embedded, cache)[0][:, 1:-1])  # without the markers

        return velocity

    return _views(net, layout, tokens, noise, encode, pause, branch)


@dataclass
class _Kept:
    """One branch's own sequence and what it has said so far."""

    seen: Rows
    cache: Cache | None = None

    def fill(self, net: UmmNet, stage: Stage, tokens: Tokens) -> None:
        if stage.fill.start == stage.fill.stop:
            return
        part = self.seen.part(stage.fill, None if self.cache is None else self.cache.columns)
        _, more = net.run(part, net.embed(part, self.seen, tokens), self.cache)
        self.cache = more if self.cache is None else self.cache.grown(more)

    def part(self, stage: Stage) -> Part:
        return self.seen.part(stage.noise, None if self.cache is None else self.cache.columns)


def _views(
    net: UmmNet,
    layout: Rows,
    tokens: Tokens,
    noise: Mapping[int, Tensor],
    encode: Encode,
    pause: Pause,
    branch: Callable[[Stage, slice, Tokens], Velocity],
) -> list[Tensor]:
    cfg, tokens, made = net.cfg.sampler, dict(tokens), []
    which = contexts(cfg)
    for stage in stages(layout.form):
        x = noise[stage.block]
        parts = [slice(len(x) * index, len(x) * (index + 1)) for index in range(len(which))]
        velocities = {context: branch(stage, rows, tokens) for context, rows in zip(which, parts, strict=True)}
        for t, following in pairwise(grid(cfg.euler_steps, net.cfg.timestep_shift)):
            pause()
            if is_guided(t, cfg):
                v = guide({context: velocity(x, t) for context, velocity in velocities.items()}, cfg)
            else:
                v = velocities[Context.ALL](x, t)
            x = x - (t - following) * v
        made.append(x)
        tokens.update(clean_copies(net, layout, stage, encode, x, len(which)))
    return made


def _noisy(net: UmmNet, stage: Stage, x: Tensor, t: float) -> Tokens:
    times = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
    return net.image_tokens(Images({stage.block: x}, times={stage.block: times}))


# ---- parts of a layout ---------------------------------------------------------------------------------------------


def _before(form: Layout, stage: Stage) -> BoolArray:
    """(L,) what the view of `stage` may see, and itself: earlier noise is seen by nobody else."""
    clean_or_own = (form.kind != Kind.NOISE) | (form.block == stage.block)
    return np.asarray(clean_or_own & (np.arange(len(form)) < stage.noise.stop))


def _used(layout: Rows, rows: slice) -> BoolArray:
    """(L,) columns that another token of these rows sees: all but padding."""
    mask = layout.mask if len(layout.mask) == 1 else layout.mask[rows]
    others = mask & ~torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
    return np.asarray(others.any(dim=1).any(dim=0).cpu().numpy())


def _cut(layout: Rows, rows: slice, keep: BoolArray) -> Rows:
    """These rows with these columns. An image is there as a whole or not at all."""
    columns = torch.from_numpy(np.flatnonzero(keep)).to(layout.ids.device)
    mask = layout.mask if len(layout.mask) == 1 else layout.mask[rows]
    return Rows(
        _cut_form(layout.form, np.flatnonzero(keep)),
        layout.ids[rows][:, columns],
        layout.position[rows][:, columns],
        mask[:, columns][:, :, columns],
    )


def _cut_form(form: Layout, columns: IntArray) -> Layout:
    block = form.block[columns]
    there = [bool((block == index).any()) for index in range(len(form.blocks))]
    arrays = ("ids", "kind", "generation", "position", "block", "view", "time", "offset", "padding")
    return replace(
        form,
        blocks=tuple(
            one if here else Block(Kind.TEXT, view=one.view) for one, here in zip(form.blocks, there, strict=True)
        ),
        starts=tuple(int((block == index).argmax()) if here else -1 for index, here in enumerate(there)),
        **{name: getattr(form, name)[columns] for name in arrays},
    )
