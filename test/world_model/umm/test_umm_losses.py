"""What training minimises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_umm import BLIND, SMALL, WORDS, clean_views, shape_of, small_net, some_levels

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.flow import velocity_target
from vla_mbpo_ros.world_model.builders import Context, DropOut
from vla_mbpo_ros.world_model.umm import assemble
from vla_mbpo_ros.world_model.umm.config import UmmConfig, preset
from vla_mbpo_ros.world_model.umm.losses import Dynamics, Rewards, draw, dynamics_loss, losses, training_time
from vla_mbpo_ros.world_model.umm.net import UmmNet
from vla_mbpo_ros.world_model.umm.reward import answers, success

CPU = torch.device("cpu")
TASKS = ["push it", "lift it up"]


def dynamics(net: UmmNet, cfg: UmmConfig, rates: DropOut | None = None) -> Dynamics:
    blocks = assemble.dynamics_blocks(shape_of(cfg), WORDS, TASKS, some_levels(2), None)
    layout = assemble.dropped(blocks, WORDS, rates or DropOut(0.0, 0.0, 0.0), np.random.default_rng(0), CPU)
    found = assemble.images(layout, [clean_views(cfg, 2, 1), clean_views(cfg, 2, 2)])
    return Dynamics(layout, found, *draw(layout, net, torch.Generator().manual_seed(0)))


def rewards(cfg: UmmConfig) -> Rewards:
    blocks = assemble.reward_blocks(shape_of(cfg), WORDS, TASKS)
    layout = assemble.branches(blocks, WORDS, (Context.ALL,), CPU)
    found = assemble.images(layout, [clean_views(cfg, 2, 3)])
    return Rewards(layout, found, torch.tensor([WORDS.yes, WORDS.no]))


def test_times_lie_between_data_and_noise_and_are_shifted_towards_noise() -> None:
    plain = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    t = training_time(plain, 4.0)
    assert t.min() > 0.0
    assert t.max() < 1.0
    assert abs(float(t.median()) - 0.8) < 0.02  # 4 · ½ / (1 + 3 · ½)


def test_the_loss_is_the_error_of_the_velocity_at_the_noise() -> None:
    net = small_net()
    torch.nn.init.zeros_(net.latent_out.weight)
    torch.nn.init.zeros_(net.latent_out.bias)
    batch = dynamics(net, SMALL)
    pairs = [(batch.images.latents[block], eps) for block, eps in batch.noise.items()]
    wanted = torch.stack([velocity_target(x0, eps).square().mean() for x0, eps in pairs]).mean()
    torch.testing.assert_close(dynamics_loss(net, batch), wanted)


def test_a_token_counts_by_its_weight() -> None:
    net = small_net()
    batch = dynamics(net, SMALL)
    head, wrist = batch.noise
    rows, tokens = 2, SMALL.latent.tokens
    only_head = {head: torch.ones(rows, tokens), wrist: torch.zeros(rows, tokens)}
    only_wrist = {head: torch.zeros(rows, tokens), wrist: torch.ones(rows, tokens)}
    parts = [
        dynamics_loss(net, Dynamics(batch.rows, batch.images, batch.noise, batch.times, weight))
        for weight in (only_head, only_wrist)
    ]
    torch.testing.assert_close(dynamics_loss(net, batch), torch.stack(parts).mean())


def test_the_total_weighs_both_sorts_for_bagel_as_the_paper_does() -> None:
    net = small_net()
    net.cfg = replace(net.cfg, loss=preset("bagel_7b").loss)
    both = losses(net, dynamics(net, SMALL), rewards(SMALL))
    torch.testing.assert_close(both.total, 1.0 * both.mse + 0.01 * both.ce)
    assert float(losses(net, None, rewards(SMALL)).mse) == 0.0
    with pytest.raises(ContractError, match="without samples"):
        losses(net, None, None)


@pytest.mark.parametrize("cfg", [SMALL, BLIND], ids=["with vision encoder", "latents only"])
def test_steps_on_one_batch_lower_both_losses(cfg: UmmConfig) -> None:
    torch.manual_seed(0)
    net = UmmNet(cfg).train()
    batch, asked = dynamics(net, cfg, DropOut()), rewards(cfg)
    learner = torch.optim.AdamW(net.parameters(), lr=5e-3)
    seen = []
    for _ in range(30):
        found = losses(net, batch, asked)
        learner.zero_grad()
        (found.mse + found.ce).backward()
        learner.step()
        seen.append((float(found.mse.detach()), float(found.ce.detach())))
    assert seen[-1][0] < 0.6 * seen[0][0]
    assert seen[-1][1] < 0.2 * seen[0][1]
    with torch.no_grad():
        p = success(net.eval(), asked.rows, net.image_tokens(asked.images), WORDS)
    assert p[0] > 0.5 > p[1]


def test_success_is_the_share_of_yes_among_yes_and_no() -> None:
    net, batch = small_net(), rewards(SMALL)
    with torch.no_grad():
        tokens = net.image_tokens(batch.images)
        both = answers(net, batch.rows, tokens).softmax(-1)[:, [WORDS.yes, WORDS.no]]
        torch.testing.assert_close(success(net, batch.rows, tokens, WORDS), both[:, 0] / both.sum(-1))


def test_judging_with_a_vision_encoder_needs_the_understanding_expert_alone() -> None:
    layout = rewards(SMALL).rows
    assert not layout.form.generation.any()
    assert rewards(BLIND).rows.form.generation.any()
