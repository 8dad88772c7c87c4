"""Low-rank adapters: nothing changes at the start, little learns, and they disappear in the end."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402 (after the check)

from vla_mbpo_ros.errors import ConfigError  # noqa: E402
from vla_mbpo_ros.models.lora import LoraLinear, adapt, merge  # noqa: E402


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 5, bias=False), nn.LayerNorm(5)))


def stirred(net: nn.Module) -> nn.Module:
    """With bridges that say something."""
    for layer in net.modules():
        if isinstance(layer, LoraLinear):
            nn.init.normal_(layer.up)
    return net


def test_the_start_is_the_parent_bit_for_bit() -> None:
    parent, net, x = network(), network(), torch.randn(4, 6)
    assert adapt([net], 2, 8.0, 0) == 2
    assert torch.equal(parent(x), net(x))


def test_names_and_values_of_the_parents_weights_stay() -> None:
    parent, net = network(), network()
    adapt([net], 2, 8.0, 0)
    mine = net.state_dict()
    assert all(torch.equal(mine[name], value) for name, value in parent.state_dict().items())
    assert sorted(set(mine) - set(parent.state_dict())) == ["0.down", "0.up", "2.0.down", "2.0.up"]


def test_a_bridge_is_of_low_rank_and_weighs_alpha_by_rank() -> None:
    net, x = network(), torch.randn(4, 6)
    adapt([net], 2, 8.0, 0)
    first = stirred(net)[0]
    wanted = x @ (first.weight + 8.0 / 2 * first.up @ first.down).T + first.bias
    torch.testing.assert_close(first(x), wanted)
    assert int(torch.linalg.matrix_rank(first.up @ first.down)) == 2


def test_only_bridges_learn() -> None:
    net = network()
    adapt([net], 2, 8.0, 0)
    learning = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert learning == {"0.down", "0.up", "2.0.down", "2.0.up"}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 5e-2)])
def test_merged_it_says_the_same_with_ordinary_layers(dtype: str, tolerance: float) -> None:
    kind = getattr(torch, dtype)
    net, x = network().to(kind), torch.randn(4, 6, dtype=kind)
    adapt([net], 2, 8.0, 0)
    before = stirred(net)(x)
    merge(net)
    torch.testing.assert_close(net(x), before, atol=tolerance, rtol=tolerance)
    assert {type(layer) for layer in net.modules() if isinstance(layer, nn.Linear)} == {nn.Linear}
    assert list(net.state_dict()) == list(network().state_dict())
    assert net[0].weight.dtype == kind


def test_bridges_stay_exact_beside_half_precision() -> None:
    net = network().bfloat16()
    adapt([net], 2, 8.0, 0)
    assert net[0].up.dtype == net[0].down.dtype == torch.float32
    assert net(torch.randn(4, 6, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_the_seed_decides_the_start() -> None:
    made = [network() for _ in range(3)]
    for net, seed in zip(made, (0, 0, 1), strict=True):
        adapt([net], 2, 8.0, seed)
    assert torch.equal(made[0][0].down, made[1][0].down)
    assert not torch.equal(made[0][0].down, made[2][0].down)


def test_a_rank_that_saves_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="lora_rank is 6, the layer 0 is 5 by 8"):
        adapt([network()], 6, 8.0, 0)
