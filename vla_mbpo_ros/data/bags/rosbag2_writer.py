"""The installed rosbag2_py behind the interface of `BagWriter`, for those who want rosbag2's own writer.

    writer = open_writer("rosbag2_py", path, split_s=60.0)

What it does not do: our writer survives a kill and a full disk, rosbag2's loses its cache and leaves no index;
publishers' sequence numbers are not kept; latched topics are not repeated after a split; facts that are only known
at the end go to metadata.yaml after closing. Written after the Python stubs of Jazzy (0.26).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.mcap_file import COMPRESSIONS
from vla_mbpo_ros.data.bags.metadata import BagFile, BagTopic, Metadata, read_metadata, update_custom_data
from vla_mbpo_ros.data.bags.qos import FOREVER_NS, Qos
from vla_mbpo_ros.data.bags.sink import RESERVE_BYTES
from vla_mbpo_ros.data.bags.writer import BagWriter
from vla_mbpo_ros.errors import BagError, MissingDependency, UnknownName

WRITERS = ("mcap", "rosbag2_py")
_PRESETS = {"none": "", "zstd": "zstd_fast"}  # of rosbag2's MCAP storage; it has none for lz4


def open_writer(kind: str, path: Path, **options: Any) -> Writer:
    """A new bag at `path`, written by `kind` (RecorderConfig.writer); `options` are those of BagWriter."""
    if kind not in WRITERS:
        raise UnknownName("writer of bags", kind, WRITERS)
    return BagWriter(path, **options) if kind == "mcap" else Rosbag2Writer(path, **options)


class Rosbag2Writer:
    """A new bag at `path`, which must not exist. `chunk_bytes`, `flush_s`, `sync_s` and `reserve_bytes` are taken
    for the sake of the interface: rosbag2 has its own."""

    def __init__(
        self,
        path: Path,
        *,
        compression: str = "none",
        chunk_bytes: int = 1 << 20,
        flush_s: float = 0.2,
        sync_s: float = 1.0,
        reserve_bytes: int = RESERVE_BYTES,
        split_bytes: int = 0,
        split_s: float = 0.0,
        custom_data: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = _rosbag2_py()
        self.path = path
        self.counts: dict[str, int] = {}  # topic -> messages accepted by `write`
        self._said = dict(custom_data or {})
        self._topics: list[BagTopic] = []
        self._failure = ""
        self._closed = False
        options = self._api.StorageOptions(
            uri=str(path),
            storage_id="mcap",
            max_bagfile_size=split_bytes,
            max_bagfile_duration=math.ceil(split_s),  # whole seconds
            max_cache_size=0,  # what is written is handed on at once
            storage_preset_profile=_preset(compression),
            custom_data=self._said,
        )
        if path.exists():
            raise BagError(f"{path} exists already, not overwriting.", "Choose another name.")
        self._writer = self._api.SequentialWriter()
        self._do(lambda: self._writer.open(options, self._api.ConverterOptions("cdr", "cdr")))

    @property
    def bytes_written(self) -> int:
        return sum(file.stat().st_size for file in self.files)

    @property
    def files(self) -> list[Path]:
        return sorted(self.path.glob("*.mcap"), key=lambda file: (len(file.name), file.name))

    def add_topic(self, name: str, type_name: str, qos: Sequence[Qos] = (), latched: bool = False) -> None:
        """`name` is fully qualified; `qos` is what its publishers offer."""
        if not name.startswith("/"):
            raise BagError(f"Topic '{name}' is not fully qualified.", f"Resolve it, as '/{name}'.")
        if name in self.counts:
            raise BagError(f"Topic '{name}' is recorded already.", "Add each topic once.")
        topic = BagTopic(name, type_name, load_definition(type_name).hash, tuple(qos))
        metadata = self._api.TopicMetadata(
            id=len(self._topics),
            name=name,
            type=type_name,
            serialization_format="cdr",
            offered_qos_profiles=[_qos(self._api, profile) for profile in qos],
            type_description_hash=topic.hash,
        )
        self._do(lambda: self._writer.create_topic(metadata))
        self._topics.append(topic)
        self.counts[name] = 0

    def write(self, topic: str, data: bytes, log_ns: int, publish_ns: int | None = None, sequence: int = 0) -> None:
        """One message. `log_ns` is the bag's own time, `publish_ns` when it was sent."""
        if topic not in self.counts:
            raise UnknownName("recorded topic", topic, self.counts, str(self.path))
        if log_ns < 0:
            raise BagError(f"A message of '{topic}' is stamped {log_ns} ns.", "Times in a bag start at 0.")
        sent_ns = log_ns if publish_ns is None else max(publish_ns, 0)
        self._do(lambda: self._writer.write(topic, data, log_ns, sent_ns))
        self.counts[topic] += 1

    def tick(self) -> None:
        """Nothing waits here."""
        self._do(lambda: None)

    def split(self) -> None:
        """Go on in a new file."""
        self._do(self._writer.split_bagfile)

    def close(self, custom_data: Mapping[str, str] | None = None) -> Metadata:
        """Write index and metadata. Raises if anything that was accepted is not in the bag."""
        if self._closed:
            raise BagError(f"{self.path} is closed already.", "Close a bag once.")
        failure, self._failure = self._failure, ""
        try:
            self._do(self._writer.close)
        finally:
            self._closed = True
        if custom_data is not None and dict(custom_data) != self._said:
            update_custom_data(self.path, custom_data)
        metadata = self._metadata()
        accepted = sum(self.counts.values())
        if failure or metadata.count < accepted:
            cause = f"Recording to {self.path} failed: {failure or 'messages are missing'}."
            raise BagError(f"{cause} {metadata.count} of {accepted} messages are kept.", "See the log of rosbag2.")
        return metadata

    def __enter__(self) -> Rosbag2Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._closed:
            return
        try:
            self.close()
        except BagError:
            if error is None:
                raise

    def _metadata(self) -> Metadata:
        """As rosbag2 has written it. It counts topics for the whole bag, files only in all."""
        said = read_metadata(self.path)
        files = tuple(_file(entry) for entry in said["files"])
        custom = said.get("custom_data") or {}
        return Metadata(files, tuple(self._topics), custom, str(said.get("ros_distro", "")))

    def _do(self, action: Callable[[], Any]) -> Any:
        """rosbag2 raises RuntimeError and its like for everything. The first failure is final."""
        if self._failure or self._closed:
            reason = self._failure or "it is closed"
            raise BagError(f"{self.path} takes no more messages: {reason}.", "Start a new bag.")
        try:
            return action()
        except (RuntimeError, OSError, ValueError) as error:
            self._failure = str(error)
            raise BagError(f"Recording to {self.path} failed: {error}.", "See the log of rosbag2.") from error


