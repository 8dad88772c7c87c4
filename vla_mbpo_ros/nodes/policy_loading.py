"""A policy with what its node must know of it, and how a second one is loaded beside the one that acts."""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.errors import ConfigError, ContractError, VlaMbpoError
from vla_mbpo_ros.policy.factory import load_checkpoint, make_policy
from vla_mbpo_ros.policy.protocol import Policy
from vla_mbpo_ros.policy.readiness import View, rehearse, view_of
from vla_mbpo_ros.robots import RobotSpec


@dataclass(frozen=True)
class Actor:
    """A policy that is ready to act."""

    policy: Policy
    view: View
    checkpoint: str  # where it comes from; empty if it has none

    @property
    def version(self) -> str:
        return self.policy.version


def configured_actor(cfg: Config, robot: RobotSpec) -> Actor:
    """The one that the settings name."""
    policy = make_policy(cfg.policy, robot, cfg.control_hz)
    if cfg.policy.checkpoint:
        _rehearse(policy, cfg, robot)
    return Actor(policy, view_of(policy, tuple(cfg.cameras)), cfg.policy.checkpoint)


class Loader:
    """One policy at a time, on a thread of its own: neither callbacks nor inference wait for it."""

    def __init__(self, cfg: Config, robot: RobotSpec) -> None:
        self._cfg, self._robot = cfg, robot
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")
        self._job: Future[Actor] | None = None
        self._path = ""

    @property
    def path(self) -> str:
        """What is being loaded; empty if nothing is."""
        return self._path if self._job is not None and not self._job.done() else ""

    def check_calm(self) -> None:
        """While something moves: torch, once it is here, lets other threads run; bringing it in stops them for long."""
        if "torch" not in sys.modules:
            cause = "The first learnt policy brings torch into this node, which stops it for a second or more."
            raise VlaMbpoError(
                cause, "Load it while the policy rests or the robot is disarmed; later ones at any time."
            )

    def begin(self, path: str) -> Future[Actor]:
        """Its result, or an error of our tree if anything is wrong. To ask for the same again is to wait for it."""
        if not path:
            raise ConfigError("No path came.", "Give the folder of a policy on the machine of this node.")
        if self._job is not None and self.path == path:
            return self._job
        if self.path:
            raise VlaMbpoError(f"{self.path} is being loaded.", "Ask again when that has been answered.")
        self._path = path
        self._job = self._thread.submit(self._load, Path(path).expanduser())
        return self._job

    def forget(self, job: Future[Actor]) -> None:
        """What has been answered; else a policy that nobody wants stays in memory until the next one comes."""
        if self._job is job and job.done():
            self._job = None

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _load(self, path: Path) -> Actor:
        try:
            policy = load_checkpoint(path, self._cfg.policy, self._robot, self._cfg.control_hz)
            _rehearse(policy, self._cfg, self._robot)
        except VlaMbpoError:
            raise
        except Exception as error:  # whatever is in that folder, the policy that acts must go on
            raise ContractError(f"{path} cannot be loaded: {error!r}.", "Load another policy.") from error
        return Actor(policy, view_of(policy, tuple(self._cfg.cameras)), str(path))


def _rehearse(policy: Policy, cfg: Config, robot: RobotSpec) -> None:
    sizes = {name: (camera.height, camera.width) for name, camera in cfg.cameras.items()}
    rehearse(policy, robot, sizes, cfg.instruction)
