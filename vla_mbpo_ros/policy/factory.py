"""Policies by name."""

from __future__ import annotations

from collections.abc import Callable

from vla_mbpo_ros.config import PolicyConfig
from vla_mbpo_ros.errors import UnknownName
from vla_mbpo_ros.policy.protocol import Policy
from vla_mbpo_ros.robots import RobotSpec


def make_policy(cfg: PolicyConfig, robot: RobotSpec, control_hz: float) -> Policy:
    """The policy that `cfg.kind` names. `control_hz` is the rate of its chunks' steps."""
    if cfg.kind not in _KINDS:
        raise UnknownName("policy", cfg.kind, _KINDS)
    return _KINDS[cfg.kind](cfg, robot, control_hz)


def _scripted(cfg: PolicyConfig, robot: RobotSpec, control_hz: float) -> Policy:
    # imported late: it needs MuJoCo, which other policies do not
    from vla_mbpo_ros.policy.scripted.expert import ScriptedPolicy

    return ScriptedPolicy(robot, control_hz, cfg.horizon)


_KINDS: dict[str, Callable[[PolicyConfig, RobotSpec, float], Policy]] = {"scripted": _scripted}
