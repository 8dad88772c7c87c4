"""The policy protocol. Everything has a batch dimension first, of size B.

        observations (B) ──encode──> Prefix ──sample(seed)──> Sample
                                                               values (B, K, N)   K steps of N joints
                                                               value  (B,)        NaN if the policy has none

`encode` does what does not depend on chance (images, instruction, for a VLA the key-value cache of its
prefix), so that many samples of one observation cost one `encode`. Step i of row b is the joint target for
`observations[b].stamp_ns + i * dt`.

Row b of every batch is the same robot until `reset`: a policy may keep memory per row. `sample` may be
repeated: the same prefix and seed give the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vla_mbpo_ros.schema import FloatArray, Observation


@dataclass(frozen=True)
class Prefix:
    """A batch of observations as one policy sees it. `content` is that policy's own."""

    size: int  # B
    content: Any


@dataclass(frozen=True)
class Sample:
    """What a policy proposes for a batch."""

    values: FloatArray  # (B, K, N) float64 in the robot's order and units
    value: FloatArray  # (B,) float64, the expected return; NaN if the policy has no value head


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
