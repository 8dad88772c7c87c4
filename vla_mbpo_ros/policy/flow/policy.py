"""A policy around any `VelocityNet`: chunks from noise, their likelihood, and a value.

    observations ──InputMaker──> Inputs ──net.encode──> cache
                                                          │  S times
    x_t0 ~ N(0, I) ───────────────────────────────────> velocity, noise ──> chain ──> robot units

Acting follows the plain flow from a seeded x_t0 ("ode"). To learn, the steps are left to chance as well ("noise",
"sde"; see `noise.py`). A chain's likelihood is computed by the same code, in the same order, when it is made and when
it is looked at again: before the first update the ratio of the two is exactly 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from vla_mbpo_ros.errors import ConfigError, ContractError, NotFinite, UnknownName
from vla_mbpo_ros.models.flow import flow_loss, grid, interpolate
from vla_mbpo_ros.models.randomness import Seed, normal, row_seeds
from vla_mbpo_ros.policy.flow.config import FlowConfig
from vla_mbpo_ros.policy.flow.heads import NoiseHead, ValueHead
from vla_mbpo_ros.policy.flow.inputs import InputMaker
from vla_mbpo_ros.policy.flow.net import Inputs, VelocityNet
from vla_mbpo_ros.policy.flow.noise import (
    NoiseSpace,
    cosine_basis,
    entropy_of,
    flow_step,
    log_normal,
    reduce_terms,
    sde_step,
    steps_basis,
)
from vla_mbpo_ros.policy.flow.normalisation import Normalisation
from vla_mbpo_ros.policy.protocol import MODES, NOISE, ODE, Prefix, Sample, TrainablePolicy
from vla_mbpo_ros.schema import FloatArray, Observation


@dataclass(frozen=True)
class FlowPrefix:
    """Content of a flow policy's `Prefix`."""

    cache: Any  # the network's, a tree of tensors
    state: Tensor  # (B, N) float64 in the robot's units; (B, 0) if it is not used
    time_left: Tensor  # (B,) float32, share of the episode's time in [0, 1]: for the value alone


@dataclass(frozen=True)
class _Step:
    """Where chance leads from one state of the flow."""

    mean: Tensor  # (B, K, D)
    std: Tensor  # (B, M, d)


