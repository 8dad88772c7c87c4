"""The settings of one start: the file, then single settings, then what the options say; each can be traced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from vla_mbpo_ros.bringup.options import AUTO, NO_POLICY, Options
from vla_mbpo_ros.config import Config
from vla_mbpo_ros.config_io import load_config, update
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.robots.settings import resolve
from vla_mbpo_ros.share import share_dir


def settings_for(options: Options) -> Config:
    """The whole, checked tree that every node of the graph will see."""
    get_robot(options.robot_name)  # an unknown robot is a better error than its missing file
    cfg = resolve(_from_file(options))
    cfg = update(cfg, dict(_pair(text) for text in options.set), "--set")
    cfg = update(cfg, _from_options(options, cfg), "the options")
    _refuse_armed(cfg, options)
    _refuse_unrecordable(cfg, options)
    return replace(cfg, robot_id=_robot_id(cfg, options))


def config_file(options: Options) -> Path:
    if options.config:
        return Path(options.config).expanduser()
    return share_dir() / "config" / f"{options.robot_name}.yaml"


def _from_file(options: Options) -> Config:
    path = config_file(options)
    cfg = load_config(path)
    if cfg.robot != options.robot_name:
        raise ConfigError(
            f"{path} is for the robot '{cfg.robot}', not '{options.robot_name}'.",
            f"Start '{cfg.robot}', or give another file as `config`.",
        )
    return cfg


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"'{text}' is no setting.", "Write name=value, for example policy.horizon=16.")
    return name.strip(), yaml.safe_load(value)


def _from_options(options: Options, cfg: Config) -> dict[str, Any]:
    changes: dict[str, Any] = {"runtime.autostart": not options.supervise}
    changes["gate.driver"] = "sink" if options.robot_from == "sink" else "topics"
    if options.policy not in (AUTO, NO_POLICY):
        changes["policy.kind"] = options.policy
    if options.world_model != AUTO:
        changes["world_model.kind"] = options.world_model
    if options.instruction:
        changes["instruction"] = options.instruction
    if options.cameras_from == "synthetic":
        changes.update({f"cameras.{name}.driver": "synthetic" for name in cfg.cameras})
    if options.sim:
        changes.update({"gate.armed": options.act, "executor.enabled": options.act, "policy.start": options.act})
        changes["gate.command_type"] = "none"
    return changes


def _refuse_armed(cfg: Config, options: Options) -> None:
    if cfg.gate.armed and not options.sim:
        raise ConfigError(
            "gate.armed is true without a simulation: a real robot would move as soon as it is started.",
            "Remove it, and arm by the service robot/arm.",
        )


def _refuse_unrecordable(cfg: Config, options: Options) -> None:
    """What the recorder and its buttons need, and nobody would give."""
    if cfg.operator.enabled and not options.record:
        raise ConfigError(
            "operator.enabled is true without a recorder.", "Start with record, or without operator_node."
        )
    silent = [name for name, camera in cfg.cameras.items() if not camera.jpeg_quality]
    if options.record and options.cameras_from != "external" and cfg.recorder.color != "raw" and silent:
        raise ConfigError(
            f"recorder.color is '{cfg.recorder.color}', but our drivers of {', '.join(silent)} compress nothing.",
            f"Set {' and '.join(f'cameras.{name}.jpeg_quality' for name in silent)}, for example to 90.",
        )


def _robot_id(cfg: Config, options: Options) -> str:
    """A simulated robot never has the name of a real one: robot_node refuses commands for another."""
    name = cfg.robot_id or cfg.robot
    return f"{name}-sim" if options.sim and not name.endswith("-sim") else name
