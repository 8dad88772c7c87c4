"""Images of a LeRobot episode: from an mp4 that many episodes share, or from PNG and JPEG files in the parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.episodes.episode import IndexArray
from vla_mbpo_ros.data.formats.lerobot.video import VideoReader
from vla_mbpo_ros.data.formats.pictures import codec_of, decode
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import ImageArray


class Videos:
    """Open videos, one for each camera: episodes are read in order."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._open: dict[str, VideoReader] = {}

    def get(self, key: str, path: Path) -> VideoReader:
        reader = self._open.get(key)
        if reader is None or reader.path != path:
            if reader is not None:
                self._open.pop(key).close()
            reader = self._open[key] = VideoReader(path, self._fps)
        return reader

    def close(self) -> None:
        for reader in self._open.values():
            reader.close()
        self._open.clear()


class VideoFrames:
    """Frames `first` to `first + N` of a video."""

    def __init__(self, videos: Videos, key: str, path: Path, first: int, stamps_ns: IndexArray) -> None:
        self._videos, self._key, self._path, self._first = videos, key, path, first
        self.stamps_ns = stamps_ns

    def __getitem__(self, index: int) -> ImageArray:
        return self._videos.get(self._key, self._path)[self._first + index]


class FileFrames:
    """Image files in a column: {"bytes", "path"}, where the bytes may be in a file beside the data set."""

    def __init__(self, column: Any, stamps_ns: IndexArray, folder: Path, key: str) -> None:
        self._column, self._folder, self._key = column, folder, key
        self.stamps_ns = stamps_ns

    def encoded(self, index: int) -> tuple[str, bytes]:
        data = self._bytes(index)
        return codec_of(data, f"{self._key} of row {index}"), data

    def __getitem__(self, index: int) -> ImageArray:
        return decode(self._bytes(index), f"{self._key} of row {index}")

    def _bytes(self, index: int) -> bytes:
        entry = self._column[index].as_py() or {}
        if entry.get("bytes"):
            return bytes(entry["bytes"])
        try:
            return (self._folder / str(entry["path"])).read_bytes()
        except (OSError, KeyError) as error:
            raise ContractError(f"'{self._key}' of row {index} has no image.", "Get the whole data set.") from error
