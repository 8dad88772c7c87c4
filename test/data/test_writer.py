from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from vla_mbpo_ros.data.bags import BagReader, BagWriter, Qos, update_custom_data
from vla_mbpo_ros.data.bags.sink import RESERVE_FILE
from vla_mbpo_ros.errors import BagError, UnknownName

STATE = "sensor_msgs/msg/JointState"
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
    now_s = [0.0]
    bag = start_bag(tmp_path / "bag", flush_s=0.2, clock=lambda: now_s[0])
    bag.write(*_call(rows[0]))
    small = bag.bytes_written
    now_s[0] = 0.1
    bag.tick()
    assert bag.bytes_written == small
    now_s[0] = 0.2
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


def _call(row: Row) -> tuple[str, bytes, int]:
    topic, log_ns, data = row
    return topic, data, log_ns
