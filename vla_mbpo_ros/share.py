"""Where the files lie that are not Python: launch files, YAML, interface definitions. Needs no ROS.

Any room may use it. ament_index_python does the same for a sourced ROS; this also finds the files of a pip
install when nothing is sourced, and those of a source tree.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vla_mbpo_ros.errors import MissingDependency

PACKAGE = "vla_mbpo_ros"


def share_dir() -> Path:
    """The folder that holds our `config/` and `launch/`.

    In a source tree (editable install) that is the tree itself, so that an edited YAML counts at once.
    For interface definitions use `package_share`: those of the tree may be newer than the messages in use.
    """
    tree = Path(__file__).parent.parent
    if (tree / "package.xml").is_file():
        return tree
    return package_share(PACKAGE)


def package_share(name: str) -> Path:
    """The share folder of an installed ROS package, for example to read `msg/Image.msg` from.

    Looks where a sourced environment points to, then beside this Python, where pip puts it.
    """
    for prefix in ros_prefixes():
        if (prefix / "share" / "ament_index" / "resource_index" / "packages" / name).is_file():
            return prefix / "share" / name
    looked = ", ".join(map(str, ros_prefixes()))
    raise MissingDependency(
        f"ROS package '{name}' is not installed (looked in {looked}).",
        "Source a ROS 2 that has it (`source /opt/ros/<distribution>/setup.bash`), or run `make setup`.",
    )


def ros_prefixes() -> list[Path]:
    """Every prefix to look in, best first; joined with ':' a proper AMENT_PREFIX_PATH for a child process."""
    sourced = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    return [Path(p) for p in dict.fromkeys([*sourced, sys.prefix])]
