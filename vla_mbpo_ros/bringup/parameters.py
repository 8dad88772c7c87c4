"""The resolved settings as one ROS parameter file that every node of the graph reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from vla_mbpo_ros.config import Config
from vla_mbpo_ros.config_io import ROS_WRAPPER, flatten

_HEADER = "# Resolved settings of one run; `vla-mbpo config --file` and --params-file read it.\n"


def write_parameters(cfg: Config, path: Path) -> Path:
    """Write `cfg` to `path` for `--params-file`."""
    text = yaml.safe_dump(parameter_tree(cfg), sort_keys=False, allow_unicode=True)
    path.write_text(_HEADER + text, encoding="utf-8")
    return path


def parameter_tree(cfg: Config) -> dict[str, Any]:
    """The nested form of `flatten(cfg)`. Empty lists are left out: rcl refuses them, and they are the default."""
    tree: dict[str, Any] = {}
    for name, value in flatten(cfg).items():
        if value == ():
            continue
        *sections, last = name.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = list(value) if isinstance(value, tuple) else value
    return {ROS_WRAPPER[0]: {ROS_WRAPPER[1]: tree}}
