"""The network itself: what it depends on, and what it must not depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.models import tree  # noqa: E402
from vla_mbpo_ros.policy.flow.net import Inputs  # noqa: E402
from vla_mbpo_ros.policy.pi.config import PRESETS, PiConfig, VisionConfig, preset  # noqa: E402
from vla_mbpo_ros.policy.pi.gemma import attend, turned, turns  # noqa: E402
from vla_mbpo_ros.policy.pi.net import PiNet, randomise, time_waves  # noqa: E402

KINDS = ["tiny_random", "tiny_random_pi0"]


def _net(name: str) -> PiNet:
    net = PiNet(preset(name))
    randomise(net, 1)
    return net.eval()


def _inputs(rows: int, views: int = 2, length: int = 9, seed: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(rows, views, 3, 28, 28, generator=generator) * 2.0 - 1.0
    tokens = torch.randint(259, (rows, length), generator=generator)
    valid = torch.arange(length)[None] < torch.randint(3, length, (rows, 1), generator=generator)
    state = torch.randn(rows, 8, generator=generator)
    return Inputs(images, torch.ones(rows, views, dtype=torch.bool), tokens, valid, state)


@torch.no_grad()
def _velocity(net: PiNet, inputs: Inputs, seed: int = 0) -> torch.Tensor:
    x = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(seed)).expand(len(inputs.state), -1, -1)
    return net.velocity(net.encode(inputs), x, torch.full((len(x),), 0.4))[0]


@pytest.mark.parametrize("name", KINDS)
def test_padding_may_hold_anything(name: str) -> None:
    net, inputs = _net(name), _inputs(3)
    other = torch.where(inputs.token_mask, inputs.tokens, 7)
    torch.testing.assert_close(_velocity(net, inputs), _velocity(net, replace(inputs, tokens=other)))
    longer = replace(
        inputs,
        tokens=torch.cat([inputs.tokens, torch.full((3, 4), 5)], dim=1),
        token_mask=torch.cat([inputs.token_mask, torch.zeros(3, 4, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(_velocity(net, inputs), _velocity(net, longer), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_a_missing_view_is_as_if_it_had_never_been(name: str) -> None:
    net, inputs = _net(name), _inputs(2)
    masked = replace(inputs, image_mask=torch.tensor([[True, False], [True, False]]))
    alone = replace(inputs, images=inputs.images[:, :1], image_mask=inputs.image_mask[:, :1])
    torch.testing.assert_close(_velocity(net, masked), _velocity(net, alone), atol=1e-5, rtol=1e-5)
    pooled = [net.encode(made).pooled for made in (masked, alone)]
    torch.testing.assert_close(*pooled, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_everything_that_should_matter_matters(name: str) -> None:
    net, inputs = _net(name), _inputs(1)
    first = _velocity(net, inputs)
    other = _inputs(1, seed=5)
    changed = [replace(inputs, images=other.images), replace(inputs, tokens=other.tokens)]
    changed += [replace(inputs, state=other.state)] if name == "tiny_random_pi0" else []
    for made in changed:
        assert float((_velocity(net, made) - first).abs().max()) > 1e-3
    cache, x = net.encode(inputs), torch.zeros(1, 6, 8)
    times = [net.velocity(cache, x, torch.tensor([t]))[0].detach() for t in (0.2, 0.9)]
    assert float((times[0] - times[1]).abs().max()) > 1e-3
    if name == "tiny_random":
        assert torch.equal(_velocity(net, replace(inputs, state=other.state)), first)


@pytest.mark.parametrize("name", KINDS)
def test_a_cache_can_be_used_again_and_in_other_rows(name: str) -> None:
    net, inputs = _net(name), _inputs(4)
    cache, x, t = net.encode(inputs), torch.randn(4, 6, 8), torch.rand(4)
    first, again = net.velocity(cache, x, t)[0], net.velocity(cache, x, t)[0]
    assert torch.equal(first, again)
    rows = [3, 1]
    part = net.velocity(tree.select(cache, rows), x[rows], t[rows])[0]
    torch.testing.assert_close(part, first[rows], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_bfloat16_is_near_float32(name: str) -> None:
    net, inputs = _net(name), _inputs(4)
    exact = _velocity(net, inputs)
    net.to_precision(torch.bfloat16)
    assert net.words.weight.dtype == torch.bfloat16
    assert {p.dtype for n, p in net.named_parameters() if "norm" in n or n.startswith("action")} == {torch.float32}
    rough = _velocity(net, inputs)
    assert rough.dtype == torch.float32
    assert 0.0 < float((rough - exact).abs().max()) < 0.1 * float(exact.abs().max())


def test_flow_time_is_told_in_waves_of_many_lengths() -> None:
    t = torch.tensor([0.0, 0.25, 1.0])
    waves = time_waves(t, 8)
    assert waves.shape == (3, 8)
    assert waves[0].tolist() == [0.0] * 4 + [1.0] * 4
    assert waves[2, 3].item() == pytest.approx(1.0)  # the slowest has gone a quarter of its way
    assert waves[1, 4].item() == pytest.approx(torch.cos(torch.tensor(2 * torch.pi * 62.5)).item(), abs=1e-5)


def test_turning_keeps_lengths_and_sees_only_distances() -> None:
    x, y = torch.randn(2, 1, 1, 6, 8)
    near, far = (turns(torch.arange(start, start + 6)[None], 8) for start in (0, 500))
    torch.testing.assert_close(turned(x, *far).norm(dim=-1), x.norm(dim=-1))
    looks = [turned(x, *turn) @ turned(y, *turn).transpose(-1, -2) for turn in (near, far)]
    torch.testing.assert_close(*looks, atol=1e-3, rtol=1e-3)


def test_shared_heads_see_the_same_keys() -> None:
    q, k, v = torch.randn(2, 4, 3, 8), torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8)
    mask = torch.rand(2, 1, 3, 5) > 0.3
    mask[..., 0] = True
    made = attend(q, k, v, mask)
    for head in range(4):
        scores = (q[:, head] @ k[:, head // 2].transpose(1, 2) / 8**0.5).masked_fill(~mask[:, 0], float("-inf"))
        torch.testing.assert_close(made[:, head], scores.softmax(dim=-1) @ v[:, head // 2])


def test_a_token_beyond_the_vocabulary_is_refused() -> None:
    inputs = _inputs(1)
    with pytest.raises(ContractError, match="A token is 259, the network knows 259"):
        _net("tiny_random").encode(replace(inputs, tokens=torch.full_like(inputs.tokens, 259)))


def test_presets_have_the_published_sizes() -> None:
    with torch.device("meta"):
        sizes = {name: sum(p.numel() for p in PiNet(preset(name)).parameters()) for name in ("pi0", "pi05")}
    assert sizes == {"pi0": 3_238_048_528, "pi05": 3_353_433_872}


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"vision\.image by vision\.patch is 30 by 14"):
        PiConfig(vision=VisionConfig(image=30))
    with pytest.raises(UnknownName, match="Did you mean 'pi05'"):
        preset("pi5")
    assert preset("pi05", horizon=7).horizon == 7
    assert "tiny_random" in PRESETS
