"""Chance along the flow, against formulas written out again in NumPy and against exact distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import Tensor, nn  # noqa: E402 (after the check for torch)

from vla_mbpo_ros.errors import ConfigError, UnknownName  # noqa: E402
from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig  # noqa: E402
from vla_mbpo_ros.policy.flow.inputs import InputMaker  # noqa: E402
from vla_mbpo_ros.policy.flow.net import Inputs  # noqa: E402
from vla_mbpo_ros.policy.flow.noise import NoiseSpace, cosine_basis, sde_step, steps_basis  # noqa: E402
from vla_mbpo_ros.policy.flow.normalisation import Columns, Normalisation  # noqa: E402
from vla_mbpo_ros.policy.flow.policy import FlowPolicy  # noqa: E402
from vla_mbpo_ros.policy.flow.text import ByteTokenizer  # noqa: E402
from vla_mbpo_ros.policy.protocol import Prefix  # noqa: E402

MEAN, SPREAD = 0.7, 0.3  # of the data that `Exact` knows
HORIZON, WIDE, REAL = 6, 4, 3


@dataclass(frozen=True)
class NoSettings:
    pass


class Exact(nn.Module):
    """The true velocity of a flow to N(MEAN, SPREAD^2), in every element; features that say where one is."""

    cfg = NoSettings()
    horizon, action_dim, state_dim = HORIZON, WIDE, WIDE
    feature_width, context_width = WIDE, 1

    def encode(self, inputs: Inputs) -> Tensor:
        return inputs.state

    def velocity(self, cache: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        at = t.to(x.dtype)[:, None, None]
        variance = (1.0 - at) ** 2 * SPREAD**2 + at**2
        v = -MEAN + (at - (1.0 - at) * SPREAD**2) / variance * (x - (1.0 - at) * MEAN)
        return v, torch.tanh(x + at)

    def context(self, cache: Tensor) -> Tensor:
        return cache[:, :1]

    def trunk(self) -> list[nn.Module]:
        return []

    def to_precision(self, dtype: torch.dtype) -> None:
        self.to(dtype)


def _policy(cfg: FlowConfig) -> FlowPolicy:
    columns = Columns(("x", "y", "z"), (0.0,) * REAL, (1.0,) * REAL)
    maker = InputMaker(InputConfig(), Normalisation("z-score", columns, columns), ByteTokenizer(), WIDE)
    policy = FlowPolicy("exact", Exact(), cfg, maker, "exact").double()
    torch.manual_seed(0)
    for parameter in policy.noise_head.parameters():
        nn.init.normal_(parameter, std=0.5)
    return policy


def _prefix(policy: FlowPolicy, rows: int) -> Prefix:
    empty = torch.zeros(rows, 1)
    return policy.encode_inputs(Inputs(empty, empty, empty, empty, torch.zeros(rows, WIDE, dtype=torch.float64)))


def _stds(policy: FlowPolicy, prefix: Prefix, x: Tensor, index: int, space: NoiseSpace) -> np.ndarray[Any, Any]:
    """Of Flow-Noise at one state, from the head's own weights, in NumPy."""
    t = torch.full((len(x),), 1.0 - index / policy.cfg.steps)
    _, h = policy.net.velocity(prefix.content.cache, x, t)
    at = np.einsum("km,bkf->bmf", space.basis.numpy(), h.numpy())
    for layer in policy.noise_head.mlp.hidden:
        at = np.tanh(at @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())
    last = policy.noise_head.mlp.last
    said = at @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    low, high = math.log(policy.cfg.noise_low), math.log(policy.cfg.noise_high)
    return np.exp(low + 0.5 * (np.tanh(said) + 1.0) * (high - low))[:, :, list(space.dims)]


def _log_normal(x: Any, mean: Any, std: Any) -> Any:
    return -0.5 * ((x - mean) / std) ** 2 - np.log(std) - 0.5 * math.log(2.0 * math.pi)


CONFIGS = [
    FlowConfig(),
    FlowConfig(steps=5, executed_steps=4, logprob_reduce="mean"),
    FlowConfig(noise_basis=2, noise_dims=("x", "z"), noise_low=0.2, noise_high=0.8, noise_start=0.4),
    FlowConfig(noise_basis=3, executed_steps=5),
]


