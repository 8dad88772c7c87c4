"""Raw CDR bytes -> a rosbag2 directory with MCAP storage that real `ros2 bag` reads.

    with BagWriter(path) as bag:
        bag.add_topic("/joint_states", "sensor_msgs/msg/JointState")
        bag.write("/joint_states", data, log_ns=now)
        bag.close(facts.to_custom_data())

What is safe when: every `flush_s` the open chunk goes to the operating system (a killed process loses no
more), every `sync_s` to the disk (a power cut loses no more). Both happen inside `write` and `tick`.
One thread at a time; nothing here locks.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from mcap.writer import CompressionType, Writer

from vla_mbpo_ros.data.bags import salvage
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.metadata import BagTopic, Metadata, to_yaml, write_metadata
from vla_mbpo_ros.data.bags.qos import Qos, qos_yaml
from vla_mbpo_ros.data.bags.sink import RESERVE_BYTES, RecordSink, Reserve
from vla_mbpo_ros.errors import BagError, UnknownName

COMPRESSIONS = {"none": CompressionType.NONE, "lz4": CompressionType.LZ4, "zstd": CompressionType.ZSTD}
_SEQUENCE_BITS = 0xFFFF_FFFF  # MCAP keeps 32 bits of the publisher's 64


class BagWriter:
    """A new bag at `path`, which must not exist."""

    def __init__(
        self,
        path: Path,
        *,
        compression: str = "none",
        chunk_bytes: int = 1 << 20,
        flush_s: float = 0.2,
        sync_s: float = 1.0,
        reserve_bytes: int = RESERVE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if compression not in COMPRESSIONS:
            raise UnknownName("compression", compression, COMPRESSIONS)
        self.path = path
        self.counts: dict[str, int] = {}  # topic -> messages accepted by `write`
        self._file = path / f"{path.name}_0.mcap"
        self._topics: list[BagTopic] = []
        self._channels: dict[str, int] = {}  # topic -> channel id
        self._schemas: dict[str, int] = {}  # type -> schema id
        self._span_ns: tuple[int, int] | None = None  # first and last log time
        self._failure = ""
        self._closed = False
        self._flush_s, self._sync_s, self._clock = flush_s, sync_s, clock
        self._flushed_s = self._synced_s = clock()
        self._open(compression, chunk_bytes, reserve_bytes)

    @property
    def bytes_written(self) -> int:
        """Size of the file so far, without the open chunk."""
        return self._sink.size

    def add_topic(self, name: str, type_name: str, qos: Sequence[Qos] = ()) -> None:
        """`name` is fully qualified; `qos` is what its publishers offer."""
        if not name.startswith("/"):
            raise BagError(f"Topic '{name}' is not fully qualified.", f"Resolve it, as '/{name}'.")
        if name in self._channels:
            raise BagError(f"Topic '{name}' is recorded already.", "Add each topic once.")
        definition = load_definition(type_name)
        metadata = {"offered_qos_profiles": qos_yaml(qos), "topic_type_hash": definition.hash}
        with self._storing():
            if type_name not in self._schemas:
                text = definition.text.encode()
                self._schemas[type_name] = self._mcap.register_schema(type_name, "ros2msg", text)
            schema = self._schemas[type_name]
            self._channels[name] = self._mcap.register_channel(name, "cdr", schema, metadata)
        self._topics.append(BagTopic(name, type_name, definition.hash, tuple(qos)))
        self.counts[name] = 0

    def write(self, topic: str, data: bytes, log_ns: int, publish_ns: int | None = None, sequence: int = 0) -> None:
        """One message. `log_ns` is the bag's own time, `publish_ns` when it was sent; `sequence` is the
        publisher's own count, 0 if unknown."""
        if topic not in self._channels:
            raise UnknownName("recorded topic", topic, self._channels, str(self.path))
        if log_ns < 0:
            raise BagError(f"A message of '{topic}' is stamped {log_ns} ns.", "Times in a bag start at 0.")
        sent_ns = log_ns if publish_ns is None else max(publish_ns, 0)
        with self._storing():
            self._mcap.add_message(self._channels[topic], log_ns, data, sent_ns, sequence & _SEQUENCE_BITS)
            self._flush_if_due()
        first, last = self._span_ns or (log_ns, log_ns)
        self._span_ns = (min(first, log_ns), max(last, log_ns))
        self.counts[topic] += 1

    def tick(self) -> None:
        """Call now and then, so that what was written last becomes safe even when nothing more arrives."""
        with self._storing():
            self._flush_if_due()

    def close(self, custom_data: Mapping[str, str] | None = None) -> Metadata:
        """Write index and metadata. Raises if anything that was accepted is not in the bag."""
        if self._closed:
            raise BagError(f"{self.path} is closed already.", "Close a bag once.")
        self._closed = True
        metadata = Metadata(
            file=self._file.name,
            topics=tuple(self._topics),
            custom_data=dict(custom_data or {}),
            ros_distro=os.environ.get("ROS_DISTRO", "unknown"),
        )
        if not self._failure:
            try:
                return self._finish(metadata.with_counts(self.counts, *(self._span_ns or (0, 0))))
            except OSError as error:
                self._failure = error.strerror or str(error)
        raise self._rescue(metadata)

    def __enter__(self) -> BagWriter:
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

    def _open(self, compression: str, chunk_bytes: int, reserve_bytes: int) -> None:
        try:
            self.path.mkdir(parents=True)
            self._reserve = Reserve(self.path, reserve_bytes)
            self._sink = RecordSink(self._file)
            self._mcap = Writer(self._sink, chunk_bytes, COMPRESSIONS[compression])
            self._mcap.start(profile="ros2", library="vla_mbpo_ros")
        except FileExistsError as error:
            raise BagError(f"{self.path} exists already, not overwriting.", "Choose another name.") from error
        except OSError as error:
            shutil.rmtree(self.path, ignore_errors=True)
            reason = error.strerror or str(error)
            raise BagError(f"Cannot record to {self.path}: {reason}.", "Choose another folder.") from error

    def _flush_if_due(self) -> None:
        now_s = self._clock()
        if now_s - self._flushed_s >= self._flush_s:
            self._mcap.flush()
            self._flushed_s = now_s
        if now_s - self._synced_s >= self._sync_s:
            self._sink.sync()
            self._synced_s = now_s

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Around all that may reach the disk. The first failure is final: later writes would leave holes."""
        if self._failure or self._closed:
            reason = self._failure or "it is closed"
            raise BagError(f"{self.path} takes no more messages: {reason}.", "Start a new bag.")
        try:
            yield
        except OSError as error:
            self._failure = error.strerror or str(error)
            cause = f"Recording to {self.path} failed: {self._failure}."
            raise BagError(cause, "Free disk space, then start a new bag.") from error

    def _finish(self, metadata: Metadata) -> Metadata:
        self._mcap.flush()
        self._reserve.release()
        self._mcap.add_metadata("rosbag2", {"serialized_metadata": to_yaml(metadata.as_dict())})
        self._mcap.finish()
        self._sink.sync()
        self._sink.close()
        write_metadata(self.path, metadata.as_dict())
        return metadata

    def _rescue(self, metadata: Metadata) -> BagError:
        """Make readable what reached the disk; the error says what did not."""
        self._sink.close()
        self._reserve.release()
        found = salvage.scan(self._file)
        kept = metadata.with_counts(found.topic_counts(), found.start_ns, found.end_ns)
        try:
            salvage.append_summary(self._file, found, {"serialized_metadata": to_yaml(kept.as_dict())})
            write_metadata(self.path, kept.as_dict())
            state = "The bag is readable"
        except OSError:
            state = "The bag has no index, only BagReader reads it"
        lost = max(sum(self.counts.values()) - kept.count, 0)
        cause = f"Recording to {self.path} failed: {self._failure}."
        kept_text = f"{kept.count} messages are kept, {lost} are lost."
        return BagError(f"{cause} {kept_text}", f"{state}. Free disk space before you record again.")
