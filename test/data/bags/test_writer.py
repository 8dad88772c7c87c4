import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from vla_mbpo_ros.data.bags import BagReader, BagWriter, Qos, salvage, sink, update_custom_data
from vla_mbpo_ros.data.bags.mcap_file import COMPRESSIONS
from vla_mbpo_ros.data.bags.sink import RESERVE_FILE
from vla_mbpo_ros.errors import BagError, UnknownName

STATE, TEXT = "sensor_msgs/msg/JointState", "std_msgs/msg/String"
Row = tuple[str, int, bytes]  # topic, log time [ns], CDR


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_every_reader_sees_the_same_bytes(write_bag: Callable[..., Path], rows: list[Row], compression: str) -> None:
    path = write_bag(rows, compression=compression, chunk_bytes=4096)
    written = sorted(rows, key=lambda row: row[1])
    assert sorted((m.topic, m.log_ns, m.data) for m in BagReader(path).messages()) == sorted(written)
    with AnyReader([path]) as reader:
        assert sorted((c.topic, t, raw) for c, t, raw in reader.messages()) == sorted(written)
        assert {c.digest for c in reader.connections} == {info.hash for info in BagReader(path).topics.values()}
    with (path / "bag_0.mcap").open("rb") as stream:
        messages = [(c.topic, m.log_time, m.data) for _, c, m in make_reader(stream, True).iter_messages()]
    assert sorted(messages) == sorted(written)


def test_metadata_is_that_of_version_9(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, custom={"instruction": "put it away", "seed": "7"})
    info = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (info["version"], info["storage_identifier"]) == (9, "mcap")
    assert info["relative_file_paths"] == ["bag_0.mcap"]
    assert info["message_count"] == len(rows) == info["files"][0]["message_count"]
    assert info["starting_time"] == {"nanoseconds_since_epoch": 10**9}
    assert info["duration"] == {"nanoseconds": 99 * 10**8}
    assert info["custom_data"] == {"instruction": "put it away", "seed": "7"}
    assert all(topic["topic_metadata"]["type_description_hash"] for topic in info["topics_with_message_count"])


def test_the_file_itself_carries_the_metadata_too(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, custom={"seed": "7"})
    with (path / "bag_0.mcap").open("rb") as stream:
        (record,) = make_reader(stream).iter_metadata()
    inside = yaml.safe_load(record.metadata["serialized_metadata"])
    assert inside == yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]


