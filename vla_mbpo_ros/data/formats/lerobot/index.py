"""What meta/ of a LeRobot data set says: features, tasks, and where each episode is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.formats.lerobot import layout
from vla_mbpo_ros.data.formats.optional import need
from vla_mbpo_ros.errors import ConfigError, ContractError

VERSIONS = ("v3.0", "v2.1", "v2.0")


@dataclass(frozen=True)
class Place:
    """Where one episode is."""

    number: int
    length: int  # rows
    data: Path
    videos: Mapping[str, tuple[Path, int]]  # feature -> file, and the number of the first frame in it
    tasks: tuple[str, ...]
    facts: str  # our own JSON; empty if it has none


class Index:
    """Read once; everything in it is checked for form."""

    def __init__(self, path: Path) -> None:
        need("pyarrow")
        self.path = path
        info = self._json(layout.INFO)
        self.version = str(info.get("codebase_version", ""))
        if self.version not in VERSIONS:
            cause = f"{path} has the codebase version '{self.version}', read are {', '.join(VERSIONS)}."
            raise ConfigError(cause, "Convert it with lerobot's own tools.")
        try:
            self.fps = float(info["fps"])
            self.features: dict[str, dict[str, Any]] = dict(info["features"])
            self._data_path, self._video_path = str(info["data_path"]), str(info.get("video_path") or "")
            self._chunk = int(info.get("chunks_size") or layout.CHUNK_FILES)
            self.robot = str(info.get("robot_type") or "")
            self.count = int(info.get("total_episodes") or 0)
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"{path / layout.INFO} lacks or spoils {error}.", "Get the file again.") from error
        if not self.fps > 0.0:
            raise ContractError(f"{path / layout.INFO} says {self.fps} rows a second.", "Mend `fps`.")
        self.tasks = self._tasks()

    @property
    def dt_ns(self) -> int:
        return round(1e9 / self.fps)

    @property
    def camera_keys(self) -> list[str]:
        """Colour images only."""
        found = []
        for key, feature in self.features.items():
            if feature.get("dtype") in ("video", "image") and not _is_depth(feature):
                found.append(key)
        return found

    def width(self, key: str) -> int:
        shape = self.features[key].get("shape") or []
        if len(shape) != 1:
            raise ContractError(f"'{key}' has the shape {list(shape)}.", "Read are vectors only.")
        return int(shape[0])

    def names(self, key: str) -> list[str]:
        """Of its columns; empty if it has none. They come as a list, or as a table with one list."""
        names = self.features[key].get("names")
        if isinstance(names, Mapping):
            names = next((value for value in names.values() if isinstance(value, list)), None)
        return [str(name) for name in names] if isinstance(names, list) else []

    def places(self) -> Iterator[Place]:
        yield from self._places_v3() if self.version == layout.VERSION else self._places_v2()

    # -- v3.0 --------------------------------------------------------------------------------------------------------

    def _places_v3(self) -> Iterator[Place]:
        files = sorted((self.path / "meta/episodes").glob("*/*.parquet"))
        if not files:
            raise ContractError(f"{self.path} has no meta/episodes.", "Get the whole data set.")
        for file in files:
            for row in self._episode_rows(file):
                yield self._place_v3(row, file)

    def _episode_rows(self, file: Path) -> list[dict[str, Any]]:
        pa, parquet = need("pyarrow"), need("pyarrow.parquet")
        try:
            names = [name for name in parquet.read_schema(file).names if not name.startswith("stats/")]
            rows: list[dict[str, Any]] = parquet.read_table(file, columns=names).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise ContractError(f"{file} cannot be read: {error}.", "Get the file again.") from error
        return rows

    def _place_v3(self, row: Mapping[str, Any], file: Path) -> Place:
        try:
            videos = {key: self._video_v3(row, key) for key in self._video_keys()}
            chunk = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
            return Place(
                number=int(row["episode_index"]),
                length=int(row["length"]),
                data=self.path / self._data_path.format(**chunk),
                videos=videos,
                tasks=tuple(row.get("tasks") or ()),
                facts=row.get(layout.FACTS) or "",
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"{file} lacks or spoils {error}.", "Get the file again.") from error

    def _video_v3(self, row: Mapping[str, Any], key: str) -> tuple[Path, int]:
        chunk = {name: row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
        name = self._video_path.format(video_key=key, **chunk)
        return self.path / name, round(float(row[f"videos/{key}/from_timestamp"]) * self.fps)

    def _video_keys(self) -> list[str]:
        return [key for key in self.camera_keys if self.features[key]["dtype"] == "video"]

    # -- v2.x --------------------------------------------------------------------------------------------------------

    def _places_v2(self) -> Iterator[Place]:
        for row in self._lines("meta/episodes.jsonl"):
            number = int(row["episode_index"])
            where = {"episode_chunk": number // self._chunk, "episode_index": number}
            videos = {
                key: (self.path / self._video_path.format(video_key=key, **where), 0) for key in self._video_keys()
            }
            data = self.path / self._data_path.format(**where)
            yield Place(number, int(row["length"]), data, videos, tuple(row.get("tasks") or ()), "")

    def _tasks(self) -> dict[int, str]:
        if self.version != layout.VERSION:
            return {int(row["task_index"]): str(row["task"]) for row in self._lines("meta/tasks.jsonl")}
        file = self.path / layout.TASKS
        pa, parquet = need("pyarrow"), need("pyarrow.parquet")
        try:
            table = parquet.read_table(file)
        except (OSError, pa.ArrowException) as error:
            raise ContractError(f"{file} cannot be read: {error}.", "Get the file again.") from error
        texts = [field.name for field in table.schema if pa.types.is_string(field.type) or _is_large(pa, field.type)]
        if not texts or "task_index" not in table.column_names:
            raise ContractError(f"{file} has the columns {', '.join(table.column_names)}.", "Get the file again.")
        return dict(zip(table["task_index"].to_pylist(), table[texts[0]].to_pylist(), strict=True))

    # -- files -------------------------------------------------------------------------------------------------------

    def _json(self, name: str) -> dict[str, Any]:
        text = self._text(name)
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ContractError(f"{self.path / name} is not JSON: {error}.", "Get the file again.") from error
        if not isinstance(found, dict):
            raise ContractError(f"{self.path / name} is no table of names.", "Get the file again.")
        return found

    def _lines(self, name: str) -> list[dict[str, Any]]:
        try:
            return [dict(json.loads(line)) for line in self._text(name).splitlines() if line.strip()]
        except (ValueError, TypeError) as error:
            raise ContractError(f"{self.path / name} is not JSON: {error}.", "Get the file again.") from error

    def _text(self, name: str) -> str:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            cause = f"{self.path} is no LeRobot data set: {name} cannot be read: {reason}."
            raise ConfigError(cause, "Give the folder that has meta/, data/ and videos/ in it.") from error


def _is_depth(feature: Mapping[str, Any]) -> bool:
    info = feature.get("info") or feature.get("video_info") or {}
    return bool(info.get("video.is_depth_map")) or list(feature.get("shape") or [])[-1:] == [1]


def _is_large(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_large_string(kind))
