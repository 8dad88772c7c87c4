"""Names, places and features of a LeRobot v3.0 data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VERSION = "v3.0"
MB = 1024 * 1024
CHUNK_FILES = 1000  # files of a chunk
DATA_MB, VIDEO_MB = 100, 200  # a new file begins above this
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
REWARD, DONE, SUCCESS, CONTROL = "next.reward", "next.done", "next.success", "control_source"
FACTS = "vla_mbpo_ros/facts"  # our own column of meta/episodes: what EpisodeFacts says, as JSON
_COUNTERS = ("frame_index", "episode_index", "index", "task_index")


@dataclass(frozen=True)
class Layout:
    """What all episodes of one data set share."""

    fps: int
    robot: str
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]]  # the data set's camera -> height, width
    video: bool  # else images are PNG files in the parquet

    def key(self, camera: str) -> str:
        return IMAGES + camera

    def features(self, video_info: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
        """As in info.json; `video_info` says how videos are coded."""
        found: dict[str, dict[str, Any]] = {
            STATE: _vector(self.state_names),
            ACTION: _vector(self.action_names),
        }
        for camera, (height, width) in self.sizes.items():
            feature: dict[str, Any] = {"dtype": "video" if self.video else "image", "shape": [height, width, 3]}
            feature["names"] = ["height", "width", "channels"]
            if self.video and video_info:
                feature["info"] = {"video.height": height, "video.width": width, **video_info}
            found[self.key(camera)] = feature
        found.update({REWARD: _one("float32"), DONE: _one("bool"), SUCCESS: _one("bool"), CONTROL: _one("string")})
        found["timestamp"] = _one("float32")
        return {**found, **{name: _one("int64") for name in _COUNTERS}}

    def columns(self) -> dict[str, Any]:
        """Name -> arrow type, of the parquet files with rows."""
        import pyarrow as pa

        plain = {"float32": pa.float32(), "bool": pa.bool_(), "string": pa.string(), "int64": pa.int64()}
        found: dict[str, Any] = {}
        for name, feature in self.features().items():
            if feature["dtype"] == "image":
                found[name] = pa.struct({"bytes": pa.binary(), "path": pa.string()})
            elif name in (STATE, ACTION):
                found[name] = pa.list_(pa.float32(), feature["shape"][0])
            elif feature["dtype"] != "video":
                found[name] = plain[feature["dtype"]]
        return found


def place(number: int) -> dict[str, int]:
    """Chunk and file of the n-th file of a kind."""
    chunk, file = divmod(number, CHUNK_FILES)
    return {"chunk_index": chunk, "file_index": file}


def info_json(layout: Layout, episodes: int, rows: int, tasks: int, video_info: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": layout.robot,
        "total_episodes": episodes,
        "total_frames": rows,
        "total_tasks": tasks,
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": DATA_MB,
        "video_files_size_in_mb": VIDEO_MB,
        "fps": layout.fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if layout.video else None,
        "features": layout.features(video_info),
    }


def _vector(names: Sequence[str]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [len(names)], "names": list(names)}


def _one(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1], "names": None}
