"""LeRobot data sets: codebase v3.0 is written, v3.0 and v2.x are read.

    meta/info.json                                   rate, features, counts, where files are
    meta/stats.json                                  of every feature, over all rows
    meta/tasks.parquet                               instruction -> task_index
    meta/episodes/chunk-000/file-000.parquet         one row an episode: where its rows and frames are, its statistics
    data/chunk-000/file-000.parquet                  one row a tick, many episodes a file
    videos/observation.images.head/chunk-000/file-000.mp4

Facts of the layout were read from lerobot 0.4.4 and are tested against its own reader (docs/formats.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vla_mbpo_ros.data.formats.transfer import TransferReport


def export_lerobot(bags: Sequence[Path], target: Path, codec: str = "h264", crf: int = 20) -> TransferReport:
    """All of these bags at the rate of the first. BagError if none could be exported."""
    from vla_mbpo_ros.data.episodes.reader import read_episode
    from vla_mbpo_ros.data.formats.exporting import export
    from vla_mbpo_ros.data.formats.lerobot.write import LeRobotWriter, check_options
    from vla_mbpo_ros.errors import BagError

    check_options(codec, crf)
    report = export("lerobot", bags, target, lambda folder, fps: LeRobotWriter(folder, fps, codec, crf), read_episode)
    if not report.moved:
        reason = report.skipped[0][1] if report.skipped else "No bag was given."
        raise BagError(f"Nothing could be exported to {target}: {reason}")
    return report