@pytest.mark.parametrize("cfg", CONFIGS)
def test_flow_noise_has_the_likelihood_of_a_plain_sum(cfg: FlowConfig) -> None:
    policy = _policy(cfg)
    prefix = _prefix(policy, 5)
    sample = policy.sample(prefix, 3, "noise")
    assert sample.chain is not None
    chain, executed = sample.chain.numpy(), cfg.executed_steps or HORIZON
    terms = [_log_normal(chain[:, 0, :executed, :REAL], 0.0, 1.0).sum(axis=(1, 2))]
    for index in range(cfg.steps):
        x = torch.from_numpy(chain[:, index])
        v = policy.net.velocity(None, x, torch.full((5,), 1.0 - index / cfg.steps))[0].numpy()
        away = chain[:, index + 1] - (chain[:, index] - v / cfg.steps)
        basis = policy.space.basis.numpy()
        z = np.einsum("km,bkd->bmd", basis, away[:, :, list(policy.space.dims)])
        terms.append(_log_normal(z, 0.0, _stds(policy, prefix, x, index, policy.space)).sum(axis=(1, 2)))
    wanted = np.sum(terms, axis=0) if cfg.logprob_reduce == "sum" else np.mean(terms, axis=0)
    np.testing.assert_allclose(policy.log_prob(prefix, sample.chain, "noise").detach(), wanted, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("cfg", [FlowConfig(), FlowConfig(steps=5, executed_steps=4, logprob_reduce="mean")])
def test_flow_sde_has_the_likelihood_of_a_plain_sum(cfg: FlowConfig) -> None:
    policy = _policy(cfg)
    prefix = _prefix(policy, 5)
    sample = policy.sample(prefix, 3, "sde")
    assert sample.chain is not None
    chain, executed = sample.chain.numpy(), cfg.executed_steps or HORIZON
    terms = [_log_normal(chain[:, 0, :executed, :REAL], 0.0, 1.0).sum(axis=(1, 2))]
    times = [1.0 - index / cfg.steps for index in range(cfg.steps + 1)]
    for index, t in enumerate(times[:-1]):
        x = chain[:, index]
        v = policy.net.velocity(None, torch.from_numpy(x), torch.full((5,), t))[0].numpy()
        sigma = 0.5 * math.sqrt(t / (1.0 - (times[1] if t == 1.0 else t)))
        delta = 1.0 / cfg.steps
        mean = (x - t * v) * (1 - (t - delta)) + (x + (1 - t) * v) * (t - delta - sigma**2 * delta / (2 * t))
        each = _log_normal(chain[:, index + 1], mean, math.sqrt(delta) * sigma)
        terms.append(each[:, :executed, :REAL].sum(axis=(1, 2)))
    wanted = np.sum(terms, axis=0) if cfg.logprob_reduce == "sum" else np.mean(terms, axis=0)
    np.testing.assert_allclose(policy.log_prob(prefix, sample.chain, "sde").detach(), wanted, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("mode", ["noise", "sde"])
def test_entropy_is_the_mean_of_minus_the_log_likelihood(mode: str) -> None:
    policy = _policy(FlowConfig())
    prefix = _prefix(policy, 4000)
    sample = policy.sample(prefix, 0, mode)
    assert sample.log_prob is not None
    surprise = -sample.log_prob
    entropy = policy.entropy(prefix, sample.chain, mode).detach()
    error = (surprise - entropy).std() / math.sqrt(len(surprise))
    assert abs(float((surprise - entropy).mean())) < 4.0 * float(error)


def test_steps_stray_as_far_as_the_head_says() -> None:
    policy = _policy(FlowConfig(steps=2))
    prefix = _prefix(policy, 3000)
    chain = policy.sample(prefix, 0, "noise").chain
    assert chain is not None
    for index in range(2):
        x = chain[:, index]
        away = (chain[:, index + 1] - (x - policy._velocity(prefix, x, index)[0] / 2))[:, :, :REAL].numpy()
        z = away / _stds(policy, prefix, x, index, policy.space)
        assert z.mean() == pytest.approx(0.0, abs=0.02)
        assert z.std() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("mode", ["ode", "sde"])
def test_many_small_steps_give_the_distribution_of_the_data(mode: str) -> None:
    """Flow-SDE adds noise and a drift that makes up for it: what comes out is the same."""
    policy = _policy(FlowConfig(steps=100))
    values = policy.sample(_prefix(policy, 1500), 0, mode).values
    assert values.mean() == pytest.approx(MEAN, abs=0.02)
    assert values.std() == pytest.approx(SPREAD, rel=0.07)


@pytest.mark.parametrize("mode", ["noise", "sde"])
def test_where_nothing_is_left_to_chance_the_plain_flow_is_followed(mode: str) -> None:
    policy = _policy(FlowConfig(executed_steps=4, noise_dims=("x",)))
    prefix = _prefix(policy, 3)
    risky, plain = (policy.sample(prefix, 1, way).chain for way in (mode, "ode"))
    assert risky is not None
    assert plain is not None
    torch.testing.assert_close(risky[:, :, 4:], plain[:, :, 4:])
    torch.testing.assert_close(risky[:, :, :, 1:], plain[:, :, :, 1:])
    assert bool((risky[:, 1:, :4, 0] != plain[:, 1:, :4, 0]).all())


def test_noise_in_cosines_is_smooth_over_the_chunk() -> None:
    cfg = FlowConfig(noise_basis=2, noise_low=0.2, noise_high=0.8)
    smooth, rough = _policy(cfg), _policy(replace(cfg, noise_basis=0))

    def bend(policy: FlowPolicy) -> float:
        prefix = _prefix(policy, 200)
        difference = policy.sample(prefix, 0, "noise").values - policy.sample(prefix, 0).values
        return float(np.abs(np.diff(difference, n=2, axis=1)).mean() / np.abs(difference).mean())

    assert bend(smooth) < 0.4 * bend(rough)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 5), st.data())