class FlowPolicy(nn.Module):
    """`kind` names the network's architecture, `version` these very weights."""

    net: nn.Module  # a VelocityNet

    def __init__(self, kind: str, net: Any, cfg: FlowConfig, maker: InputMaker, version: str) -> None:
        super().__init__()
        self.kind, self.cfg, self.maker, self.version = kind, cfg, maker, version
        self.net = net
        self.executed = cfg.executed_steps or net.horizon
        self._check_sizes()
        basis, self._dims = self._make_space()
        self.register_buffer("basis", basis, persistent=False)
        bounds = (cfg.noise_low, cfg.noise_high, cfg.noise_start)
        self.noise_head = NoiseHead(net.feature_width, cfg.noise_hidden, net.action_dim, *bounds)
        self.value_head = ValueHead(net.context_width, cfg.value_hidden)

    @property
    def _velocity_net(self) -> VelocityNet:
        return cast(VelocityNet, self.net)

    @property
    def normalisation(self) -> Normalisation:
        return self.maker.normalisation

    @property
    def uses_state(self) -> bool:
        return self.maker.cfg.uses_state

    @property
    def horizon(self) -> int:
        return self._velocity_net.horizon

    @property
    def device(self) -> torch.device:
        return self.value_head.mlp.last.weight.device

    def reset(self) -> None:
        """Nothing is kept between chunks."""

    def freeze_trunk(self, frozen: bool = True) -> None:
        """A frozen trunk is encoded without a gradient, and its prefixes stay valid."""
        for module in self._velocity_net.trunk():
            module.requires_grad_(not frozen)

    def to_precision(self, dtype: torch.dtype) -> None:
        """The bulk of the network in float32 or bfloat16."""
        self._velocity_net.to_precision(dtype)

    # ---- observations -----------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, observations: Sequence[Observation]) -> Prefix:
        """For acting, and for learning with a frozen trunk: no gradient."""
        return self.encode_inputs(self.maker(observations, self.device), self.maker.states(observations))

    def encode_inputs(
        self, inputs: Inputs, states: FloatArray | None = None, time_left: FloatArray | None = None
    ) -> Prefix:
        """From tensors, with a gradient wherever the trunk asks for one. `states` (B, N) are in the robot's units,
        `time_left` (B,) is a share; without a limit there is always all of it."""
        rows = len(inputs.state)
        found = np.zeros((rows, 0)) if states is None else states
        left = np.ones(rows) if time_left is None else time_left
        cache = self._velocity_net.encode(inputs)
        state = torch.from_numpy(np.asarray(found, dtype=np.float64)).to(self.device)
        return Prefix(rows, FlowPrefix(cache, state, torch.from_numpy(np.asarray(left, np.float32)).to(self.device)))

    # ---- chunks -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, prefix: Prefix, seed: Seed, mode: str = ODE) -> Sample:
        """A chunk for each row. Randomness depends on the seed and the row, never on the device."""
        _check_mode(mode, MODES)
        seeds = row_seeds(seed, prefix.size)
        chain, log_prob = self._chain(prefix, seeds, mode)
        value = self.value_of(prefix).double().cpu().numpy()
        return Sample(self.to_robot(chain[:, -1], prefix), value, chain, log_prob)

    def to_robot(self, x: Tensor, prefix: Prefix) -> FloatArray:
        """(B, K, D) normalised -> (B, K, N) float64 in the robot's units."""
        action = self.normalisation.action
        values = action.restore(x[:, :, : action.width].double().cpu().numpy())
        if not np.isfinite(values).all():
            raise NotFinite("The policy proposed an action that is not finite.", "Its weights are broken: load others.")
        if self.maker.cfg.relative:
            values[:, :, self._relative[0]] += _content(prefix).state.cpu().numpy()[:, None, self._relative[1]]
        return values

    def from_robot(self, values: FloatArray, states: FloatArray | None = None) -> Tensor:
        """The inverse, for training: (B, K, N) -> (B, K, D) float32, padded with zeros. `states` (B, N)."""
        made = np.array(values, dtype=np.float64)
        if self.maker.cfg.relative:
            if states is None:
                raise ContractError("Actions are relative to the state, and no state came.", "Give the states too.")
            made[:, :, self._relative[0]] -= states[:, None, self._relative[1]]
        normalised = self.normalisation.action.normalise(made)
        x = torch.zeros(*made.shape[:2], self._velocity_net.action_dim)
        x[:, :, : made.shape[2]] = torch.from_numpy(normalised).float()
        return x.to(self.device)

    # ---- likelihood -------------------------------------------------------------------------------------

    def log_prob(self, prefix: Prefix, chain: Tensor, mode: str = NOISE) -> Tensor:
        """(B,) float64, of x_t0 and every step after it that is left to chance; summed or averaged as configured."""
        _check_mode(mode, MODES[1:])
        self._check_chain(prefix, chain)
        terms = [self._first_term(chain[:, 0])]
        for index in self._noisy:
            step = self._step(prefix, chain[:, index], index, mode)
            terms.append(self._term(step, chain[:, index + 1]))
        return reduce_terms(terms, self.cfg.logprob_reduce)

    def entropy(self, prefix: Prefix, chain: Tensor, mode: str = NOISE) -> Tensor:
        """(B,) float64, of the same terms, given the states that this chain went through."""
        _check_mode(mode, MODES[1:])
        self._check_chain(prefix, chain)
        terms = [entropy_of(torch.ones_like(chain[:, 0, : self.executed, : self.normalisation.action.width]))]
        for index in self._noisy:
            terms.append(entropy_of(self._step(prefix, chain[:, index], index, mode).std))
        return reduce_terms(terms, self.cfg.logprob_reduce)

    def value_of(self, prefix: Prefix) -> Tensor:
        """(B,) float32; the value head learns, what it looks at does not."""
        content = _content(prefix)
        result: Tensor = self.value_head(self._velocity_net.context(content.cache).detach(), content.time_left)
        return result

    def flow_loss(self, prefix: Prefix, actions: Tensor, eps: Tensor, t: Tensor, weight: Tensor | None) -> Tensor:
        """(B,) of flow matching: actions (B, K, D) normalised, noise of that shape, t (B,), weights or None."""
        v, _ = self._velocity_net.velocity(_content(prefix).cache, interpolate(actions, eps, t), t)
        return flow_loss(v, actions, eps, weight)

    # ---- inside -----------------------------------------------------------------------------------------

    def _chain(self, prefix: Prefix, seeds: list[int], mode: str) -> tuple[Tensor, Tensor]:
        """States (B, S + 1, K, D) and their log-probability (B,)."""
        x = self._normal(seeds, 0, (self.horizon, self._velocity_net.action_dim))
        states, terms = [x], [self._first_term(x)]
        for index in range(self.cfg.steps):
            if mode == ODE or index not in self._noisy:
                v, _ = self._velocity(prefix, x, index)
                x = flow_step(x, v, self.cfg.steps)
            else:
                step = self._step(prefix, x, index, mode)
                eps = self._normal(seeds, index + 1, tuple(step.std.shape[1:]))
                x = step.mean + self.space.spread(step.std * eps, x.shape[2])
                terms.append(self._term(step, x))
            states.append(x)
        if mode == ODE:
            terms.append(torch.full_like(terms[0], float("nan")))  # nothing was left to chance
        return torch.stack(states, dim=1), reduce_terms(terms, self.cfg.logprob_reduce)

    def _normal(self, seeds: list[int], stream: int, shape: tuple[int, ...]) -> Tensor:
        return normal(seeds, stream, shape, self.device).to(self.value_head.mlp.last.weight.dtype)

    def _first_term(self, x: Tensor) -> Tensor:
        start = x[:, : self.executed, : self.normalisation.action.width]
        return log_normal(start, torch.ones_like(start))

    def _term(self, step: _Step, after: Tensor) -> Tensor:
        return log_normal(self.space.coefficients(after.double() - step.mean.double()), step.std)

    def _step(self, prefix: Prefix, x: Tensor, index: int, mode: str) -> _Step:
        v, h = self._velocity(prefix, x, index)
        mean = flow_step(x, v, self.cfg.steps)
        if mode == NOISE:
            return _Step(mean, self.space.pick(self.noise_head(self.space.features(h))))
        strayed, std = sde_step(x, v, index, self.cfg.steps, self.cfg.noise_level)
        push = self.space.coefficients(strayed - mean)  # only where chance acts does the drift make up for it
        return _Step(mean + self.space.spread(push, x.shape[2]), torch.full_like(push, std))

    def _velocity(self, prefix: Prefix, x: Tensor, index: int) -> tuple[Tensor, Tensor]:
        t = torch.full((x.shape[0],), grid(self.cfg.steps)[index], dtype=torch.float32, device=x.device)
        return self._velocity_net.velocity(_content(prefix).cache, x, t)

    @property
    def _noisy(self) -> range:
        """Denoising steps that are left to chance."""
        return range(self.cfg.steps - (self.cfg.noise_steps or self.cfg.steps), self.cfg.steps)

    @property
    def space(self) -> NoiseSpace:
        """Where chance acts."""
        return NoiseSpace(cast(Tensor, self.basis), self._dims)

    def _make_space(self) -> tuple[Tensor, tuple[int, ...]]:
        names = self.normalisation.action.names
        for name in self.cfg.noise_dims:
            if name not in names:
                raise UnknownName("action dimension", name, names, "noise_dims")
        dims = [index for index, name in enumerate(names) if not self.cfg.noise_dims or name in self.cfg.noise_dims]
        if self.cfg.noise_basis:
            return cosine_basis(self.horizon, self.executed, self.cfg.noise_basis), tuple(dims)
        return steps_basis(self.horizon, self.executed), tuple(dims)

    def _check_sizes(self) -> None:
        net, wide = self._velocity_net, self.normalisation
        if self.cfg.noise_steps > self.cfg.steps:
            cause = f"noise_steps is {self.cfg.noise_steps}, the flow has {self.cfg.steps} steps."
            raise ConfigError(cause, f"Give at most {self.cfg.steps}.")
        if self.executed > net.horizon:
            cause = f"executed_steps is {self.executed}, a chunk has {net.horizon} steps."
            raise ConfigError(cause, f"Give at most {net.horizon}.")
        for what, came, most in (("action", wide.action, net.action_dim), ("state", wide.state, net.state_dim)):
            if came.width > most:
                cause = f"The statistics have {came.width} columns of {what}, the network takes {most}."
                raise ContractError(cause, "Use the statistics that were saved with these weights.")
        names = wide.state.names, wide.action.names
        for name in self.maker.cfg.relative:
            if name not in names[0] or name not in names[1]:
                raise UnknownName("relative action", name, sorted(set(names[0]) & set(names[1])), "relative")
        self._relative = tuple([where.index(name) for name in self.maker.cfg.relative] for where in names[::-1])

    def _check_chain(self, prefix: Prefix, chain: Tensor) -> None:
        wanted = (prefix.size, self.cfg.steps + 1, self.horizon, self._velocity_net.action_dim)
        if tuple(chain.shape) != wanted:
            cause = f"A chain of shape {tuple(chain.shape)} came, {wanted} was expected."
            raise ContractError(cause, "Give the chains that `sample` made of this very prefix.")


def _content(prefix: Prefix) -> FlowPrefix:
    content = prefix.content
    if not isinstance(content, FlowPrefix):
        raise ContractError("This prefix was made by another policy.", "Encode the observations with this one.")
    return content


def _check_mode(mode: str, known: Sequence[str]) -> None:
    if mode not in known:
        raise UnknownName("way of sampling", mode, known)


if TYPE_CHECKING:  # it keeps the protocol
    _KEPT: type[TrainablePolicy] = FlowPolicy
