"""What a step of UMM-World's training learns from: weighted tokens of views, and judged moments."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vla_mbpo_ros.algorithms.world_model.dream_data import BoolArray, Judged, Moves
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.builders import Context
from vla_mbpo_ros.world_model.sequence import Kind
from vla_mbpo_ros.world_model.umm import assemble
from vla_mbpo_ros.world_model.umm.assemble import Clean
from vla_mbpo_ros.world_model.umm.losses import Dynamics, Rewards, losses
from vla_mbpo_ros.world_model.umm.model import UmmWorld
from vla_mbpo_ros.world_model.umm.rows import Rows


class Lesson(nn.Module):
    """Both losses in one forward pass: sharded weights are brought together once for both."""

    def __init__(self, net: nn.Module, half: bool) -> None:
        super().__init__()
        self.net, self._half = net, half

    def forward(self, dynamics: Dynamics | None, rewards: Rewards | None) -> tuple[Tensor, Tensor, Tensor]:
        device = next(self.net.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._half):
            found = losses(self.net, dynamics, rewards)  # type: ignore[arg-type]
        return found.total, found.mse.detach(), found.ce.detach()


def weights_of(rows: Rows, moves: Moves, changed: float) -> dict[int, Tensor]:
    """NOISE block -> (B, T): more where the view will change."""
    moved = (moves.after.latents - moves.now.latents).square().mean(dim=-1)  # (B, V, T)
    share = moved / moved.amax(dim=-1, keepdim=True).clamp(min=1e-6)
    weight = 1.0 + changed * share
    weight = weight / weight.mean()
    return {block: weight[:, rows.form.blocks[block].view] for block in rows.form.images(Kind.NOISE)}


def rewards_of(world: UmmWorld, judged: Judged, weight: FloatArray | None = None) -> Rewards:
    """Questions about these views, with their answers."""
    words, device = world.around.vocabulary, world.net.device
    blocks = assemble.reward_blocks(world.shape, words, judged.instructions)
    rows = assemble.branches(blocks, words, (Context.ALL,), device)
    targets = torch.tensor([words.yes if done else words.no for done in judged.done], device=device)
    counted = None if weight is None else torch.from_numpy(weight).float().to(device)
    return Rewards(rows, assemble.images(rows, [judged.views]), targets, counted)


def joined(groups: list[Judged]) -> Judged:
    """True moments, then dreamt ones."""
    if len(groups) == 1:
        return groups[0]
    latents = torch.cat([group.views.latents for group in groups])
    texts = tuple(text for group in groups for text in group.instructions)
    done: BoolArray = np.concatenate([group.done for group in groups])
    return Judged(Clean(latents, None), texts, done)
