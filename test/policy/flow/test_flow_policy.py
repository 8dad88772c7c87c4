"""The wrapper around a network: seeds, likelihoods, gradients, units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.errors import ContractError, NotFinite, UnknownName  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.models.randomness import row_seeds  # noqa: E402
from vla_mbpo_ros.policy import Prefix  # noqa: E402
from vla_mbpo_ros.policy.flow.config import FlowConfig  # noqa: E402
from vla_mbpo_ros.policy.flow.inputs import InputMaker  # noqa: E402

Make = Callable[..., Any]


@pytest.mark.parametrize("kind", ["pi05", "pi0"])
@pytest.mark.parametrize("mode", ["noise", "sde"])
def test_before_the_first_update_the_ratio_is_exactly_one(tiny: Make, look: Make, kind: str, mode: str) -> None:
    policy = tiny(kind, FlowConfig(executed_steps=4))
    prefix = policy.encode(look(5))
    sample = policy.sample(prefix, 0, mode)
    again = policy.log_prob(prefix, sample.chain, mode)
    assert again.requires_grad == (mode == "noise" or any(p.requires_grad for p in policy.net.parameters()))
    assert torch.equal(torch.exp(again.detach() - sample.log_prob), torch.ones(5, dtype=torch.float64))


def test_after_an_update_the_ratio_moves(tiny: Make, look: Make) -> None:
    policy = tiny()
    prefix = policy.encode(look(4))
    sample = policy.sample(prefix, 0, "noise")
    optimiser = torch.optim.SGD(policy.parameters(), lr=1e-6)
    (-policy.log_prob(prefix, sample.chain).sum()).backward()
    optimiser.step()
    assert bool((policy.log_prob(prefix, sample.chain).detach() > sample.log_prob).all())


@pytest.mark.parametrize("mode", ["ode", "noise", "sde"])
def test_a_seed_repeats_its_chunk(tiny: Make, look: Make, mode: str) -> None:
    policy = tiny()
    prefix = policy.encode(look(3))
    first, again, other = (policy.sample(prefix, seed, mode) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.values, again.values)
    assert np.abs(first.values - other.values).max() > 1e-2
    assert first.values.shape == (3, 6, 3)
    assert first.values.dtype == np.float64
    assert first.chain.shape == (3, 4, 6, 8)


@pytest.mark.parametrize("mode", ["ode", "noise", "sde"])
def test_a_row_does_not_depend_on_the_batch(tiny: Make, look: Make, mode: str) -> None:
    policy = tiny()
    observations = look(4)
    whole = policy.sample(policy.encode(observations), 9, mode)
    alone = policy.sample(policy.encode(observations[2:3]), [row_seeds(9, 4)[2]], mode)
    np.testing.assert_allclose(alone.values[0], whole.values[2], atol=1e-5)
    kept = policy.sample(policy.encode(observations).select([2]), row_seeds(9, 4)[2:3], mode)
    np.testing.assert_allclose(kept.values[0], whole.values[2], atol=1e-5)


def test_a_prefix_is_taken_apart_and_put_together(tiny: Make, look: Make) -> None:
    policy = tiny()
    prefix = policy.encode(look(4))
    again = Prefix.cat([prefix.select([0, 1]), prefix.select([2, 3])]).detach().to("cpu")
    assert again.size == 4
    np.testing.assert_array_equal(policy.sample(again, 1).values, policy.sample(prefix, 1).values)


def test_acting_leaves_nothing_to_chance_after_the_start(tiny: Make, look: Make) -> None:
    policy = tiny()
    sample = policy.sample(policy.encode(look(2)), 0)
    assert bool(sample.log_prob.isnan().all())
    assert np.isfinite(sample.value).all()


def test_the_value_does_not_teach_the_trunk(tiny: Make, look: Make) -> None:
    policy = tiny()
    torch.nn.init.normal_(policy.value_head.mlp.last.weight)
    observations = look(2)
    prefix = policy.encode_inputs(policy.maker(observations, "cpu"))
    policy.value_of(prefix).sum().backward()
    assert all(parameter.grad is not None for parameter in policy.value_head.parameters())
    assert all(parameter.grad is None for parameter in policy.net.parameters())


def test_a_frozen_trunk_keeps_its_prefixes_and_the_expert_learns(tiny: Make, look: Make) -> None:
    policy = tiny()
    policy.freeze_trunk()
    prefix = policy.encode_inputs(policy.maker(look(2), "cpu"))
    assert not prefix.content.cache.layers[0][0].requires_grad
    sample = policy.sample(prefix, 0, "noise")
    (policy.log_prob(prefix, sample.chain) + policy.entropy(prefix, sample.chain)).sum().backward()
    trunk = {id(parameter) for module in policy.net.trunk() for parameter in module.parameters()}
    for name, parameter in policy.named_parameters():
        learns = id(parameter) not in trunk and not name.startswith("value_head")
        assert (parameter.grad is not None) == learns, name


def test_behaviour_cloning_lowers_its_loss(tiny: Make, look: Make) -> None:
    policy = tiny()
    policy.freeze_trunk()
    prefix = policy.encode(look(4))
    rng = np.random.default_rng(0)
    actions = policy.from_robot(rng.uniform(-0.5, 0.5, (4, 6, 3)))
    eps, t = torch.randn(actions.shape), torch.tensor([0.2, 0.4, 0.6, 0.8])
    weight = torch.zeros_like(actions)
    weight[:, :, :3] = 1.0
    optimiser = torch.optim.Adam([p for p in policy.net.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(40):
        loss = policy.flow_loss(prefix, actions, eps, t, weight).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_actions_come_back_from_the_network_as_they_went_in(tiny: Make, look: Make) -> None:
    policy = tiny(relative=("b",))
    observations = look(3)
    states = np.stack([observation.state for observation in observations])
    values = np.random.default_rng(1).normal(size=(3, 6, 3))
    x = policy.from_robot(values, states)
    assert not x[:, :, 3:].any()
    assert x[1, 2, 1] == pytest.approx((values[1, 2, 1] - states[1, 1] - 0.1) / 2.0, abs=1e-6)
    np.testing.assert_allclose(policy.to_robot(x, policy.encode(observations)), values, atol=1e-6)


def test_relative_actions_need_the_states(tiny: Make) -> None:
    with pytest.raises(ContractError, match="no state came"):
        tiny(relative=("b",)).from_robot(np.zeros((1, 6, 3)))
    with pytest.raises(UnknownName, match="relative action 'd'"):
        tiny(relative=("d",))


def test_who_uses_the_state_says_so(tiny: Make, look: Make) -> None:
    observations = look(1)
    changed = [type(observations[0])(0, observations[0].images, observations[0].state + 0.4, "press button 0")]
    for policy, uses in ((tiny("pi05"), True), (tiny("pi0"), True), (tiny("pi05", prompt="plain"), False)):
        first, second = (policy.sample(policy.encode(seen), 0).values for seen in (observations, changed))
        assert policy.uses_state == uses == bool(np.abs(first - second).max() > 0.0)


def test_broken_weights_do_not_move_the_robot(tiny: Make, look: Make) -> None:
    policy = tiny()
    with torch.no_grad():
        policy.net.action_out.bias[0] = float("nan")
    with pytest.raises(NotFinite, match="not finite"):
        policy.sample(policy.encode(look(1)), 0)


def test_wrong_chains_prefixes_and_modes_are_refused(tiny: Make, look: Make) -> None:
    policy = tiny()
    prefix = policy.encode(look(2))
    with pytest.raises(ContractError, match=r"\(2, 4, 6, 8\) was expected"):
        policy.log_prob(prefix, torch.zeros(1, 4, 6, 8))
    with pytest.raises(ContractError, match="another policy"):
        policy.sample(Prefix(1, ("something",)), 0)
    with pytest.raises(UnknownName, match="Did you mean 'noise'"):
        policy.sample(prefix, 0, "noises")
    with pytest.raises(UnknownName, match="ode"):
        policy.log_prob(prefix, policy.sample(prefix, 0).chain, "ode")


def test_statistics_wider_than_the_network_are_refused(tiny: Make) -> None:
    policy = tiny()
    names = tuple("abcdefghi")
    wide = type(policy.normalisation.action)(names, (0.0,) * 9, (1.0,) * 9)
    maker = policy.maker
    broad = type(policy.normalisation)("quantile", wide, wide)
    with pytest.raises(ContractError, match="9 columns of action, the network takes 8"):
        type(policy)("pi05", policy.net, FlowConfig(), InputMaker(maker.cfg, broad, maker.tokenizer, 8), "wide")
