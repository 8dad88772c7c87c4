"""Pieces of episodes -> a LeRobot v3.0 data set.

with LeRobotWriter(folder, fps=15) as data:
    data.add(piece)         # refuses a piece that does not fit the ones before; then nothing of it is there
data.finish()
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vla_mbpo_ros.data.formats.cut import Piece
from vla_mbpo_ros.data.formats.facts import facts_of
from vla_mbpo_ros.data.formats.lerobot import layout, tables
from vla_mbpo_ros.data.formats.lerobot.files import RowFiles, VideoFiles
from vla_mbpo_ros.data.formats.lerobot.layout import Layout
from vla_mbpo_ros.data.formats.lerobot.stats import ImageStats, Stats, pool, vector_stats
from vla_mbpo_ros.data.formats.lerobot.video import CODECS, KEY_EVERY, PIXELS, check_size, encode
from vla_mbpo_ros.data.formats.optional import need
from vla_mbpo_ros.data.formats.staging import BrokenOutput
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.schema import ImageArray

PNG = "png"
MAX_CRF = 51  # of h264; av1 knows a few more
_BATCH = 50  # rows with PNG files that are in memory at once


class LeRobotWriter:
    """One data set in the making; `folder` exists and is empty."""

    def __init__(
        self,
        folder: Path,
        fps: int,
        codec: str = "h264",
        crf: int = 20,
        cameras: Mapping[str, str] | None = None,
        video_mb: float = layout.VIDEO_MB,
        data_mb: float = layout.DATA_MB,
    ) -> None:
        """`cameras`: ours -> the data set's; None takes all under their own names."""
        check_options(codec, crf)
        self.folder, self.fps, self.codec, self.crf = folder, fps, codec, crf
        self.layout: Layout | None = None
        self._cameras = dict(cameras or {})
        self._tasks: dict[str, int] = {}  # instruction -> index
        self._episodes: list[dict[str, Any]] = []  # rows of meta/episodes
        self._stats: list[dict[str, Stats]] = []
        self._rows = 0
        self._parts = folder / ".parts"
        self._parts.mkdir()
        self._data = RowFiles(folder, data_mb)
        self._videos: dict[str, VideoFiles] = {}
        self._video_mb = video_mb

    def add(self, piece: Piece) -> int:
        """Its number in the data set."""
        first = self.layout is None
        here = self.layout or self._new_layout(piece)
        self._check(piece, here)
        number = len(self._episodes)
        stats: dict[str, Stats] = {}
        videos: dict[str, Path] = {}
        for ours, theirs in self._used(piece).items() if here.video else ():
            part = self._parts / f"{theirs}.mp4"
            collected = ImageStats(piece.length)
            encode(self._images(piece, ours, here, collected), part, self.fps, self.codec, self.crf)
            videos[here.key(theirs)], stats[here.key(theirs)] = part, collected.result()
        task = self._tasks.get(piece.episode.facts.instruction, len(self._tasks))
        part = self._parts / "rows.parquet"
        columns = _columns(piece, number, self._rows, task, self.fps)
        stats.update(self._write_rows(part, piece, here, columns))
        if first:
            self.layout = here
        self._tasks.setdefault(piece.episode.facts.instruction, task)
        try:
            self._append(piece, number, part, videos, stats)
        except Exception as error:  # half an episode may be in it now
            raise BrokenOutput(
                f"The data set cannot be continued: {error}.", "Free disk space, begin again."
            ) from error
        return number

    def finish(self) -> None:
        """Close every file and write meta/."""
        if self.layout is None:
            raise ContractError("No episode was written.", "See the report for the reasons.")
        self.close()
        self._parts.rmdir()
        tables.write_tasks(self.folder, self._tasks)
        tables.write_episodes(self.folder, self._episodes)
        pooled = {name: pool([stats[name] for stats in self._stats]) for name in self._stats[0]}
        tables.write_stats(self.folder, pooled)
        video_info = {"video.codec": self.codec, "video.pix_fmt": PIXELS, "video.is_depth_map": False}
        video_info.update({"video.fps": self.fps, "video.channels": 3, "has_audio": False, "video.g": KEY_EVERY})
        info = layout.info_json(self.layout, len(self._episodes), self._rows, len(self._tasks), video_info)
        (self.folder / layout.INFO).write_text(json.dumps(info, indent=4), encoding="utf-8")

    def close(self) -> None:
        self._data.close()
        for files in self._videos.values():
            files.close()
        for part in self._parts.glob("*"):
            part.unlink()

    def __enter__(self) -> LeRobotWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what an episode must be -----------------------------------------------------------------------------------

    def _new_layout(self, piece: Piece) -> Layout:
        episode = piece.episode
        sizes = {theirs: _size(piece, ours) for ours, theirs in self._used(piece).items()}
        video = self.codec != PNG
        for height, width in sizes.values() if video else ():
            check_size(height, width)
        robot = episode.facts.robot
        return Layout(self.fps, robot, episode.state_names, episode.action_names, sizes, video)

    def _check(self, piece: Piece, here: Layout) -> None:
        episode = piece.episode
        _same("fps", piece.fps, here.fps, piece)
        _same("names of the state", list(episode.state_names), list(here.state_names), piece)
        _same("names of the action", list(episode.action_names), list(here.action_names), piece)
        _same("cameras", sorted(self._used(piece).values()), sorted(here.sizes), piece)
        for ours, theirs in self._used(piece).items():
            _same(f"size of '{ours}'", _size(piece, ours), here.sizes[theirs], piece)

    def _used(self, piece: Piece) -> dict[str, str]:
        return self._cameras or {name: name for name in piece.episode.cameras}

    # -- rows and images -------------------------------------------------------------------------------------------

    def _images(self, piece: Piece, ours: str, here: Layout, stats: ImageStats) -> Iterator[ImageArray]:
        size = here.sizes[self._used(piece)[ours]]
        for index, row in enumerate(piece.rows.tolist()):
            image = piece.episode.image(ours, row)
            _same(f"size of '{ours}' at row {row}", image.shape[:2], size, piece)
            stats.add(index, image)
            yield np.ascontiguousarray(image)

    def _write_rows(self, part: Path, piece: Piece, here: Layout, columns: Mapping[str, Any]) -> dict[str, Stats]:
        """The statistics of everything in the table."""
        used = {} if here.video else self._used(piece)
        collected = {here.key(theirs): ImageStats(piece.length) for theirs in used.values()}
        images = {
            here.key(theirs): self._images(piece, ours, here, collected[here.key(theirs)])
            for ours, theirs in used.items()
        }
        with tables.RowPart(part, here.columns()) as rows:
            for begin in range(0, piece.length, _BATCH if images else piece.length):
                batch = slice(begin, begin + _BATCH if images else piece.length)
                count = len(columns["index"][batch])
                files = {key: [_png(next(source), begin + i) for i in range(count)] for key, source in images.items()}
                rows.write({**{name: values[batch] for name, values in columns.items()}, **files})
        numbers = {name: vector_stats(values) for name, values in columns.items() if name != layout.CONTROL}
        return {**numbers, **{key: stats.result() for key, stats in collected.items()}}

    # -- behind the episodes that are there ------------------------------------------------------------------------

    def _append(
        self, piece: Piece, number: int, rows: Path, videos: Mapping[str, Path], stats: dict[str, Stats]
    ) -> None:
        assert self.layout is not None  # `add` has made it
        facts = facts_of(piece)
        entry: dict[str, Any] = {"episode_index": number, "tasks": [facts.instruction], "length": piece.length}
        entry |= {f"data/{name}": value for name, value in self._data.append(rows).items()}
        entry |= {"dataset_from_index": self._rows, "dataset_to_index": self._rows + piece.length}
        for key, part in videos.items():
            files = self._videos.setdefault(key, VideoFiles(self.folder, key, self.fps, self._video_mb))
            entry |= {f"videos/{key}/{name}": value for name, value in files.append(part, piece.length).items()}
        entry[layout.FACTS] = json.dumps(replace(facts, origin="").to_custom_data())
        entry |= {f"meta/episodes/{name}": value for name, value in layout.place(0).items()}
        self._episodes.append(entry | tables.stats_columns(stats))
        self._stats.append(stats)
        self._rows += piece.length


