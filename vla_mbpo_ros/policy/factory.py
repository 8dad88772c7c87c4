"""Policies by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vla_mbpo_ros.config import PolicyConfig
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.policy.protocol import Policy
from vla_mbpo_ros.robots import RobotSpec

if TYPE_CHECKING:
    from vla_mbpo_ros.policy.flow.policy import FlowPolicy


def make_policy(cfg: PolicyConfig, robot: RobotSpec, control_hz: float) -> Policy:
    """The policy that `cfg.kind` names. `control_hz` is the rate of its chunks' steps."""
    if cfg.kind not in _KINDS:
        raise UnknownName("policy", cfg.kind, _KINDS)
    return _KINDS[cfg.kind](cfg, robot, control_hz)


def _scripted(cfg: PolicyConfig, robot: RobotSpec, control_hz: float) -> Policy:
    # imported late: it needs MuJoCo, which other policies do not
    from vla_mbpo_ros.policy.scripted.expert import ScriptedPolicy

    return ScriptedPolicy(robot, control_hz, cfg.horizon)


def _learnt(cfg: PolicyConfig, robot: RobotSpec, control_hz: float) -> Policy:
    # imported late: it needs torch, which other policies do not
    from vla_mbpo_ros.policy.checkpoint import load_policy

    if not cfg.checkpoint:
        cause = f"A {cfg.kind} policy acts by what it has learnt, and policy.checkpoint is empty."
        raise ConfigError(cause, "Give the folder that `vla-mbpo train policy` has written.")
    policy = load_policy(Path(cfg.checkpoint))
    if policy.kind != cfg.kind:
        cause = f"{cfg.checkpoint} holds a {policy.kind} policy, policy.kind is {cfg.kind}."
        raise ConfigError(cause, f"Give policy.kind {policy.kind}, or another checkpoint.")
    _check_robot(policy, robot, cfg.checkpoint)
    return policy


def _check_robot(policy: FlowPolicy, robot: RobotSpec, where: str) -> None:
    """What it has learnt must be of this robot."""
    for what, names in (("moves", policy.normalisation.action.names), ("reads", policy.normalisation.state.names)):
        if names != robot.names:
            cause = f"The policy in {where} {what} {', '.join(names)}, {robot.name} has {', '.join(robot.names)}."
            raise ContractError(cause, "Load a policy that was trained for this robot.")
    for camera in policy.maker.cfg.camera_names:
        if camera not in robot.camera_names:
            raise UnknownName("camera", camera, robot.camera_names, where)


_KINDS: dict[str, Callable[[PolicyConfig, RobotSpec, float], Policy]] = {"scripted": _scripted, "tiny": _learnt}
