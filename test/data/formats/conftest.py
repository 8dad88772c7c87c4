"""Exports and imports without bags in between where a test needs none; what is read back is read from real bags."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent))  # for made_episodes.py, which the tests of this folder share

if TYPE_CHECKING:
    from vla_mbpo_ros.data.episodes.episode import Episode


@pytest.fixture(scope="session", autouse=True)
def libraries() -> None:
    for name in ("av", "h5py", "pyarrow"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'vla_mbpo_ros[formats]'")


@pytest.fixture
def export_to(tmp_path: Path) -> Callable[..., Any]:
    """export_to(format, episodes, **options of the writer) -> report. Choice by the name `choice`."""
    from vla_mbpo_ros.data.formats.exporting import Choice, export
    from vla_mbpo_ros.data.formats.hdf5.write import Hdf5Writer
    from vla_mbpo_ros.data.formats.lerobot.write import LeRobotWriter

    writers: Mapping[str, Any] = {"lerobot": LeRobotWriter, "hdf5": Hdf5Writer}

    def run(name: str, episodes: list[Episode], target: str = "out", choice: Any = None, **options: Any) -> Any:
        by_path = {Path(f"bags/{number}"): episode for number, episode in enumerate(episodes)}
        choice = choice or Choice()

        def make(folder: Path, fps: int) -> Any:
            return writers[name](folder, fps, cameras=choice.cameras, **options)

        return export(name, list(by_path), tmp_path / target, make, by_path.__getitem__, choice)

    return run


@pytest.fixture
def import_from(tmp_path: Path) -> Callable[..., Any]:
    """import_from(open source, target) -> report."""
    from vla_mbpo_ros.data.formats.importing import import_episodes

    def run(source: Any, target: str = "bags") -> Any:
        try:
            return import_episodes("test", source, "set", tmp_path / target)
        finally:
            source.close()

    return run
