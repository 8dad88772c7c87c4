"""Where the files beside the code are: config/, launch/, in a checkout, a pip install or a colcon install."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from vla_mbpo_ros.errors import MissingDependency

PACKAGE = "vla_mbpo_ros"


def share_file(name: str) -> Path:
    """Path of a shipped file, for example `config/fastdds.xml`."""
    tried = list(dict.fromkeys(share_folders()))
    for folder in tried:
        if (folder / name).is_file():
            return folder / name
    places = ", ".join(str(folder) for folder in tried)
    raise MissingDependency(
        f"{name} was not found in {places}.", "Install vla_mbpo_ros again; see README.md."
    )


def share_folders() -> Iterator[Path]:
    """Candidates, nearest first: the checkout that this very code runs from, then installs."""
    code = Path(__file__).resolve().parents[1]
    if (code.parent / "package.xml").is_file():
        yield code.parent
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix:
            yield Path(prefix) / "share" / PACKAGE
    yield Path(sys.prefix) / "share" / PACKAGE