def test_qos_comes_back_as_rosbags_understands_it(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/text", "std_msgs/msg/String", [Qos(depth=3, durability="transient_local")])
    with AnyReader([tmp_path / "bag"]) as reader:
        (qos,) = reader.connections[0].ext.offered_qos_profiles
    assert (qos.depth, qos.durability.name, qos.deadline) == (3, "TRANSIENT_LOCAL", (9223372036, 854775807))


def test_what_exists_is_not_overwritten(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows)
    before = (path / "bag_0.mcap").read_bytes()
    with pytest.raises(BagError, match=f"{path} exists already, not overwriting"):
        BagWriter(path)
    assert (path / "bag_0.mcap").read_bytes() == before


def test_a_closed_bag_leaves_nothing_but_itself(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    assert {file.name for file in write_bag(rows).iterdir()} == {"bag_0.mcap", "metadata.yaml"}


def test_bad_calls_are_refused_with_a_sentence(start_bag: Callable[..., BagWriter], tmp_path: Path) -> None:
    bag = start_bag(tmp_path / "bag")
    with pytest.raises(UnknownName, match="Did you mean '/joint_states'"):
        bag.write("/joint_state", b"", 1)
    with pytest.raises(BagError, match="not fully qualified"):
        bag.add_topic("joint_command", STATE)
    with pytest.raises(BagError, match="recorded already"):
        bag.add_topic("/joint_states", STATE)
    with pytest.raises(BagError, match="start at 0"):
        bag.write("/joint_states", b"", -1)
    bag.close()
    with pytest.raises(BagError, match="it is closed"):
        bag.write("/joint_states", b"", 1)
    with pytest.raises(UnknownName, match="zstd"):
        BagWriter(tmp_path / "other", compression="zstd1")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BagError, match=r"Cannot record to .*Not a directory"):
        BagWriter(tmp_path / "file" / "bag")


def test_what_was_written_reaches_the_system_in_time(
    start_bag: Callable[..., BagWriter], tmp_path: Path, rows: list[Row]
) -> None:
    """Ticks come every half of `flush_s`: even one that is just too early does not make a message wait longer."""
    now_s = [0.0]
    bag = start_bag(tmp_path / "bag", flush_s=0.2, clock=lambda: now_s[0])
    now_s[0] = 5.0
    bag.write(*_call(rows[0]))
    small = bag.bytes_written
    now_s[0] = 5.09
    bag.tick()
    assert bag.bytes_written == small
    now_s[0] = 5.19
    bag.tick()
    assert bag.bytes_written > small
    unfinished = BagReader(tmp_path / "bag")  # as if the process had been killed now
    assert not unfinished.complete
    assert [message.data for message in unfinished.messages()] == [rows[0][2]]
    assert (tmp_path / "bag" / RESERVE_FILE).exists()


def test_a_bag_is_closed_even_when_the_recording_breaks_off(
    start_bag: Callable[..., BagWriter], tmp_path: Path, rows: list[Row]
) -> None:
    def record() -> None:
        with start_bag(tmp_path / "bag") as bag:
            bag.write(*_call(rows[0]))
            raise RuntimeError("node died")

    with pytest.raises(RuntimeError, match="node died"):
        record()
    assert BagReader(tmp_path / "bag").complete


def test_a_label_changes_the_facts_and_nothing_else(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, custom={"outcome": "unknown", "seed": "7"})
    update_custom_data(path, {"outcome": "success"})
    bag = BagReader(path)
    assert bag.custom_data == {"outcome": "success", "seed": "7"}
    assert sum(1 for _ in bag.messages()) == len(rows)


def test_a_full_bag_goes_on_in_the_next_file(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, chunk_bytes=1024, split_s=2.5)
    files = [f"bag_{number}.mcap" for number in range(4)]
    info = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert info["relative_file_paths"] == files == [entry["path"] for entry in info["files"]]
    assert all(entry["duration"]["nanoseconds"] < 2.5e9 for entry in info["files"])
    assert [entry["message_count"] for entry in info["files"]] == [_count(path / name) for name in files]
    assert info["message_count"] == sum(entry["message_count"] for entry in info["files"]) == len(rows)
    assert info["duration"] == {"nanoseconds": 99 * 10**8}
    with AnyReader([path]) as reader:
        found = sorted((c.topic, t, raw) for c, t, raw in reader.messages())
        assert reader.message_count == len(found)
    assert found == sorted(rows)
    assert sorted((m.topic, m.log_ns, m.data) for m in BagReader(path).messages()) == found


def test_every_further_file_begins_with_what_is_latched(tmp_path: Path, cdr: Callable[..., bytes]) -> None:
    bag = BagWriter(tmp_path / "bag", split_bytes=20_000, chunk_bytes=1024, custom_data={"instruction": "go"})
    bag.add_topic("/text", TEXT, latched=True)
    bag.add_topic("/joint_states", STATE)
    for word in ("old", "new"):
        bag.write("/text", cdr(TEXT, data=word), 10, publish_ns=5, sequence=2)
    state = cdr(STATE, 1, name=["a"], position=[1.0])
    for tick in range(11, 511):
        bag.write("/joint_states", state, tick)
    written = bag.bytes_written
    metadata = bag.close()
    assert len(metadata.files) == len(bag.files) > 2
    assert bag.counts == {"/text": 2, "/joint_states": 500}  # what was given to `write`
    repeated = len(metadata.files) - 1
    assert metadata.count == 502 + repeated == sum(1 for _ in BagReader(bag.path).messages())
    assert metadata.topic_count("/text") == 2 + repeated
    assert 0 < written <= sum(file.stat().st_size for file in bag.files)
    for file in bag.files[1:]:
        first = next(iter(BagReader(file).messages()))
        assert (first.topic, first.data, first.publish_ns) == ("/text", cdr(TEXT, data="new"), 5)
        assert first.log_ns == min(message.log_ns for message in BagReader(file).messages()) > 10
        assert salvage.scan(file).custom_data == {"instruction": "go"}


def test_a_split_by_hand_makes_no_empty_file(
    start_bag: Callable[..., BagWriter], tmp_path: Path, rows: list[Row]
) -> None:
    bag = start_bag(tmp_path / "bag")
    bag.split()
    bag.write(*_call(rows[0]))
    bag.split()
    bag.split()
    bag.write(*_call(rows[1]))
    assert [file.name for file in bag.files] == ["bag_0.mcap", "bag_1.mcap"]
    assert [file.count for file in bag.close().files] == [1, 1]


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(min_value=0, max_value=5000), max_size=60),
    chunk_bytes=st.integers(min_value=1, max_value=20_000),
    split_bytes=st.integers(min_value=0, max_value=60_000),
    compression=st.sampled_from(COMPRESSIONS),
)
def test_whatever_is_written_is_read(sizes: list[int], chunk_bytes: int, split_bytes: int, compression: str) -> None:
    with TemporaryDirectory() as folder:
        bag = BagWriter(
            Path(folder) / "bag",
            chunk_bytes=chunk_bytes,
            split_bytes=split_bytes,
            compression=compression,
            reserve_bytes=0,
        )
        bag.add_topic("/text", TEXT)
        wanted = [(tick, bytes([tick % 256]) * (size + 4)) for tick, size in enumerate(sizes)]
        for tick, data in wanted:
            bag.write("/text", data, tick)
        assert bag.close().count == len(wanted)
        assert [(m.log_ns, m.data) for m in BagReader(bag.path).messages()] == wanted
        assert sum(map(_count, bag.files)) == len(wanted)


