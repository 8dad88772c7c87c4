"""Raw CDR bytes -> a rosbag2 directory with MCAP storage that real `ros2 bag` reads.

    with BagWriter(path, custom_data=facts.to_custom_data()) as bag:
        bag.add_topic("/joint_states", "sensor_msgs/msg/JointState")
        bag.write("/joint_states", data, log_ns=now)
        bag.close(facts.to_custom_data())

What is safe when: no message waits longer than `flush_s` before the operating system has it (a killed process
loses no more), and every `sync_s` the disk gets everything (a power cut loses no more). The first happens inside
`write` and `tick`, the second on a thread of its own. One thread at a time; nothing here locks.

A bag goes on in the next file when one is full:

    bag_0.mcap   …, instruction, …
    bag_1.mcap   instruction (again, at the time of the split), …      every file can be read alone
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from vla_mbpo_ros.data.bags import salvage
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.mcap_file import COMPRESSIONS, FACTS, NewMcapFile
from vla_mbpo_ros.data.bags.metadata import BagFile, BagTopic, Metadata, in_file, write_metadata
from vla_mbpo_ros.data.bags.qos import Qos
from vla_mbpo_ros.data.bags.sink import RESERVE_BYTES, Reserve, Syncer
from vla_mbpo_ros.errors import BagError, UnknownName

_SEQUENCE_BITS = 0xFFFF_FFFF  # MCAP keeps 32 bits of the publisher's 64
# A message waits for this share of `flush_s` in memory; the rest is the caller's, who may be late with `tick`.
_WAIT_SHARE = 0.5
_LET_GO_BYTES = 8 << 20


class _Last(NamedTuple):
    """The newest message of a latched topic."""

    data: bytes
    publish_ns: int
    sequence: int


class BagWriter:
    """A new bag at `path`, which must not exist. `custom_data` is what is known of it at the start.

    `flush_s` holds if `write` or `tick` is called at least every half of it. A file is finished when it has
    `split_bytes` or spans `split_s` of log time; 0: never.
    """

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
        if compression not in COMPRESSIONS:
            raise UnknownName("compression", compression, COMPRESSIONS)
        self.path = path
        self.counts: dict[str, int] = {}  # topic -> messages accepted by `write`
        self._compression, self._chunk_bytes = compression, chunk_bytes
        self._split_bytes, self._split_ns = split_bytes, round(split_s * 1e9)
        self._said = dict(custom_data or {})
        self._topics: list[BagTopic] = []
        self._channels: dict[str, int] = {}  # topic -> channel id, the same in every file
        self._latched: dict[str, _Last | None] = {}
        self._done: list[BagFile] = []
        self._done_bytes = 0  # of those files
        self._repeated = 0  # messages at the start of further files
        self._let_go_at = 0  # size of the file then [bytes]
        self._fresh = True  # nothing but repeated messages is in the file
        self._failure = ""
        self._closed = False
        self._wait_s, self._sync_s, self._clock = flush_s * _WAIT_SHARE, sync_s, clock
        self._opened_s = self._synced_s = clock()  # when the open chunk was begun; when the disk was asked
        self._open(reserve_bytes)

    @property
    def bytes_written(self) -> int:
        """Size of all files so far, without the open chunk."""
        return self._done_bytes + self._file.sink.size

    @property
    def files(self) -> list[Path]:
        return [self.path / name for name in (*(file.name for file in self._done), self._file.sink.path.name)]

    def add_topic(self, name: str, type_name: str, qos: Sequence[Qos] = (), latched: bool = False) -> None:
        """`name` is fully qualified; `qos` is what its publishers offer. Of a latched topic every further file
        begins with the last message."""
        if not name.startswith("/"):
            raise BagError(f"Topic '{name}' is not fully qualified.", f"Resolve it, as '/{name}'.")
        if name in self._channels:
            raise BagError(f"Topic '{name}' is recorded already.", "Add each topic once.")
        topic = BagTopic(name, type_name, load_definition(type_name).hash, tuple(qos))
        with self._storing():
            self._channels[name] = self._file.add_topic(topic)
        self._topics.append(topic)
        self.counts[name] = 0
        if latched:
            self._latched[name] = None

    def write(self, topic: str, data: bytes, log_ns: int, publish_ns: int | None = None, sequence: int = 0) -> None:
        """One message, which must not change any more. `log_ns` is the bag's own time, `publish_ns` when it was
        sent; `sequence` is the publisher's own count, 0 if unknown."""
        if topic not in self._channels:
            raise UnknownName("recorded topic", topic, self._channels, str(self.path))
        if log_ns < 0:
            raise BagError(f"A message of '{topic}' is stamped {log_ns} ns.", "Times in a bag start at 0.")
        sent_ns = log_ns if publish_ns is None else max(publish_ns, 0)
        last = _Last(data, sent_ns, sequence & _SEQUENCE_BITS)
        with self._storing():
            if self._is_full(log_ns):
                self._next_file(log_ns)
            self._add(topic, last, log_ns)
            self._flush_if_due()
        if topic in self._latched:
            self._latched[topic] = last
        self._fresh = False
        self.counts[topic] += 1

    def tick(self) -> None:
        """Call now and then, so that what was written last becomes safe even when nothing more arrives."""
        with self._storing():
            self._flush_if_due()

    def split(self) -> None:
        """Go on in a new file, unless this one is new."""
        with self._storing():
            if not self._fresh:
                self._next_file(self._file.end_ns)

    def close(self, custom_data: Mapping[str, str] | None = None) -> Metadata:
        """Write index and metadata; without `custom_data` what was said at the start holds. Raises if anything
        that was accepted is not in the bag."""
        if self._closed:
            raise BagError(f"{self.path} is closed already.", "Close a bag once.")
        self._closed = True
        said = dict(self._said if custom_data is None else custom_data)
        try:
            if not self._failure:
                return self._finish(said)
        except OSError as error:
            self._failure = error.strerror or str(error)
        raise self._rescue(said)

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

    def _open(self, reserve_bytes: int) -> None:
        made = False
        try:
            self.path.mkdir(parents=True)
            made = True
            self._reserve = Reserve(self.path, reserve_bytes)
            self._file = self._new_file(0)
        except FileExistsError as error:
            raise BagError(f"{self.path} exists already, not overwriting.", "Choose another name.") from error
        except OSError as error:
            if made:
                shutil.rmtree(self.path, ignore_errors=True)
            cause = f"Cannot record to {self.path}: {error.strerror or error}."
            raise BagError(cause, "Choose another folder.") from error
        self._syncer = Syncer()

    def _new_file(self, number: int) -> NewMcapFile:
        """With the facts and all topics; nothing is left of it if that cannot be written."""
        name = f"{self.path.name}_{number}.mcap"
        file = NewMcapFile(self.path / name, self._compression, self._chunk_bytes)
        try:
            if self._said:
                file.add_metadata(FACTS, self._said)
            for topic in self._topics:
                file.add_topic(topic)
        except OSError:
            file.discard()
            raise
        return file

    def _is_full(self, log_ns: int) -> bool:
        if self._fresh:
            return False
        too_large = 0 < self._split_bytes <= self._file.size
        return too_large or 0 < self._split_ns <= log_ns - self._file.start_ns

    def _next_file(self, log_ns: int) -> None:
        """Finish the file; the next one begins with what is latched."""
        full, described = self._file, self._described()
        following = self._new_file(len(self._done) + 1)
        try:
            full.finish(in_file(self._metadata([described], self._said)))
        except OSError:
            following.discard()
            raise
        self._syncer.finish(full.sink)
        self._done.append(described)
        self._done_bytes += full.sink.size
        self._file, self._fresh, self._let_go_at = following, True, 0
        for name, last in self._latched.items():
            if last is not None:
                self._repeated += 1
                self._add(name, last, log_ns)

    def _add(self, topic: str, message: _Last, log_ns: int) -> None:
        if not self._file.has_open_chunk:
            self._opened_s = self._clock()
        self._file.add(self._channels[topic], message.data, log_ns, message.publish_ns, message.sequence)

    def _flush_if_due(self) -> None:
        now_s = self._clock()
        if self._file.has_open_chunk and now_s - self._opened_s >= self._wait_s:
            self._file.flush()
        if now_s - self._synced_s >= self._sync_s:
            self._reserve.at_least(self._file.summary_bytes)
            self._syncer.sync(self._file.sink)
            self._synced_s = now_s
        if self._file.sink.size - self._let_go_at >= _LET_GO_BYTES:
            self._syncer.let_go(self._file.sink)
            self._let_go_at = self._file.sink.size

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Around all that may reach the disk. The first failure is final: later writes would leave holes."""
        if self._failure or self._closed:
            reason = self._failure or "it is closed"
            raise BagError(f"{self.path} takes no more messages: {reason}.", "Start a new bag.")
        try:
            self._syncer.check()
            yield
        except OSError as error:
            self._failure = error.strerror or str(error)
            cause = f"Recording to {self.path} failed: {self._failure}."
            raise BagError(cause, "Free disk space, then start a new bag.") from error

    def _described(self) -> BagFile:
        file = self._file
        counts = {name: file.counts[key] for name, key in self._channels.items() if key in file.counts}
        return BagFile(file.sink.path.name, file.start_ns, file.end_ns, counts)

    def _metadata(self, files: Sequence[BagFile], said: Mapping[str, str]) -> Metadata:
        return Metadata(tuple(files), tuple(self._topics), dict(said), os.environ.get("ROS_DISTRO", "unknown"))

    def _finish(self, said: Mapping[str, str]) -> Metadata:
        self._file.flush()
        self._reserve.release()
        described = self._described()
        self._file.finish(in_file(self._metadata([described], said)))
        self._syncer.finish(self._file.sink)
        self._syncer.close()
        self._syncer.check()
        metadata = self._metadata([*self._done, described], said)
        write_metadata(self.path, metadata.as_dict())
        return metadata

    def _rescue(self, said: Mapping[str, str]) -> BagError:
        """Make readable what reached the disk; the error says what did not."""
        self._syncer.close()
        self._file.sink.close()
        file, metadata = self._file.sink.path, self._metadata(self._done, said)
        state = "Its last file cannot be read at this moment, `vla-mbpo bags recover` may mend it"
        with suppress(OSError, BagError):  # the disk may be gone altogether
            self._reserve.release()
            found = salvage.scan(file)
            kept = BagFile(file.name, found.start_ns, found.end_ns, found.topic_counts())
            metadata = self._metadata([*self._done, kept], said)
            state = "The bag has no index, only BagReader reads it"
            salvage.append_summary(file, found, in_file(self._metadata([kept], said)))
            write_metadata(self.path, metadata.as_dict())
            state = "The bag is readable"
        lost = max(sum(self.counts.values()) + self._repeated - metadata.count, 0)
        cause = (
            f"Recording to {self.path} failed: {self._failure}. {metadata.count} messages are kept, {lost} are lost."
        )
        return BagError(cause, f"{state}. Free disk space before you record again.")
