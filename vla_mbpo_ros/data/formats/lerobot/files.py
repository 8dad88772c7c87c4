"""Files that hold many episodes: a part for each episode is written first, then put behind those that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.formats.lerobot import layout
from vla_mbpo_ros.data.formats.lerobot.video import VideoFile
from vla_mbpo_ros.data.formats.optional import need


class RowFiles:
    """data/: episodes one after the other; a new file begins when the last is large."""

    def __init__(self, folder: Path, limit_mb: float) -> None:
        self._folder, self._limit = folder, limit_mb * layout.MB
        self._number, self._size = -1, 0
        self._file: Any = None

    def append(self, part: Path) -> dict[str, int]:
        """Where it is now. The part is gone."""
        source = need("pyarrow.parquet").ParquetFile(part)
        if self._file is None or self._size + part.stat().st_size > self._limit:
            self._next(source.schema_arrow)
        for group in range(source.num_row_groups):
            self._file.write_table(source.read_row_group(group))
        source.close()
        self._size += part.stat().st_size
        part.unlink()
        return layout.place(self._number)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next(self, schema: Any) -> None:
        self.close()
        self._number, self._size = self._number + 1, 0
        path = self._folder / layout.DATA_PATH.format(**layout.place(self._number))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = need("pyarrow.parquet").ParquetWriter(path, schema)


class VideoFiles:
    """The mp4 files of one camera; a new one begins when the last is large."""

    def __init__(self, folder: Path, key: str, fps: int, limit_mb: float) -> None:
        self._folder, self._key, self._fps, self._limit = folder, key, fps, limit_mb * layout.MB
        self._number = -1
        self._file: VideoFile | None = None

    def append(self, part: Path, frames: int) -> dict[str, Any]:
        file = self._file
        if file is None or file.size + part.stat().st_size > self._limit:
            file = self._next()
        begin = file.frames
        file.append(part, frames)
        part.unlink()
        return {
            **layout.place(self._number),
            "from_timestamp": begin / self._fps,
            "to_timestamp": (begin + frames) / self._fps,
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next(self) -> VideoFile:
        self.close()
        self._number += 1
        name = layout.VIDEO_PATH.format(video_key=self._key, **layout.place(self._number))
        self._file = VideoFile(self._folder / name, self._fps)
        return self._file