def test_a_basis_is_orthonormal_and_leaves_the_rest_alone(executed: int, more: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, executed))
    for basis in (cosine_basis(executed + more, executed, count), steps_basis(executed + more, executed)):
        torch.testing.assert_close(basis.T @ basis, torch.eye(basis.shape[1], dtype=torch.float64))
        assert not basis[executed:].any()
        space = NoiseSpace(basis, (0, 2))
        z = torch.randn(2, basis.shape[1], 2, dtype=torch.float64)
        torch.testing.assert_close(space.coefficients(space.spread(z, 4)), z)


@settings(deadline=None)
@given(st.integers(1, 20), st.floats(0.01, 2.0))
def test_the_sde_without_noise_is_the_flow(steps: int, level: float) -> None:
    x, v = torch.randn(2, 1, 4, 3, dtype=torch.float64)
    for index in range(steps):
        mean, std = sde_step(x, v, index, steps, 1e-9)
        torch.testing.assert_close(mean, x - v / steps, atol=1e-6, rtol=1e-6)
        assert sde_step(x, v, index, steps, level)[1] == pytest.approx(std * level / 1e-9)


@pytest.mark.parametrize(
    ("cfg", "error", "told"),
    [
        (FlowConfig(noise_basis=7), ConfigError, "noise_basis is 7"),
        (FlowConfig(executed_steps=9), ConfigError, "a chunk has 6 steps"),
        (FlowConfig(noise_low=0.3, noise_high=0.2), ConfigError, "noise_low below"),
        (FlowConfig(noise_start=0.5), ConfigError, "noise_start is 0.5"),
        (FlowConfig(noise_dims=("w",)), UnknownName, "action dimension 'w'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(cfg: FlowConfig, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        _policy(cfg)


def test_noise_starts_where_it_is_told() -> None:
    columns = Columns(("x", "y", "z"), (0.0,) * REAL, (1.0,) * REAL)
    maker = InputMaker(InputConfig(), Normalisation("z-score", columns, columns), ByteTokenizer(), WIDE)
    cfg = FlowConfig(noise_low=0.2, noise_high=0.8, noise_start=0.3)
    policy = FlowPolicy("exact", Exact(), cfg, maker, "exact")
    torch.testing.assert_close(policy.noise_head(torch.randn(2, 5, WIDE)), torch.full((2, 5, WIDE), 0.3))
