"""A LeRobot data set -> episodes: codebase v3.0, and v2.x with its file for each episode.

Times are i / fps from one second on: a data set does not say when it was recorded. An own column of ours
(`vla_mbpo_ros/facts`) brings back outcome, time of success, policy and note; else `next.success` says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.data.episodes.episode import Episode, Frames
from vla_mbpo_ros.data.formats.columns import Source, map_source
from vla_mbpo_ros.data.formats.facts import imported, read_facts
from vla_mbpo_ros.data.formats.lerobot import layout
from vla_mbpo_ros.data.formats.lerobot.frames import FileFrames, VideoFrames, Videos
from vla_mbpo_ros.data.formats.lerobot.index import Index, Place
from vla_mbpo_ros.data.formats.rows import START_NS, check_finite, end_of, sources
from vla_mbpo_ros.errors import ContractError, UnknownName
from vla_mbpo_ros.schema import FloatArray

_SAME_TIME_S = 1e-3  # float32 time stamps of long episodes are this coarse


class LeRobotSource:
    """Opens a data set; raises what makes all of it useless."""

    def __init__(self, path: Path, robot: str = "", cameras: Mapping[str, str] | None = None) -> None:
        self.index = Index(path)
        self.count: int | None = self.index.count
        self.mapped = map_source(self._columns(cameras or {}), robot)
        self._videos = Videos(self.index.fps)
        self._table: tuple[Path | None, Any] = (None, None)

    def episodes(self) -> Iterator[tuple[str, Callable[[], Episode]]]:
        """Name and what reads it."""
        for place in self.index.places():
            yield f"episode {place.number}", partial(self._read, place)

    def close(self) -> None:
        self._videos.close()

    def _columns(self, cameras: Mapping[str, str]) -> Source:
        index = self.index
        for name in (layout.STATE, layout.ACTION):
            if name not in index.features:
                raise UnknownName("feature", name, index.features, f"{index.path / layout.INFO}, which must have it")
        return Source(
            robot=index.robot,
            state_names=index.names(layout.STATE),
            state_width=index.width(layout.STATE),
            action_names=index.names(layout.ACTION),
            action_width=index.width(layout.ACTION),
            cameras=[_camera(key) for key in index.camera_keys],
            renamed=cameras,
        )

    def _read(self, place: Place) -> Episode:
        mapped, table = self.mapped, self._rows(place)
        count = table.num_rows
        times_ns = self._times(table)
        state = _matrix(table, layout.STATE, self.index.width(layout.STATE))[:, mapped.state.order]
        action = _matrix(table, layout.ACTION, self.index.width(layout.ACTION))[:, mapped.action.order]
        check_finite("state", mapped.state.names, state)
        check_finite("action", mapped.action.names, action)
        solved = _success_row(table)
        said = read_facts(place.facts, f"episode {place.number}")
        origin = f"lerobot {self.index.version}, {self.index.path.name}, episode {place.number}"
        known = None if solved is _UNSAID else solved is not None
        facts = imported(said, mapped, self._instruction(place, table), known, origin)
        success_ns = None if solved is _UNSAID or solved is None else end_of(times_ns, solved, self.index.dt_ns)
        if said and said.success_time_s is not None:
            success_ns = int(times_ns[0]) + round(said.success_time_s * 1e9)
        return Episode(
            path=self.index.path / f"episode {place.number}",
            facts=facts,
            state_names=mapped.state.names,
            action_names=mapped.action.names,
            dt_ns=self.index.dt_ns,
            times_ns=times_ns,
            state=state,
            action=action,
            source=sources(table[layout.CONTROL].to_pylist() if layout.CONTROL in table.column_names else None, count),
            frames={ours: self._frames(place, theirs, table, times_ns) for ours, theirs in mapped.cameras.items()},
            image_row={ours: np.arange(count) for ours in mapped.cameras},
            success_ns=success_ns,
        )

    def _rows(self, place: Place) -> Any:
        """The table of this episode only. Files hold many: the last one stays open."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        if self._table[0] != place.data:
            try:
                self._table = (place.data, pq.read_table(place.data))
            except (OSError, pa.ArrowException) as error:
                raise ContractError(f"{place.data} cannot be read: {error}.", "Get the file again.") from error
        table = self._table[1]
        for name in (layout.STATE, layout.ACTION, "episode_index", "timestamp"):
            if name not in table.column_names:
                raise UnknownName("column", name, table.column_names, str(place.data))
        rows = table.filter(pc.equal(table["episode_index"], place.number))
        if not rows.num_rows or rows.num_rows != place.length:
            cause = f"{place.data} has {rows.num_rows} rows of episode {place.number}, meta/ says {place.length}."
            raise ContractError(cause, "Get the file again.")
        return rows

    def _times(self, table: Any) -> Any:
        """(N,) ns. The even grid, unless the data set really says something else."""
        given = np.asarray(table["timestamp"].to_numpy(), dtype=np.float64).reshape(-1)
        grid = np.arange(len(given)) / self.index.fps
        seconds = grid if np.abs(given - given[0] - grid).max() < _SAME_TIME_S else given - given[0]
        times_ns = START_NS + np.round(seconds * 1e9).astype(np.int64)
        if not np.isfinite(given).all() or (np.diff(times_ns) <= 0).any():
            raise ContractError("Its time stamps do not rise.", "Leave it out.")
        return times_ns

    def _instruction(self, place: Place, table: Any) -> str:
        if "task_index" in table.column_names:
            number = table["task_index"][0].as_py()
            if number in self.index.tasks:
                return self.index.tasks[number]
        return place.tasks[0] if place.tasks else ""

    def _frames(self, place: Place, camera: str, table: Any, times_ns: Any) -> Frames:
        key = next(key for key in self.index.camera_keys if _camera(key) == camera)
        if self.index.features[key]["dtype"] == "image":
            return FileFrames(table[key], times_ns, self.index.path, key)
        path, first = place.videos[key]
        if not path.exists():
            raise ContractError(f"{path} does not exist.", "Get the whole data set, with its videos.")
        return VideoFrames(self._videos, key, path, first, times_ns)


_UNSAID = -2  # instead of a row: nobody says whether the task was solved


def _success_row(table: Any) -> int | None:
    """The first row whose action solved the task; None: it never was."""
    if layout.SUCCESS not in table.column_names:
        return _UNSAID
    solved = np.flatnonzero(np.asarray(table[layout.SUCCESS].to_pylist(), dtype=bool))
    return int(solved[0]) if len(solved) else None


def _matrix(table: Any, name: str, width: int) -> FloatArray:
    """(N, width)"""
    rows = table[name].to_pylist()
    rows = [row if isinstance(row, list) else [row] for row in rows]
    widths = sorted({len(row) for row in rows})
    if widths != [width]:
        cause = f"'{name}' has rows of {', '.join(map(str, widths))} numbers, info.json says {width}."
        raise ContractError(cause, "Leave it out.")
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)


def _camera(key: str) -> str:
    """observation.images.head -> head, observation.image -> image"""
    return key[len(layout.IMAGES) :] if key.startswith(layout.IMAGES) else key.rsplit(".", 1)[-1]
