"""What a training step learns from: views after a chunk, and answers.

    dynamics   squared error of the velocity at every NOISE block      x_t = (1 - t) x0 + t eps,  v = eps - x0
    reward     cross entropy of Yes or No over the whole vocabulary

    loss = mse_weight · dynamics + ce_weight · reward

t = sigmoid(normal), then shifted as the sampler's grid is. One pass trains every view, each as if it were made alone
(`mask.py`). The two sorts of samples have sequences of different forms and are two passes; a step takes both, so that
neither forgets the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.flow import interpolate, velocity_target
from vla_mbpo_ros.world_model.sequence import Kind
from vla_mbpo_ros.world_model.umm.net import Images, UmmNet
from vla_mbpo_ros.world_model.umm.reward import answers
from vla_mbpo_ros.world_model.umm.rows import Rows


@dataclass(frozen=True)
class Dynamics:
    """Samples of what chunks led to. Dropped blocks have images too; nobody sees them."""

    rows: Rows
    images: Images  # clean; in a NOISE block stands x0
    noise: dict[int, Tensor]  # NOISE block -> eps (B, T, D)
    times: dict[int, Tensor]  # NOISE block -> t (B,), shifted already
    weight: dict[int, Tensor] | None = None  # NOISE block -> (B, T), how much each token counts


@dataclass(frozen=True)
class Rewards:
    """Samples of views, questions and answers."""

    rows: Rows
    images: Images
    targets: Tensor  # (B,) the id of the right answer
    weight: Tensor | None = None  # (B,)


@dataclass(frozen=True)
class Losses:
    """Each is a mean over what it counts; zero without samples of its sort."""

    total: Tensor
    mse: Tensor
    ce: Tensor


def training_time(normal: Tensor, shift: float) -> Tensor:
    """Flow times from standard normal numbers of any shape."""
    t = torch.sigmoid(normal)
    return shift * t / (1.0 + (shift - 1.0) * t)


def draw(rows: Rows, net: UmmNet, generator: torch.Generator) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """Noise and times for every NOISE block, each with a moment of its own. The generator is of the CPU."""
    shape = (len(rows), net.cfg.latent.tokens, net.cfg.latent.width)
    noise, times = {}, {}
    for block in rows.form.images(Kind.NOISE):
        noise[block] = torch.randn(shape, generator=generator).to(net.device)
        plain = torch.randn(len(rows), generator=generator)
        times[block] = training_time(plain, net.cfg.timestep_shift).to(net.device)
    return noise, times


def losses(net: UmmNet, dynamics: Dynamics | None, rewards: Rewards | None) -> Losses:
    """Of one step; either sort may be missing, not both."""
    if dynamics is None and rewards is None:
        raise ContractError("A training step came without samples.", "Give dynamics, rewards, or both.")
    nothing = torch.zeros((), device=net.device)
    mse = nothing if dynamics is None else dynamics_loss(net, dynamics)
    ce = nothing if rewards is None else reward_loss(net, rewards)
    return Losses(net.cfg.loss.mse_weight * mse + net.cfg.loss.ce_weight * ce, mse, ce)


def dynamics_loss(net: UmmNet, batch: Dynamics) -> Tensor:
    """Mean over all views of the squared error of a number, each token weighted."""
    form, clean = batch.rows.form, batch.images.latents
    noisy = {block: interpolate(clean[block], eps, batch.times[block]) for block, eps in batch.noise.items()}
    images = Images({**clean, **noisy}, batch.images.pixels, batch.times)
    hidden = net.whole(batch.rows, net.image_tokens(images))
    summed = counted = torch.zeros((), device=net.device)
    for block, eps in batch.noise.items():
        v = net.velocity(hidden[:, form.image_place(block)])
        error = (v - velocity_target(clean[block], eps)).square().mean(dim=-1)  # (B, T)
        weight = torch.ones_like(error) if batch.weight is None else batch.weight[block]
        summed, counted = summed + (error * weight).sum(), counted + weight.sum()
    return summed / counted.clamp(min=1e-8)


def reward_loss(net: UmmNet, batch: Rewards) -> Tensor:
    logits = answers(net, batch.rows, net.image_tokens(batch.images))
    each = F.cross_entropy(logits, batch.targets, reduction="none")
    weight = torch.ones_like(each) if batch.weight is None else batch.weight
    return (each * weight).sum() / weight.sum().clamp(min=1e-8)