def check_options(codec: str, crf: int) -> None:
    need("pyarrow")
    if codec not in (*CODECS, PNG):
        raise UnknownName("codec", codec, (*CODECS, PNG))
    if codec != PNG:
        need("av")
    if not 0 <= crf <= MAX_CRF:
        raise ConfigError(f"--crf is {crf}.", f"Give 0 to {MAX_CRF}; 18 to 30 is usual.")


def _columns(piece: Piece, number: int, first: int, task: int, fps: int) -> dict[str, Any]:
    index = np.arange(piece.length)
    return {
        layout.STATE: piece.state.astype(np.float32),
        layout.ACTION: piece.action.astype(np.float32),
        layout.REWARD: piece.reward,
        layout.DONE: index == piece.length - 1,
        layout.SUCCESS: piece.success,
        layout.CONTROL: np.array(piece.source),
        "timestamp": (index / fps).astype(np.float32),
        "frame_index": index,
        "episode_index": np.full(piece.length, number),
        "index": index + first,
        "task_index": np.full(piece.length, task),
    }


def _size(piece: Piece, camera: str) -> tuple[int, int]:
    if camera not in piece.episode.cameras:
        raise UnknownName("camera", camera, piece.episode.cameras, str(piece.episode.path))
    height, width = piece.episode.image(camera, int(piece.rows[0])).shape[:2]
    return int(height), int(width)


def _same(what: str, mine: object, theirs: object, piece: Piece) -> None:
    if mine != theirs:
        cause = f"{piece.episode.path} has {what} {mine}, the data set has {theirs}."
        raise ContractError(cause, "Export it to a data set of its own.")


def _png(image: ImageArray, index: int) -> dict[str, Any]:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=3)
    return {"bytes": stream.getvalue(), "path": f"frame-{index:06d}.png"}
