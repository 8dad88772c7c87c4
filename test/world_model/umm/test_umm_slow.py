"""What makes sampling fast changes no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_umm import BLIND, GUIDED, SMALL, WORDS, clean_views, held, shape_of, small_net, some_levels

from vla_mbpo_ros.world_model.sequence import stages
from vla_mbpo_ros.world_model.umm import assemble
from vla_mbpo_ros.world_model.umm.config import UmmConfig
from vla_mbpo_ros.world_model.umm.sampling import Sampler, contexts, repeated, sample, seeded_noise
from vla_mbpo_ros.world_model.umm.slow import plain, sequential

ROWS = 2
BLIND_GUIDED = replace(GUIDED, vit=BLIND.vit)


def dream(draw: Sampler, cfg: UmmConfig, ivd: bool = True, views: int = 2) -> list[torch.Tensor]:
    """Two rows with other instructions, of other lengths, and other actions."""
    net, after = small_net(cfg), clean_views(cfg, ROWS, 5, views)
    blocks = assemble.dynamics_blocks(shape_of(cfg, views, ivd), WORDS, ["go", "come back"], some_levels(ROWS), None)
    layout = assemble.branches(blocks, WORDS, contexts(cfg.sampler), torch.device("cpu"))
    now = assemble.images(layout, [clean_views(cfg, ROWS, 3, views)])
    tokens = repeated(net.image_tokens(now), len(contexts(cfg.sampler)))
    assert len(stages(layout.form)) == views
    with torch.no_grad():
        return draw(
            net, layout, tokens, seeded_noise([4, 5], layout, net), lambda v, made: held(after, v), lambda: None
        )


@pytest.mark.parametrize("draw", [plain, sequential])
@pytest.mark.parametrize(
    "cfg", [SMALL, BLIND, GUIDED, BLIND_GUIDED], ids=["encoder", "blind", "guided", "guided blind"]
)
@pytest.mark.parametrize("ivd", [True, False])
def test_slower_ways_give_the_same_numbers(draw: Sampler, cfg: UmmConfig, ivd: bool) -> None:
    for fast, slow in zip(dream(sample, cfg, ivd), dream(draw, cfg, ivd), strict=True):
        assert fast.dtype == torch.float32
        torch.testing.assert_close(slow, fast, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("draw", [plain, sequential])
def test_also_with_two_wrists(draw: Sampler) -> None:
    fast, slow = dream(sample, GUIDED, views=3), dream(draw, GUIDED, views=3)
    assert len(fast) == 3
    np.testing.assert_allclose(torch.stack(slow), torch.stack(fast), rtol=1e-4, atol=1e-5)
