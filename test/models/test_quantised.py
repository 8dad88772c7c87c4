"""Weights in 8 and 4 bits: how wrong they are, how much they weigh, and that nothing else changes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import Tensor, nn  # noqa: E402 (after the check)

from vla_mbpo_ros.errors import UnknownName  # noqa: E402
from vla_mbpo_ros.models.quantised import (  # noqa: E402
    BLOCK,
    FORMATS,
    PackedLinear,
    is_packed,
    nf4_levels,
    pack_linears,
    packed,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def whole_again(form: str, weight: Tensor) -> Tensor:
    kept = FORMATS[form]
    return kept.unpack(*kept.pack(weight), tuple(weight.shape))


def test_the_levels_of_nf4_are_those_that_its_paper_prints() -> None:
    levels = nf4_levels()
    printed = {0: -1.0, 1: -0.6961928, 6: -0.0910500, 7: 0.0, 8: 0.0795803, 14: 0.7229568, 15: 1.0}
    assert {place: pytest.approx(value, abs=1e-6) for place, value in printed.items()} == {
        place: float(levels[place]) for place in printed
    }
    assert torch.all(levels.diff() > 0)
    assert len(levels) == 16


def test_each_level_of_nf4_is_about_equally_often_the_nearest() -> None:
    """Of a normal distribution that ends where its outermost levels are."""
    numbers = normal(200_000)
    edge = torch.special.ndtri(torch.tensor(0.9677083))
    nearest = (numbers[:, None] / edge - nf4_levels()).abs().argmin(dim=1)
    shares = torch.bincount(nearest, minlength=16) / len(numbers)
    assert float(shares.min()) > 0.04
    assert float(shares.max()) < 0.085


@pytest.mark.parametrize("spread", [1e-4, 1.0, 300.0])
def test_int8_is_wrong_by_half_a_step_at_most_and_its_greatest_is_right(spread: float) -> None:
    weight = normal(24, 50) * spread * torch.logspace(-2, 2, 24)[:, None]  # rows of very different sizes
    found = whole_again("int8", weight)
    step = weight.abs().amax(dim=1, keepdim=True) / 127
    assert torch.all((found - weight).abs() <= step / 2 * 1.0001)
    torch.testing.assert_close(found.abs().amax(dim=1), weight.abs().amax(dim=1))


@pytest.mark.parametrize("shape", [(24, 64), (7, 50)])  # whole blocks, and a last one that is filled up
def test_nf4_takes_the_nearest_level_of_its_block(shape: tuple[int, int]) -> None:
    weight = normal(*shape)
    found = whole_again("nf4", weight)
    flat, again = weight.flatten(), found.flatten()
    for start in range(0, len(flat), BLOCK):
        block, made = flat[start : start + BLOCK], again[start : start + BLOCK]
        scale = block.abs().max().bfloat16().float()
        nearest = (block[:, None] - nf4_levels() * scale).abs().amin(dim=1)
        torch.testing.assert_close((made - block).abs(), nearest, atol=1e-6, rtol=0)
        assert float(nearest.max()) <= 0.153 * float(scale)  # half the widest gap, the one beside -1


def test_of_normal_weights_int8_loses_a_hundredth_and_nf4_a_tenth() -> None:
    """Root of the mean squared error over the deviation of the weights."""
    weight = normal(512, 512) * 0.02
    lost = {form: float((whole_again(form, weight) - weight).std() / weight.std()) for form in FORMATS}
    assert 0.004 < lost["int8"] < 0.011
    assert 0.07 < lost["nf4"] < 0.11


@pytest.mark.parametrize("form", FORMATS)
def test_zeros_stay_zeros(form: str) -> None:
    weight = normal(4, 128)
    weight[1] = 0.0
    weight[2, ::2] = 0.0
    found = whole_again(form, weight)
    assert torch.equal(found[weight == 0.0], torch.zeros(int((weight == 0.0).sum())))


@pytest.mark.parametrize(("form", "bits"), [("int8", 8.0 + 32 / 128), ("nf4", 4.0 + 16 / BLOCK)])
def test_a_layer_weighs_what_its_format_says(form: str, bits: float) -> None:
    layer = PackedLinear(form, nn.Linear(128, 96))
    weighed = sum(one.numel() * one.element_size() for one in (layer.codes, layer.scale))
    assert weighed * 8 == bits * 128 * 96


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_packed_layer_does_what_a_linear_one_with_its_weight_does(form: str, dtype: torch.dtype) -> None:
    plain = nn.Linear(64, 8).to(dtype)
    layer = PackedLinear(form, plain)
    x = normal(3, 5, 64).to(dtype)
    made = nn.functional.linear(x, layer.weight().to(dtype), plain.bias)
    assert torch.equal(layer(x), made)
    assert layer(x).dtype is dtype


def test_every_linear_layer_inside_is_packed_and_weights_are_put_in_by_their_old_names() -> None:
    def make() -> nn.Sequential:
        return nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.ModuleDict({"in": nn.Linear(8, 4, bias=False)}))

    plain = make()
    with torch.device("meta"):
        empty = make()
    assert not is_packed(empty)
    pack_linears(empty, "int8")
    assert is_packed(empty)
    tensors: dict[str, Tensor] = {}
    for name, tensor in plain.state_dict().items():
        tensors.update(packed(empty, name, tensor))
    empty.load_state_dict(tensors, assign=True)
    pack_linears(plain, "int8")
    assert (
        set(plain.state_dict())
        == set(tensors)
        == {*("0.codes", "0.scale", "0.bias", "1.weight", "1.bias", "2.in.codes", "2.in.scale")}
    )
    assert all(torch.equal(one, tensors[name]) for name, one in plain.state_dict().items())


def test_a_format_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean .int8"):
        pack_linears(nn.Sequential(nn.Linear(2, 2)), "int4")