def _rosbag2_py() -> Any:
    try:
        import rosbag2_py
    except ImportError as error:
        cause = f"recorder.writer is rosbag2_py, which is not installed ({error})."
        cure = "Source a ROS 2 that has it, or set recorder.writer to mcap: the bags are the same to `ros2 bag`."
        raise MissingDependency(cause, cure) from error
    return rosbag2_py


def _preset(compression: str) -> str:
    if compression not in COMPRESSIONS:
        raise UnknownName("compression", compression, COMPRESSIONS)
    if compression not in _PRESETS:
        cause = f"rosbag2's MCAP storage has no preset for {compression}."
        raise BagError(cause, "Set recorder.compression to none or zstd, or recorder.writer to mcap.")
    return _PRESETS[compression]


def _qos(api: Any, profile: Qos) -> Any:
    """rosbag2's own class, which is filled by calls. Its module has the policies by their names in rmw."""
    storage = api._storage
    wanted = storage.QoS(profile.depth)
    for kind in ("history", "reliability", "durability", "liveliness"):
        policies = getattr(storage, f"rmw_qos_{kind}_policy_t")
        name = f"RMW_QOS_POLICY_{kind.upper()}_{getattr(profile, kind).upper()}"
        unknown = f"RMW_QOS_POLICY_{kind.upper()}_UNKNOWN"
        wanted = getattr(wanted, kind)(policies.__members__.get(name, policies.__members__[unknown]))
    for kind, nanoseconds in (
        ("deadline", profile.deadline_ns),
        ("lifespan", profile.lifespan_ns),
        ("liveliness_lease_duration", profile.liveliness_lease_ns),
    ):
        if nanoseconds < FOREVER_NS:  # which is what it has by itself; seconds are an int32 there
            wanted = getattr(wanted, kind)(storage.Duration(*divmod(nanoseconds, 10**9)))
    return wanted.avoid_ros_namespace_conventions(profile.avoid_ros_namespace_conventions)


def _file(entry: Mapping[str, Any]) -> BagFile:
    start_ns = int(entry["starting_time"]["nanoseconds_since_epoch"])
    end_ns = start_ns + int(entry["duration"]["nanoseconds"])
    return BagFile(Path(entry["path"]).name, start_ns, end_ns, {"": int(entry["message_count"])})


Writer = BagWriter | Rosbag2Writer
