"""The network over a layout: with a cache, at once, and each expert in its place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_umm import BLIND, SMALL, WORDS, clean_views, held, shape_of, small_net, some_levels

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.world_model.builders import Context
from vla_mbpo_ros.world_model.sequence import Kind, stages
from vla_mbpo_ros.world_model.umm import assemble
from vla_mbpo_ros.world_model.umm.config import UmmConfig
from vla_mbpo_ros.world_model.umm.embed import patches, sine_table, time_waves, unpatched
from vla_mbpo_ros.world_model.umm.layers import attend
from vla_mbpo_ros.world_model.umm.net import Images, UmmNet, fresh_net
from vla_mbpo_ros.world_model.umm.rows import Rows, rows
from vla_mbpo_ros.world_model.umm.sampling import repeated
from vla_mbpo_ros.world_model.vocabulary import ByteVocabulary

CPU = torch.device("cpu")
TASKS = ("push the red one", "lift it")  # of different lengths


def whole_rows(cfg: UmmConfig, which: tuple[Context, ...] = (Context.ALL,)) -> Rows:
    blocks = assemble.dynamics_blocks(shape_of(cfg), WORDS, TASKS, some_levels(2), None)
    return assemble.branches(blocks, WORDS, which, CPU)


def noisy_images(cfg: UmmConfig, layout: Rows) -> Images:
    """Clean views now and after; noise of a moment of its own in each NOISE block."""
    found = assemble.images(layout, [clean_views(cfg, 2, 1), clean_views(cfg, 2, 2)])
    times = {block: torch.full((2,), 0.3 + 0.4 * n) for n, block in enumerate(layout.form.images(Kind.NOISE))}
    return Images(found.latents, found.pixels, times)


def by_stages(net: UmmNet, layout: Rows, images: Images) -> dict[int, torch.Tensor]:
    """Hidden states of every NOISE block, as sampling finds them: through the cache."""
    tokens, cache, found = net.image_tokens(images), None, {}
    for stage in stages(layout.form):
        part = layout.part(stage.fill, None if cache is None else cache.columns)
        _, more = net.run(part, net.embed(part, layout, tokens), cache)
        cache = more if cache is None else cache.grown(more)
        part = layout.part(stage.noise, cache.columns)
        found[stage.block] = net.run(part, net.embed(part, layout, tokens), cache)[0]
    return found


@pytest.mark.parametrize("cfg", [SMALL, BLIND], ids=["with vision encoder", "latents only"])
def test_the_cache_gives_what_one_pass_over_the_whole_sequence_gives(cfg: UmmConfig) -> None:
    net, layout = small_net(cfg), whole_rows(cfg)
    images = noisy_images(cfg, layout)
    with torch.no_grad():
        at_once = net.whole(layout, net.image_tokens(images))
        for block, hidden in by_stages(net, layout, images).items():
            place = layout.form.place(block)
            torch.testing.assert_close(hidden, at_once[:, place], atol=1e-5, rtol=1e-5)


def test_both_experts_speak_and_each_for_its_own_tokens() -> None:
    net, layout = small_net(), whole_rows(SMALL)
    hidden = net.whole(layout, net.image_tokens(noisy_images(SMALL, layout)))
    net.trunk.understanding_norm.weight.data.zero_()
    changed = net.whole(layout, net.image_tokens(noisy_images(SMALL, layout)))
    generation = torch.from_numpy(layout.form.generation)
    torch.testing.assert_close(changed[:, generation], hidden[:, generation])
    assert (changed[:, ~generation] == 0).all()
    assert (hidden[:, ~generation] != 0).any()


def test_every_weight_takes_part() -> None:
    net, layout = small_net(), whole_rows(SMALL)
    hidden = net.whole(layout, net.image_tokens(noisy_images(SMALL, layout)))
    last = layout.form.images(Kind.NOISE)[-1]
    asked = net.velocity(hidden[:, layout.form.image_place(last)]).square().sum()
    asked = asked + net.logits(hidden[:, : layout.form.starts[last]]).square().mean()
    asked.backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_view_does_not_see_another_ones_noise_but_sees_its_clean_copy() -> None:
    net, layout = small_net(), whole_rows(SMALL)
    images = noisy_images(SMALL, layout)
    head, wrist = layout.form.images(Kind.NOISE)
    copy = next(b for b in layout.form.images(Kind.LATENT) if layout.form.blocks[b].time == 1)
    place = layout.form.image_place(wrist)

    def wrist_after(block: int) -> torch.Tensor:
        changed = Images({**images.latents, block: images.latents[block] + 1.0}, images.pixels, images.times)
        return net.whole(layout, net.image_tokens(changed))[:, place]

    before = net.whole(layout, net.image_tokens(images))[:, place]
    torch.testing.assert_close(wrist_after(head), before)
    assert (wrist_after(copy) - before).abs().max() > 1e-3


def test_padding_and_company_change_nothing() -> None:
    net, both = small_net(), whole_rows(SMALL)
    images = noisy_images(SMALL, both)
    alone_blocks = assemble.dynamics_blocks(shape_of(SMALL), WORDS, TASKS[1:], some_levels(2)[1:], None)
    alone = assemble.branches(alone_blocks, WORDS, (Context.ALL,), CPU)
    assert len(alone.form) < len(both.form)  # here the second task needs no padding
    second = Images(*({b: x[1:] for b, x in part.items()} for part in (images.latents, images.pixels, images.times)))
    for block in both.form.images(Kind.NOISE):
        wide = net.whole(both, net.image_tokens(images))[1, both.form.image_place(block)]
        narrow = net.whole(alone, net.image_tokens(second))[0, alone.form.image_place(block)]
        torch.testing.assert_close(wide, narrow, atol=1e-5, rtol=1e-5)


def test_a_context_that_leaves_something_out_sees_nothing_of_it() -> None:
    net, layout = small_net(), whole_rows(SMALL, (Context.NO_IMAGES,))
    images = noisy_images(SMALL, layout)
    other = assemble.images(layout, [clean_views(SMALL, 2, 7), clean_views(SMALL, 2, 8)])
    noise = {block: images.latents[block] for block in layout.form.images(Kind.NOISE)}
    changed = Images({**other.latents, **noise}, other.pixels, images.times)
    for block in noise:
        place = layout.form.image_place(block)
        same = [net.whole(layout, net.image_tokens(one))[:, place] for one in (images, changed)]
        torch.testing.assert_close(*same)


def test_sequences_of_different_forms_are_no_batch() -> None:
    blocks = [assemble.dynamics_blocks(shape_of(SMALL), WORDS, [task], some_levels(1), None)[0] for task in TASKS]
    layouts = [assemble.layout(one, WORDS.markers) for one in blocks]
    with pytest.raises(ContractError, match="in one batch"):
        rows(layouts)


def test_an_image_block_without_an_image_is_refused() -> None:
    net, layout = small_net(), whole_rows(SMALL)
    with pytest.raises(ContractError, match="Nothing stands in image block"):
        net.whole(layout, {})


def test_heads_of_a_group_share_keys_and_what_is_masked_is_not_seen() -> None:
    q, k, v = (torch.randn(2, heads, 9, 8) for heads in (4, 2, 2))
    mask = torch.rand(2, 1, 9, 9) > 0.4
    mask |= torch.eye(9, dtype=torch.bool)
    wide_k, wide_v = k.repeat_interleave(2, dim=1), v.repeat_interleave(2, dim=1)
    score = (q @ wide_k.transpose(-1, -2) / 8**0.5).masked_fill(~mask, -torch.inf)
    torch.testing.assert_close(attend(q, k, v, mask), score.softmax(dim=-1) @ wide_v)


def test_patches_come_row_by_row_with_channels_last_and_go_back() -> None:
    image = torch.arange(2 * 4 * 6).reshape(1, 2, 4, 6)
    cut = patches(image, 2)
    assert cut.shape == (1, 6, 8)
    # the second token: rows 0..1, columns 2..3; channel 0, channel 1 of each pixel
    assert cut[0, 1].tolist() == [2, 26, 3, 27, 8, 32, 9, 33]
    assert torch.equal(unpatched(cut, (2, 3), 2), image)


def test_the_first_half_of_a_place_says_the_column() -> None:
    table = sine_table(8, (2, 3)).reshape(2, 3, 8)
    assert torch.equal(table[0, :, :4], table[1, :, :4])
    assert not torch.equal(table[0, 0, :4], table[0, 1, :4])
    assert torch.equal(table[:, 0, 4:], table[:, 2, 4:])
    assert not torch.equal(table[0, 0, 4:], table[1, 0, 4:])
    torch.testing.assert_close(
        table[0, 2, :4],
        torch.tensor([2.0, 0.02, 2.0, 0.02])
        .sin()
        .lerp(torch.tensor([2.0, 0.02, 2.0, 0.02]).cos(), torch.tensor([0.0, 0.0, 1.0, 1.0])),
    )


def test_waves_of_the_flow_time_begin_with_cosines() -> None:
    waves = time_waves(torch.tensor([0.0, 0.5]), 4)
    torch.testing.assert_close(waves[0], torch.tensor([1.0, 1.0, 0.0, 0.0]))
    half = torch.tensor(0.5)
    torch.testing.assert_close(waves[1, [0, 2]], torch.stack([half.cos(), half.sin()]))


def test_tokens_are_the_same_in_every_branch() -> None:
    token = torch.randn(2, 3, 4)
    assert torch.equal(repeated({5: token}, 3)[5], torch.cat([token, token, token]))
    assert held(clean_views(SMALL, 2, 1), 0).keys() == {Kind.LATENT, Kind.VIT}


def test_levels_of_a_joint_begin_in_their_order() -> None:
    """The nearer two levels, the more alike; those of different joints are not."""
    words = ByteVocabulary(2)
    trunk = replace(SMALL.trunk, vocabulary=words.size)
    net = fresh_net(replace(SMALL, trunk=trunk), 0, [words.levels_of(joint) for joint in range(2)])
    first, second = (net.words.weight[list(words.levels_of(joint))].detach() for joint in range(2))

    def apart(steps: int) -> float:
        return float((first[steps:] - first[:-steps]).norm(dim=1).mean())

    assert apart(1) < 0.2 * apart(16) < 0.2 * apart(128)
    assert (first - second).norm(dim=1).min() > apart(1)
    again = fresh_net(replace(SMALL, trunk=trunk), 0, [words.levels_of(joint) for joint in range(2)])
    assert torch.equal(net.words.weight, again.words.weight)
