"""Bags -> a data set of another format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from vla_mbpo_ros.config import OUTCOMES
from vla_mbpo_ros.data.episodes.episode import Episode
from vla_mbpo_ros.data.formats.cut import GAPS, Piece, cut, left_out, rate_of
from vla_mbpo_ros.data.formats.staging import staged
from vla_mbpo_ros.data.formats.transfer import Moved, OnProgress, TransferReport
from vla_mbpo_ros.errors import ConfigError, UnknownName


@dataclass(frozen=True)
class Choice:
    """What of the bags is wanted."""

    fps: int | None = None  # None: the rate of the first episode
    gaps: str = "split"  # or "skip"
    outcome: str = ""  # one of OUTCOMES; empty: all
    cameras: Mapping[str, str] = field(default_factory=dict)  # ours -> theirs; empty: all under their own names

    def __post_init__(self) -> None:
        if self.gaps not in GAPS:
            raise UnknownName("treatment of gaps", self.gaps, GAPS)
        if self.outcome and self.outcome not in OUTCOMES:
            raise UnknownName("outcome", self.outcome, OUTCOMES)
        if self.fps is not None and self.fps < 1:
            raise ConfigError(f"--fps is {self.fps}.", "Give a whole number above 0.")


class Writer(Protocol):
    """A data set in the making. A piece that it refuses leaves no trace in it."""

    def add(self, piece: Piece) -> object:
        """What the piece is called there."""

    def finish(self) -> None: ...

    def close(self) -> None: ...


MakeWriter = Callable[[Path, int], Writer]  # an empty folder, rows a second
ReadEpisode = Callable[[Path], Episode]


def export(
    format_name: str,
    bags: Sequence[Path],
    target: Path,
    make: MakeWriter,
    read: ReadEpisode,
    choice: Choice = Choice(),
    on_progress: OnProgress = lambda name: None,
) -> TransferReport:
    """The data set is at `target` afterwards, unless the report has no episode."""
    report = TransferReport(format_name, target)
    with staged(target, lambda: bool(report.moved)) as folder:
        run = _Export(report, choice, folder, make)
        try:
            for bag in bags:
                on_progress(bag.name)
                with report.skipping(str(bag)):
                    run.take(bag, read(bag))
            on_progress("finishing")
            run.finish()
        finally:
            run.close()
    return report


class _Export:
    def __init__(self, report: TransferReport, choice: Choice, folder: Path, make: MakeWriter) -> None:
        self.report, self.choice, self.folder, self.make = report, choice, folder, make
        self.fps = choice.fps
        self.writer: Writer | None = None

    def finish(self) -> None:
        if self.writer is not None and self.report.moved:
            self.writer.finish()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()

    def take(self, bag: Path, episode: Episode) -> None:
        if self.choice.outcome and episode.facts.outcome != self.choice.outcome:
            self.report.filtered += 1
            return
        episode = _with_cameras(episode, self.choice.cameras)
        fps = self.fps or rate_of(episode)
        pieces = cut(episode, fps, self.choice.gaps)
        if self.writer is None:
            self.fps, self.writer = fps, self.make(self.folder, fps)
        if text := left_out(episode, pieces):
            self.report.note(str(bag), text)
        for piece in pieces:
            name = str(bag) if piece.count == 1 else f"{bag}, piece {piece.number + 1}"
            with self.report.skipping(name):
                self.report.moved.append(Moved(name, str(self.writer.add(piece)), piece.length))


def _with_cameras(episode: Episode, wanted: Mapping[str, str]) -> Episode:
    """Only those that are wanted: a missing picture of another costs no row."""
    if not wanted:
        return episode
    for name in wanted:
        if name not in episode.cameras:
            raise UnknownName("camera", name, episode.cameras, str(episode.path))
    frames = {name: episode.frames[name] for name in wanted}
    return replace(episode, frames=frames, image_row={name: episode.image_row[name] for name in wanted})
