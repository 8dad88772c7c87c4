"""What a node must know of a policy before it lets it act: what it looks through, and that it proposes at all."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from vla_mbpo_ros.errors import ContractError, NotFinite
from vla_mbpo_ros.policy.flow.config import MASK
from vla_mbpo_ros.policy.protocol import Policy
from vla_mbpo_ros.robots import RobotSpec
from vla_mbpo_ros.schema import Observation

_TIMES = 2  # the first inference makes what later ones use again


@dataclass(frozen=True)
class View:
    """Through which of the robot's cameras a policy looks."""

    cameras: tuple[str, ...]
    needed: tuple[str, ...]  # without one of these an observation is refused; the others are masked

    def of(self, observation: Observation) -> Observation:
        """What the policy is to see of it. The stamps of all sources stay."""
        images = {name: image for name, image in observation.images.items() if name in self.cameras}
        return replace(observation, images=images)


def view_of(policy: Policy, cameras: Collection[str]) -> View:
    """Of the robot's `cameras`; a policy that does not say which it needs is given all."""
    maker = getattr(policy, "maker", None)
    if maker is None:
        return View(tuple(cameras), tuple(cameras))
    names = maker.cfg.camera_names
    return View(names, () if maker.cfg.missing_camera == MASK else names)


def rehearse(policy: Policy, robot: RobotSpec, sizes: Mapping[str, tuple[int, int]], instruction: str) -> float:
    """Infer on a blank observation at home, pictures of `sizes` (height, width); seconds of the last time.

    So the first chunk that counts is not the slow one, and a policy that proposes nonsense is found before it acts.
    """
    images = {name: np.zeros((*size, 3), dtype=np.uint8) for name, size in sizes.items()}
    blank = view_of(policy, tuple(sizes)).of(Observation(0, images, robot.home, instruction))
    for _ in range(_TIMES):
        began_s = time.perf_counter()
        values = policy.sample(policy.encode([blank]), seed=0).values[0]
        took_s = time.perf_counter() - began_s
    if values.ndim != 2 or values.shape[1] != robot.dof:
        cause = f"The policy {policy.version} proposed a chunk of shape {values.shape}."
        raise ContractError(cause, f"Load one for the {robot.dof} joints of {robot.name}.")
    if not np.isfinite(values).all():
        raise NotFinite(f"The policy {policy.version} proposed an action that is not finite.", "Load another one.")
    policy.reset()
    return took_s
