"""The policy protocol. Everything has a batch dimension first, of size B.

        observations (B) ──encode──> Prefix ──sample(seed)──> Sample
                                       │                       values (B, K, N)   K steps of N joints
                                       │                       value  (B,)        NaN if the policy has none
                                       ├──log_prob(chain)────> (B,)   a policy that can be trained
                                       └──value_of───────────> (B,)

`encode` does what does not depend on chance (images, instruction, for a VLA the key-value cache of its
prefix), so that many samples of one observation cost one `encode`. While that part of a policy is frozen, a prefix
may be kept over all passes of PPO: rows of it are taken with `select`, and put together with `cat`.
Step i of row b is the joint target for `observations[b].stamp_ns + i * dt`.

Row b of every batch is the same robot until `reset`: a policy may keep memory per row. `sample` may be
repeated: the same prefix and seed give the same values. With one seed a row's chance depends on its place in the
batch; with a seed for each row, on that seed only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from vla_mbpo_ros.schema import FloatArray, Observation

if TYPE_CHECKING:  # a policy without a network needs no torch
    import torch
    from torch import Tensor

    from vla_mbpo_ros.policy.flow.normalisation import Normalisation

ODE, NOISE, SDE = "ode", "noise", "sde"
MODES = (ODE, NOISE, SDE)


@dataclass(frozen=True)
class Prefix:
    """A batch of observations as one policy sees it. `content` is that policy's own."""

    size: int  # B
    content: Any

    def select(self, rows: Sequence[int]) -> Prefix:
        """These rows, in this order. For policies whose content is a tree of tensors, as are the next three."""
        from vla_mbpo_ros.models import tree

        return Prefix(len(rows), tree.select(self.content, rows))

    def detach(self) -> Prefix:
        from vla_mbpo_ros.models import tree

        return Prefix(self.size, tree.detach(self.content))

    def to(self, device: torch.device | str) -> Prefix:
        """On another device: what waits for its turn need not fill the accelerator."""
        from vla_mbpo_ros.models import tree

        return Prefix(self.size, tree.move(self.content, device))

    @staticmethod
    def cat(prefixes: Sequence[Prefix]) -> Prefix:
        from vla_mbpo_ros.models import tree

        return Prefix(sum(prefix.size for prefix in prefixes), tree.cat([prefix.content for prefix in prefixes]))


@dataclass(frozen=True)
class Sample:
    """What a policy proposes for a batch. The last two are there for policies that can be trained."""

    values: FloatArray  # (B, K, N) float64 in the robot's order and units
    value: FloatArray  # (B,) float64, the expected return; NaN if the policy has no value head
    chain: Tensor | None = None  # (B, S + 1, K, D) float32: the states of the flow, from noise to normalised action
    log_prob: Tensor | None = None  # (B,) float64, of the chain; NaN where nothing was left to chance


class Policy(Protocol):
    """Anything that proposes chunks."""

    @property
    def version(self) -> str:
        """Names the policy and its weights in every chunk and bag."""
        ...

    @property
    def uses_state(self) -> bool:
        """Whether the joint state changes the proposal."""
        ...

    def encode(self, observations: Sequence[Observation]) -> Prefix: ...

    def sample(self, prefix: Prefix, seed: int) -> Sample: ...

    def reset(self) -> None:
        """Begin an episode: forget what was kept of the last one."""
        ...


class TrainablePolicy(Policy, Protocol):
    """A policy with likelihoods and a value: what reinforcement learning needs."""

    @property
    def normalisation(self) -> Normalisation:
        """Between the robot's units and the network's."""
        ...

    def sample(self, prefix: Prefix, seed: int | Sequence[int], mode: str = ODE) -> Sample:
        """`mode` is one of MODES: "ode" for evaluation, "noise" (Flow-Noise) or "sde" (Flow-SDE) to explore."""
        ...

    def log_prob(self, prefix: Prefix, chain: Tensor, mode: str = NOISE) -> Tensor:
        """(B,) of the whole chain, with a gradient."""
        ...

    def entropy(self, prefix: Prefix, chain: Tensor, mode: str = NOISE) -> Tensor:
        """(B,) of the chain's steps, with a gradient."""
        ...

    def value_of(self, prefix: Prefix) -> Tensor:
        """(B,) the expected return; no gradient reaches the trunk."""
        ...
