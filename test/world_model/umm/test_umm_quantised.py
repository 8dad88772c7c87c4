"""The unified model with its large weights in fewer bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_umm import GUIDED, SMALL, WORDS, clean_views, held, shape_of, small_net, some_levels

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.world_model.builders import Context
from vla_mbpo_ros.world_model.sequence import Kind
from vla_mbpo_ros.world_model.umm import assemble
from vla_mbpo_ros.world_model.umm.config import UmmConfig, preset
from vla_mbpo_ros.world_model.umm.files import load_net, quantise, save_net
from vla_mbpo_ros.world_model.umm.net import UmmNet
from vla_mbpo_ros.world_model.umm.reward import success
from vla_mbpo_ros.world_model.umm.sampling import contexts, repeated, sample, seeded_noise


def gigabytes(form: str) -> float:
    """What the weights of Bagel weigh, in bfloat16 where they are not packed."""
    with torch.device("meta"):
        net = UmmNet(preset("bagel_7b"))
    net = net.to(torch.bfloat16)
    quantise(net, form)
    return sum(one.numel() * one.element_size() for one in net.state_dict().values()) / 1e9


def test_bagel_weighs_29_gigabytes_and_16_or_9_when_it_is_packed() -> None:
    assert gigabytes("none") == pytest.approx(29.15, abs=0.01)
    assert gigabytes("int8") == pytest.approx(15.72, abs=0.01)
    assert gigabytes("nf4") == pytest.approx(9.40, abs=0.01)


def dream(net: UmmNet) -> torch.Tensor:
    """(V, B, T, D) from fixed noise."""
    shape, which = shape_of(net.cfg), contexts(net.cfg.sampler)
    blocks = assemble.dynamics_blocks(shape, WORDS, ("lift", "press"), some_levels(2), None)
    layout = assemble.branches(blocks, WORDS, which, net.device)
    tokens = repeated(net.image_tokens(assemble.images(layout, [clean_views(net.cfg, 2, 1)])), len(which))
    after = clean_views(net.cfg, 2, 2)

    def encode(view: int, latents: torch.Tensor) -> dict[Kind, torch.Tensor]:
        return {**held(after, view), Kind.LATENT: latents}

    with torch.no_grad():
        return torch.stack(sample(net, layout, tokens, seeded_noise([3, 4], layout, net), encode))


def judged(net: UmmNet) -> torch.Tensor:
    blocks = assemble.reward_blocks(shape_of(net.cfg), WORDS, ("lift", "press"))
    layout = assemble.branches(blocks, WORDS, (Context.ALL,), net.device)
    with torch.no_grad():
        return success(net, layout, net.image_tokens(assemble.images(layout, [clean_views(net.cfg, 2, 1)])), WORDS)


@pytest.mark.parametrize("cfg", [SMALL, GUIDED])
def test_a_sample_in_int8_stays_near_the_whole_one_and_nf4_is_farther(cfg: UmmConfig) -> None:
    whole, far = dream(small_net(cfg)), dream(small_net(cfg, seed=1))
    away = {}
    for form in ("int8", "nf4"):
        net = small_net(cfg)
        quantise(net, form)
        away[form] = float((dream(net) - whole).square().mean().sqrt() / (far - whole).square().mean().sqrt())
    assert 0.0 < away["int8"] < 0.01  # of the distance to what another network dreams
    assert away["int8"] < away["nf4"] < 0.15


def test_the_judgement_in_int8_stays_near_the_whole_one() -> None:
    net = small_net()
    quantise(net, "int8")
    torch.testing.assert_close(judged(net), judged(small_net()), atol=0.02, rtol=0)


@pytest.mark.parametrize("form", ["int8", "nf4"])
def test_a_folder_loads_packed_as_if_it_had_been_packed_here(form: str, tmp_path: Path) -> None:
    save_net(small_net(), tmp_path)
    loaded, _ = load_net(tmp_path, quantize=form)
    here = small_net()
    quantise(here, form)
    assert torch.equal(dream(loaded), dream(here))
    with pytest.raises(ContractError, match="are packed"):
        save_net(loaded, tmp_path)


def test_what_is_packed_computes_in_the_type_of_the_rest() -> None:
    net = small_net(replace(SMALL)).to(torch.bfloat16)
    quantise(net, "nf4")
    assert net.dtype is torch.bfloat16
    assert bool(dream(net).isfinite().all())
