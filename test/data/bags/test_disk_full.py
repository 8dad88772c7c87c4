"""The disk fills up in the middle of an episode."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from vla_mbpo_ros.data.bags import BagReader, BagWriter, sink
from vla_mbpo_ros.errors import BagError

Row = tuple[str, int, bytes]  # topic, log time [ns], CDR
Start = Callable[..., BagWriter]
REAL_WRITE = os.writev


class Disk:
    """Takes `free` bytes and not one more, the last record only in part: as a file system does."""

    def __init__(self, free: int) -> None:
        self.free = free

    def write(self, fd: int, pieces: Sequence[bytes]) -> int:
        if self.free <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = REAL_WRITE(fd, [b"".join(pieces)[: self.free]])
        self.free -= taken
        return taken


@pytest.fixture
def full_bag(start_bag: Start, tmp_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> BagWriter:
    """A bag whose disk became full in the middle of `rows`, not closed yet."""
    bag = start_bag(tmp_path / "bag", chunk_bytes=2048)
    monkeypatch.setattr(sink.os, "writev", Disk(free=9000).write)
    with pytest.raises(BagError, match="No space left on device"):
        _write(bag, rows)
    return bag


def test_what_reached_the_disk_is_kept_and_the_rest_is_counted(full_bag: BagWriter, rows: list[Row]) -> None:
    accepted = sum(full_bag.counts.values())
    with pytest.raises(BagError, match=r"No space left on device\. \d+ messages are kept") as error:
        full_bag.close({"outcome": "failure"})
    bag = BagReader(full_bag.path)
    kept = [(message.topic, message.log_ns, message.data) for message in bag.messages()]
    assert 0 < len(kept) < accepted
    assert kept == rows[: len(kept)]
    assert bag.complete
    assert bag.custom_data == {"outcome": "failure"}
    assert f"{len(kept)} messages are kept, {accepted - len(kept)} are lost" in str(error.value)


def test_nothing_is_accepted_after_the_first_failure(full_bag: BagWriter, rows: list[Row]) -> None:
    with pytest.raises(BagError, match="takes no more messages: No space left"):
        _write(full_bag, rows[:1])


def test_ordinary_readers_open_what_was_kept(full_bag: BagWriter) -> None:
    with pytest.raises(BagError):
        full_bag.close()
    kept = sum(1 for _ in BagReader(full_bag.path).messages())
    with AnyReader([full_bag.path]) as reader:
        assert reader.message_count == kept == sum(1 for _ in reader.messages())
    with (full_bag.path / "bag_0.mcap").open("rb") as stream:
        assert sum(1 for _ in make_reader(stream, validate_crcs=True).iter_messages()) == kept


def test_no_room_even_for_the_index_still_leaves_a_bag_that_we_read(
    full_bag: BagWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_index(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("vla_mbpo_ros.data.bags.salvage.append_summary", no_index)
    with pytest.raises(BagError, match="only BagReader reads it"):
        full_bag.close()
    bag = BagReader(full_bag.path)
    assert not bag.complete
    assert sum(1 for _ in bag.messages()) > 0


def test_leaving_the_block_tells_of_the_failure_too(
    start_bag: Start, tmp_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last chunk is written on closing only: that failure must not pass for success."""

    def record() -> None:
        with start_bag(tmp_path / "bag") as bag:
            _write(bag, rows[:5])
            monkeypatch.setattr(sink.os, "writev", Disk(free=0).write)

    with pytest.raises(BagError, match="0 messages are kept, 5 are lost"):
        record()


def test_a_limit_of_the_system_acts_as_a_full_disk(tmp_path: Path) -> None:
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from pathlib import Path
from vla_mbpo_ros.data.bags import BagWriter
from vla_mbpo_ros.errors import BagError
bag = BagWriter(Path({str(tmp_path / "bag")!r}), chunk_bytes=50_000, reserve_bytes=0)
bag.add_topic("/text", "std_msgs/msg/String")
try:
    for tick in range(10_000):
        bag.write("/text", bytes(1000), tick)
except BagError as error:
    assert "File too large" in str(error), error
try:
    bag.close()
except BagError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert "messages are kept" in done.stdout, done.stderr
    kept = [message.log_ns for message in BagReader(tmp_path / "bag").messages()]
    assert kept == list(range(len(kept)))
    assert len(kept) > 100


def test_a_full_disk_at_the_start_leaves_nothing_behind(
    start_bag: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink.os, "writev", Disk(free=0).write)
    with pytest.raises(BagError, match=r"Cannot record to .*No space left on device"):
        start_bag(tmp_path / "bag")
    assert not (tmp_path / "bag").exists()


def _write(bag: BagWriter, rows: list[Row]) -> None:
    for topic, log_ns, data in rows:
        bag.write(topic, data, log_ns)
