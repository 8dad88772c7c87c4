"""The grid, guidance, and views out of noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_umm import GUIDED, SMALL, WORDS, clean_views, held, shape_of, small_net, some_levels

from vla_mbpo_ros.world_model.builders import Context
from vla_mbpo_ros.world_model.sequence import Kind
from vla_mbpo_ros.world_model.umm import assemble
from vla_mbpo_ros.world_model.umm.config import SamplerConfig, UmmConfig, preset
from vla_mbpo_ros.world_model.umm.net import UmmNet
from vla_mbpo_ros.world_model.umm.sampling import (
    contexts,
    forwards,
    grid,
    guide,
    is_guided,
    repeated,
    sample,
    seeded_noise,
)

CPU = torch.device("cpu")
ALL, NO_ACTIONS, NO_IMAGES = Context.ALL, Context.NO_ACTIONS, Context.NO_IMAGES
AFTER = clean_views(SMALL, 3, 5)  # stands for what the views look like when they are encoded again


def dream(net: UmmNet, cfg: UmmConfig, seeds: list[int], levels_seed: int = 0) -> list[torch.Tensor]:
    """Latents of two views, for as many rows as seeds; all rows are alike but for the seed."""
    count = len(seeds)
    levels = np.repeat(some_levels(1, levels_seed), count, axis=0)
    blocks = assemble.dynamics_blocks(shape_of(cfg), WORDS, ["go"] * count, levels, None)
    layout = assemble.branches(blocks, WORDS, contexts(cfg.sampler), CPU)
    now = clean_views(cfg, 1, 3)
    now = assemble.Clean(now.latents.expand(count, -1, -1, -1), now.pixels.expand(count, -1, -1, -1, -1))  # type: ignore[union-attr]
    tokens = repeated(net.image_tokens(assemble.images(layout, [now])), len(contexts(cfg.sampler)))
    with torch.no_grad():
        return sample(
            net,
            layout,
            tokens,
            seeded_noise(seeds, layout, net),
            lambda view, made: {kind: x[:1].expand(count, *x.shape[1:]) for kind, x in held(AFTER, view).items()},
        )


def test_the_grid_goes_from_noise_to_data_and_lingers_near_noise() -> None:
    assert grid(4, 1.0) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert grid(2, 4.0) == pytest.approx([1.0, 0.8, 0.0])
    times = grid(49, 4.0)
    assert len(times) == 50
    assert times == sorted(times, reverse=True)


def test_bagel_guides_42_of_49_steps_and_ten_steps_need_28_passes() -> None:
    cfg = preset("bagel_7b")
    assert sum(is_guided(t, cfg.sampler) for t in grid(49, cfg.timestep_shift)[:-1]) == 42
    assert forwards(cfg.sampler, cfg.timestep_shift) == 133
    assert forwards(replace(cfg.sampler, euler_steps=10), cfg.timestep_shift) == 28


def test_small_models_compute_no_branch_but_the_full_one() -> None:
    assert contexts(preset("tiny").sampler) == (ALL,)
    assert contexts(SamplerConfig(text_scale=2.0)) == (ALL, NO_ACTIONS)
    assert forwards(preset("tiny").sampler, 4.0) == preset("tiny").sampler.euler_steps


def test_scales_of_one_are_no_guidance() -> None:
    v, text, image = (torch.randn(2, 3, 4) for _ in range(3))
    found = guide({ALL: v, NO_ACTIONS: text, NO_IMAGES: image}, SamplerConfig())
    torch.testing.assert_close(found, v)


def test_guidance_goes_from_the_poorer_context_through_the_full_one() -> None:
    v, text, image = (torch.randn(2, 3, 4) * 1e-3 for _ in range(3))
    wide = {ALL: v, NO_ACTIONS: text, NO_IMAGES: image}
    u = text + 6.0 * (v - text)
    w = image + 2.0 * (u - image)
    share = (v.flatten(1).norm(dim=1) / w.flatten(1).norm(dim=1)).clamp(max=1.0)[:, None, None]
    found = guide(wide, SamplerConfig(text_scale=6.0, image_scale=2.0))
    torch.testing.assert_close(found, w * share, rtol=1e-4, atol=1e-7)


def test_the_rescale_shortens_each_row_on_its_own_and_never_lengthens() -> None:
    v = torch.ones(2, 1, 4)
    v[1] *= 10.0
    poor = torch.stack([-torch.ones(1, 4), 9.0 * torch.ones(1, 4)])  # the second row: u = 9 + 2 (10 - 9) = 11
    found = guide({ALL: v, NO_ACTIONS: poor}, SamplerConfig(text_scale=2.0))
    torch.testing.assert_close(found.norm(dim=(1, 2)), v.norm(dim=(1, 2)))
    shorter = guide({ALL: v, NO_ACTIONS: 1.5 * v}, SamplerConfig(text_scale=1.5))
    torch.testing.assert_close(shorter, 0.75 * v)  # 1.5 v + 1.5 (v - 1.5 v) = 0.75 v


def test_a_row_depends_on_its_own_seed_alone() -> None:
    net = small_net()
    together, other = dream(net, SMALL, [4, 5, 6]), dream(net, SMALL, [9, 5])
    for view in range(2):
        torch.testing.assert_close(together[view][1], other[view][1], atol=1e-5, rtol=1e-5)
        assert (together[view][0] - together[view][1]).abs().max() > 0.1
        assert torch.equal(dream(net, SMALL, [4, 5, 6])[view], together[view])


def test_views_of_one_row_begin_with_different_noise() -> None:
    net = small_net()
    blocks = assemble.dynamics_blocks(shape_of(SMALL), WORDS, ["go"], some_levels(1), None)
    layout = assemble.branches(blocks, WORDS, (ALL,), CPU)
    head, wrist = seeded_noise([3], layout, net).values()
    assert head.shape == (1, SMALL.latent.tokens, SMALL.latent.width)
    assert not torch.equal(head, wrist)


def test_guidance_within_no_interval_changes_nothing() -> None:
    net = small_net()
    never = replace(GUIDED, sampler=replace(GUIDED.sampler, guided_from=1.0))
    plain = dream(net, SMALL, [1, 2])
    net.cfg = never
    for one, other in zip(plain, dream(net, never, [1, 2]), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_guidance_makes_other_views_and_actions_matter() -> None:
    net = small_net()
    plain, others = dream(net, SMALL, [1]), dream(net, SMALL, [1], levels_seed=9)
    assert (plain[0] - others[0]).abs().max() > 1e-3
    net.cfg = GUIDED
    assert (plain[0] - dream(net, GUIDED, [1])[0]).abs().max() > 1e-3


def test_the_wrist_is_made_after_the_head_was_encoded_again() -> None:
    net, asked = small_net(), []
    blocks = assemble.dynamics_blocks(shape_of(SMALL), WORDS, ["go"], some_levels(1), None)
    layout = assemble.branches(blocks, WORDS, (ALL,), CPU)
    tokens = net.image_tokens(assemble.images(layout, [clean_views(SMALL, 1, 3)]))
    noise = seeded_noise([1], layout, net)

    def wrist(seed: int) -> torch.Tensor:
        def encode(view: int, made: torch.Tensor) -> dict[Kind, torch.Tensor]:
            asked.append((view, made))
            return held(clean_views(SMALL, 1, seed), view)

        with torch.no_grad():
            head, last = sample(net, layout, tokens, noise, encode)
        assert torch.equal(head, asked[-1][1])
        return last

    assert (wrist(1) - wrist(2)).abs().max() > 1e-3
    assert [view for view, _ in asked] == [0, 0]  # nobody sees the last view, so it is not encoded


def test_a_pause_can_end_it_between_two_steps() -> None:
    class TimeUp(Exception):
        pass

    net, calls = small_net(), []
    blocks = assemble.dynamics_blocks(shape_of(SMALL), WORDS, ["go"], some_levels(1), None)
    layout = assemble.branches(blocks, WORDS, (ALL,), CPU)
    tokens = net.image_tokens(assemble.images(layout, [clean_views(SMALL, 1, 3)]))

    def pause() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise TimeUp

    with pytest.raises(TimeUp), torch.no_grad():
        sample(net, layout, tokens, seeded_noise([1], layout, net), lambda view, made: held(AFTER, view), pause)
