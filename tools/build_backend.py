"""setuptools' build backend, which asks for the ROS wheels only where there is no ROS.

With this `pip install '.[ros]'` is enough on a bare machine: pip's build environment gets what makes the messages.
Beside a sourced ROS 2 nothing of it is downloaded, and the messages are built for that ROS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

REQUIREMENTS = Path(__file__).parent / "requirements-build.txt"
Settings = Mapping[str, Any] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What setuptools asks for, and ROS where there is none."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *ros_requirements()]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """As for a wheel."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *ros_requirements()]


def ros_requirements() -> list[str]:
    """The wheels that generate messages; none if a ROS is sourced or this environment has them."""
    prefixes = [sys.prefix, *os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
    if any(Path(p, "share/rosidl_default_generators").is_dir() for p in prefixes if p):
        return []
    lines = (line.partition("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines())
    return [line for line in lines if line]