def test_more_pieces_than_the_system_takes_at_once_are_written(tmp_path: Path) -> None:
    """1024 is the limit of writev on Linux; a chunk of small messages has more."""
    with BagWriter(tmp_path / "bag", flush_s=100.0) as bag:
        bag.add_topic("/text", TEXT)
        for tick in range(5000):
            bag.write("/text", b"data", tick)
    assert _count(tmp_path / "bag" / "bag_0.mcap") == 5000


def test_the_disk_is_waited_for_elsewhere_but_its_failure_is_told(
    start_bag: Callable[..., BagWriter], tmp_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that reports an error after the writing: no success may be said."""
    threads: list[str] = []

    def fail(fd: int) -> None:
        threads.append(threading.current_thread().name)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(sink.os, "fdatasync", fail)
    bag = start_bag(tmp_path / "bag", sync_s=0.0)
    with pytest.raises(BagError, match="Input/output error"):
        _write_all(bag, rows * 1000)
    with pytest.raises(BagError, match="Input/output error"):
        bag.close()
    assert set(threads) == {"bag_sync"}


def test_the_reserve_grows_with_the_index(start_bag: Callable[..., BagWriter], tmp_path: Path, rows: list[Row]) -> None:
    bag = start_bag(tmp_path / "bag", chunk_bytes=1, sync_s=0.0, reserve_bytes=70_000)
    for row in rows * 5:
        bag.write(*_call(row))
    assert (bag.path / RESERVE_FILE).stat().st_size >= 140_000
    bag.close()


def _write_all(bag: BagWriter, rows: list[Row]) -> None:
    for row in rows:
        bag.write(*_call(row))


def _count(file: Path) -> int:
    """By another reader, with all checksums."""
    with file.open("rb") as stream:
        return sum(1 for _ in make_reader(stream, validate_crcs=True).iter_messages())


def _call(row: Row) -> tuple[str, bytes, int]:
    topic, log_ns, data = row
    return topic, data, log_ns


def test_a_disk_that_is_gone_is_an_error_and_no_crash(
    tmp_path: Path, start_bag: Callable[..., BagWriter], rows: list[Row]
) -> None:
    writer = start_bag(tmp_path / "bag")
    writer.write(*rows[0][:1], rows[0][2], rows[0][1])
    shutil.rmtree(tmp_path / "bag")
    with pytest.raises(BagError, match="cannot be read at this moment"):
        writer.close()
