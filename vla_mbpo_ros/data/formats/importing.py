"""A data set of another format -> bags, one for each episode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from vla_mbpo_ros.data.episodes.episode import Episode
from vla_mbpo_ros.data.formats.bag_out import write_episode
from vla_mbpo_ros.data.formats.columns import topic_name
from vla_mbpo_ros.data.formats.staging import staged
from vla_mbpo_ros.data.formats.transfer import Moved, OnProgress, TransferReport


class Source(Protocol):
    """An open data set."""

    count: int | None  # episodes, if it says so

    def episodes(self) -> Iterator[tuple[str, Callable[[], Episode]]]:
        """The name of each, and what reads it; reading may raise."""

    def close(self) -> None: ...


def import_episodes(
    format_name: str, source: Source, name: str, target: Path, on_progress: OnProgress = lambda name: None
) -> TransferReport:
    """Bags `target`/<name>_000000 and so on; the folder is not there if the report has no episode."""
    report = TransferReport(format_name, target)
    stem = topic_name(name)
    with staged(target, lambda: bool(report.moved)) as folder:
        for number, (label, read) in enumerate(source.episodes()):
            on_progress(label)
            with report.skipping(label):
                episode = read()
                bag = write_episode(episode, folder, f"{stem}_{number:06d}")
                report.moved.append(Moved(label, str(target / bag.name), episode.rows))
    return report
