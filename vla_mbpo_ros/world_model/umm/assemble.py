"""From words, levels and pictures to what the network takes.

texts of B rows ──builders──> blocks ──layout──> Rows          one form: every text gets the longest one's room
pictures (B, V, 3, S, S) ──autoencoder, resize──> Clean ──by block──> Images
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor

from vla_mbpo_ros.models.autoencoder import Autoencoder
from vla_mbpo_ros.world_model.builders import (
    Context,
    DropOut,
    Shape,
    drop_out,
    dynamics_sequence,
    only,
    reward_sequence,
)
from vla_mbpo_ros.world_model.details import Details
from vla_mbpo_ros.world_model.sequence import Block, IntArray, Kind, layout
from vla_mbpo_ros.world_model.umm.config import LatentConfig, UmmConfig
from vla_mbpo_ros.world_model.umm.embed import patches, unpatched
from vla_mbpo_ros.world_model.umm.net import Images
from vla_mbpo_ros.world_model.umm.rows import Rows, rows
from vla_mbpo_ros.world_model.vocabulary import Vocabulary

Ids = tuple[int, ...]


class Cut(Protocol):
    """Settings of any model that imagines in latents."""

    @property
    def latent(self) -> LatentConfig: ...


@dataclass(frozen=True)
class Clean:
    """Views at one moment, as the two experts see them."""

    latents: Tensor  # (B, V, T, latent width)
    pixels: Tensor | None  # (B, V, 3, H, W) in [-1, 1]; none without a vision encoder


def dynamics_blocks(
    shape: Shape,
    words: Vocabulary,
    instructions: Sequence[str],
    levels: IntArray,
    state: IntArray | None,
    repeat_actions: bool = True,
) -> list[tuple[Block, ...]]:
    """A sequence for each row; `levels` (B, K, N), `state` (B, N) where actions are differences from it."""
    tasks = [words.task(one) for one in instructions]

    def prompt(row: int, view: int) -> Ids:
        if view and not repeat_actions:
            return words.prompt(view, ())
        return words.prompt(view, levels[row].tolist(), () if state is None else state[row].tolist())

    prompts = [[prompt(row, view) for view in range(shape.views)] for row in range(len(tasks))]
    rooms = [_room(shape.prompt_room, [row[view] for row in prompts]) for view in range(shape.views)]
    roomy = replace(shape, text_room=_room(shape.text_room, tasks))
    return [dynamics_sequence(roomy, task, own, rooms) for task, own in zip(tasks, prompts, strict=True)]


def reward_blocks(shape: Shape, words: Vocabulary, instructions: Sequence[str]) -> list[tuple[Block, ...]]:
    questions = [words.question(one) for one in instructions]
    roomy = replace(shape, text_room=_room(shape.text_room, questions))
    return [reward_sequence(roomy, question, words.answer) for question in questions]


def branches(
    blocks: Sequence[Sequence[Block]], words: Vocabulary, which: Sequence[Context], device: torch.device
) -> Rows:
    """All rows in the first context, then all in the next, …"""
    return rows([layout(only(one, context), words.markers, dense=True) for context in which for one in blocks], device)


def dropped(
    blocks: Sequence[Sequence[Block]],
    words: Vocabulary,
    rates: DropOut,
    generator: np.random.Generator,
    device: torch.device,
) -> Rows:
    """Rows for training, each with its own blocks left out."""
    return rows([layout(drop_out(one, rates, generator), words.markers, dense=True) for one in blocks], device)


def images(form: Rows, moments: Sequence[Clean]) -> Images:
    """What stands in each image block; `moments` are the views now and, if they are known, after the chunk.

    In a NOISE block stands the view as it will be, if that is known: what training learns.
    """
    latents, pixels = {}, {}
    for index in form.form.images(Kind.LATENT, Kind.NOISE, Kind.VIT):
        block = form.form.blocks[index]
        if block.time >= len(moments):
            continue
        held = moments[block.time]
        if block.kind is not Kind.VIT:
            latents[index] = held.latents[:, block.view]
        elif held.pixels is not None:
            pixels[index] = held.pixels[:, block.view]
    return Images(latents, pixels)


def clean(pictures: Tensor, autoencoder: Autoencoder, cfg: UmmConfig) -> Clean:
    """Of pictures (B, V, 3, H, W) in [-1, 1], as `pictures.to_network` gives them."""
    seen = for_vit(pictures.flatten(0, 1), cfg) if cfg.vit.layers else None
    pixels = None if seen is None else seen.reshape(*pictures.shape[:2], *seen.shape[1:])
    return Clean(encoded(pictures, autoencoder, cfg), pixels)


def encoded(pictures: Tensor, autoencoder: Autoencoder, cfg: Cut) -> Tensor:
    """(B, V, 3, H, W) in [-1, 1] -> (B, V, T, latent width)"""
    latents = autoencoder.encode(pictures.flatten(0, 1).to(_type(autoencoder))).float()
    tokens = to_tokens(latents, cfg)
    return tokens.reshape(*pictures.shape[:2], *tokens.shape[1:])


def for_vit(pictures: Tensor, cfg: UmmConfig) -> Tensor:
    """(B, 3, H, W) brought to the size that the vision encoder takes."""
    size = (cfg.vit.height, cfg.vit.breadth)
    if pictures.shape[-2:] == size:
        return pictures
    return F.interpolate(pictures, size, mode="bicubic", antialias=True, align_corners=False).clamp(-1.0, 1.0)


def to_tokens(latents: Tensor, cfg: Cut) -> Tensor:
    """The autoencoder's latents (B, C, h, w) -> (B, T, latent width)."""
    return patches(latents, cfg.latent.patch)


def from_tokens(tokens: Tensor, cfg: Cut) -> Tensor:
    """The way back."""
    return unpatched(tokens, cfg.latent.grid, cfg.latent.patch)


def decoded(tokens: Tensor, autoencoder: Autoencoder, cfg: Cut) -> Tensor:
    """Latent tokens (B, T, latent width) -> pictures (B, 3, H, W) in [-1, 1]."""
    pictures: Tensor = autoencoder.decode(from_tokens(tokens, cfg).to(_type(autoencoder)))
    return pictures.float().clamp(-1.0, 1.0)


def details(now: Tensor, latents: Tensor, autoencoder: Autoencoder, cfg: Cut) -> Details | None:
    """Of views (B, V, 3, H, W) in [-1, 1] and their latents; none if dreams shall keep none."""
    if not cfg.latent.details:
        return None
    views = [decoded(each, autoencoder, cfg) for each in latents.unbind(1)]
    return Details(now, torch.stack(views, dim=1), 2.0 * cfg.latent.details)


def picture(view: int, tokens: Tensor, autoencoder: Autoencoder, cfg: Cut, kept: Details | None) -> Tensor:
    """A dream of this view, (B, T, latent width) -> (B, 3, H, W) in [-1, 1]"""
    made = decoded(tokens, autoencoder, cfg)
    return made if kept is None else kept.given_to(made, view)


def _type(autoencoder: Autoencoder) -> torch.dtype:
    return next(autoencoder.parameters()).dtype


def _room(room: int, texts: Sequence[Ids]) -> int:
    return room or max(len(ids) for ids in texts)
