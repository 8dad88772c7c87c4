"""Policies by name, and learnt ones from their checkpoints, checked against the robot that they are to move."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.config import PolicyConfig
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.policy.protocol import Policy
from vla_mbpo_ros.robots import RobotSpec

if TYPE_CHECKING:
    from vla_mbpo_ros.policy.flow.policy import FlowPolicy

_CUDA = "cuda"
_RATE = "control_hz"  # in a lineage's configuration, where its training has said it
_SAME_RATE = 0.01  # Hz


def make_policy(cfg: PolicyConfig, robot: RobotSpec, control_hz: float) -> Policy:
    """The policy that `cfg.kind` names. `control_hz` is the rate of its chunks' steps."""
    if cfg.kind not in _KINDS:
        raise UnknownName("policy", cfg.kind, _KINDS)
    return _KINDS[cfg.kind](cfg, robot, control_hz)


def load_checkpoint(path: Path, cfg: PolicyConfig, robot: RobotSpec, control_hz: float) -> FlowPolicy:
    """The policy of any kind in `path`: our own folder, or a checkpoint of openpi or lerobot.

    Refused unless it moves and reads this robot's joints, at its rate, looks through its cameras and plans far enough.
    """
    # imported late: it needs torch, which other policies do not
    from vla_mbpo_ros.models.weights import read_header
    from vla_mbpo_ros.policy.checkpoint import LINEAGE, STATS, WEIGHTS, load_policy, read_lineage

    if not path.exists():
        raise ConfigError(f"There is nothing at {path}.", "Give the folder of a policy on the machine of this node.")
    device, dtype = device_of(cfg.device)
    if any((path / name).exists() for name in (WEIGHTS, STATS, LINEAGE)):  # ours, also when it is not whole
        read_header(path / WEIGHTS)  # says in which way a file is damaged; the hash would only say that it is
        policy = load_policy(path, device, dtype)
        _check_rate(read_lineage(path).config.get(_RATE), control_hz, path)
    else:
        policy = _load_foreign(path, cfg, robot, device, dtype)
    _check_robot(policy, robot, str(path))
    _check_horizon(policy.horizon, cfg.replan_steps, path)
    return policy


def _scripted(cfg: PolicyConfig, robot: RobotSpec, control_hz: float) -> Policy:
    # imported late: it needs MuJoCo, which other policies do not
    from vla_mbpo_ros.policy.scripted.expert import ScriptedPolicy

    return ScriptedPolicy(robot, control_hz, cfg.horizon)


def _learnt(cfg: PolicyConfig, robot: RobotSpec, control_hz: float) -> Policy:
    if not cfg.checkpoint:
        cause = f"A {cfg.kind} policy acts by what it has learnt, and policy.checkpoint is empty."
        raise ConfigError(cause, "Give the folder that `vla-mbpo train policy` has written.")
    policy = load_checkpoint(Path(cfg.checkpoint), cfg, robot, control_hz)
    if policy.kind != cfg.kind:
        cause = f"{cfg.checkpoint} holds a {policy.kind} policy, policy.kind is {cfg.kind}."
        raise ConfigError(cause, f"Give policy.kind {policy.kind}, or another checkpoint.")
    return policy


def _load_foreign(path: Path, cfg: PolicyConfig, robot: RobotSpec, device: str, dtype: str) -> FlowPolicy:
    """Joints and cameras are the robot's; a slot whose usual camera it lacks stays empty."""
    from vla_mbpo_ros.policy.pi.foreign import CAMERAS, HORIZONS, Foreign, load_foreign, look, slots_of

    found = look(path)
    usual = {slot: CAMERAS.get(slot, slot) for slot in slots_of(found)}
    cameras = {slot: camera if camera in robot.camera_names else "" for slot, camera in usual.items()}
    if not any(cameras.values()):
        cause = f"{path} looks through {', '.join(usual.values())}, {robot.name} has {', '.join(robot.camera_names)}."
        raise ContractError(cause, "Make it a policy of ours and say which camera is which: `vla-mbpo policy import`.")
    told = Foreign(
        tokenizer=cfg.tokenizer,
        cameras=cameras,
        state_names=robot.names,
        action_names=robot.names,
        horizon=0 if any(key in found.config for key in HORIZONS) else cfg.horizon,
    )
    return load_foreign(path, told, device, dtype)


def device_of(name: str) -> tuple[str, str]:
    """Device and precision; on a CPU weights stay as they were saved."""
    if name != _CUDA:
        return name, ""
    from vla_mbpo_ros.models.need import need

    if not need("torch").cuda.is_available():
        raise ConfigError("policy.device is cuda, and this machine has no CUDA device.", "Give policy.device cpu.")
    return name, "bfloat16"


def _check_robot(policy: FlowPolicy, robot: RobotSpec, where: str) -> None:
    """What it has learnt must be of this robot."""
    for what, names in (("moves", policy.normalisation.action.names), ("reads", policy.normalisation.state.names)):
        if names != robot.names:
            cause = f"The policy in {where} {what} {', '.join(names)}, {robot.name} has {', '.join(robot.names)}."
            raise ContractError(cause, "Load a policy that was trained for this robot.")
    for camera in policy.maker.cfg.camera_names:
        if camera not in robot.camera_names:
            raise UnknownName("camera", camera, robot.camera_names, where)


def _check_rate(trained_hz: Any, control_hz: float, where: Path) -> None:
    if isinstance(trained_hz, (int, float)) and abs(trained_hz - control_hz) > _SAME_RATE:
        cause = f"The policy in {where} was trained at {trained_hz:g} steps a second, control_hz is {control_hz:g}."
        raise ContractError(cause, "Load a policy of this rate, or start the graph with the policy's.")


def _check_horizon(horizon: int, replan_steps: int, where: Path) -> None:
    if horizon < replan_steps:
        cause = (
            f"The policy in {where} plans {horizon} steps, policy.replan_steps asks for a chunk every {replan_steps}."
        )
        raise ContractError(cause, f"The arm would hold in between: set policy.replan_steps to {horizon} or less.")


_KINDS: dict[str, Callable[[PolicyConfig, RobotSpec, float], Policy]] = {
    "scripted": _scripted,
    "tiny": _learnt,
    "pi0": _learnt,
    "pi05": _learnt,
}
