"""`vla-mbpo config [ROBOT]`: every setting with value, unit, range and meaning; checks a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.common import new_command
from vla_mbpo_ros.cli.output import emit
from vla_mbpo_ros.errors import ConfigError

if TYPE_CHECKING:
    from vla_mbpo_ros.config import Config, Leaf

_DOC = "Show every setting with its value, unit, range and meaning; check a file."


def add(subparsers: Any) -> None:
    parser = new_command(subparsers, "config", _DOC, run)
    parser.add_argument("robot_name", metavar="ROBOT", nargs="?", default="", help="default: as the file says")
    parser.add_argument("--file", type=Path, help="YAML file to check; default: the robot's own in config/")


def run(args: argparse.Namespace) -> int:
    path, cfg = _read(args.robot_name, args.file)
    settings = _settings(cfg)
    emit(args, {"ok": True, "file": str(path), "settings": settings}, lambda: _show(path, settings))
    return 0


def _read(robot_name: str, file: Path | None) -> tuple[Path, Config]:
    from vla_mbpo_ros.bringup.options import Options
    from vla_mbpo_ros.bringup.settings import config_file
    from vla_mbpo_ros.config import Config
    from vla_mbpo_ros.config_io import load_config
    from vla_mbpo_ros.robots import get_robot
    from vla_mbpo_ros.robots.settings import resolve

    if file is None:
        file = config_file(Options(get_robot(robot_name or Config().robot).name))
    cfg = resolve(load_config(file))
    if robot_name and cfg.robot != get_robot(robot_name).name:
        raise ConfigError(f"{file} is for the robot '{cfg.robot}'.", "Name that robot, or another file.")
    return file, cfg


def _settings(cfg: Config) -> dict[str, dict[str, Any]]:
    from vla_mbpo_ros.config_io import describe, flatten

    facts = describe(cfg)
    rows = {name: _row(value, facts[name]) for name, value in flatten(cfg).items()}
    rows["topics"] = _row(cfg.topics, type(cfg).__dataclass_fields__["topics"].metadata["leaf"])
    return rows


def _row(value: Any, facts: Leaf) -> dict[str, Any]:
    return {
        "value": value,
        "unit": facts.unit,
        "low": facts.low,
        "high": facts.high,
        "choices": list(facts.choices),
        "dynamic": facts.dynamic,
        "doc": facts.doc,
    }


def _show(path: Path, settings: dict[str, dict[str, Any]]) -> None:
    print(f"# {path}; * may change while the node runs")
    width = max(len(name) for name in settings)
    for name, row in settings.items():
        star = "*" if row["dynamic"] else " "
        value = f"{row['value']} {row['unit']}".strip() or "''"
        print(f"{star} {name:<{width}}  {value:<28} {row['doc']}{_allowed(row)}")


def _allowed(row: dict[str, Any]) -> str:
    if row["choices"]:
        return f" [{', '.join(row['choices'])}]"
    low, high = row["low"], row["high"]
    if low is None and high is None:
        return ""
    if high is None:
        return f" [from {low:g}]"
    return f" [to {high:g}]" if low is None else f" [{low:g} to {high:g}]"
