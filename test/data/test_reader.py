from collections.abc import Callable
from pathlib import Path

import pytest

from vla_mbpo_ros.data.bags import BagReader, BagWriter
from vla_mbpo_ros.data.bags.decode import Decoder
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.errors import BagError, UnknownName

STATE = "sensor_msgs/msg/JointState"
Row = tuple[str, int, bytes]  # topic, log time [ns], CDR


def test_topics_counts_and_times_are_told(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    bag = BagReader(write_bag(rows))
    counts = {name: info.count for name, info in bag.topics.items()}
    assert counts == {"/head/color/frame_info": 50, "/instruction": 1, "/joint_states": 100}
    assert (bag.start_ns, bag.end_ns) == (10**9, 10**9 + 99 * 10**8)
    assert bag.topics["/joint_states"].type == STATE


def test_messages_come_in_the_order_of_time_whatever_the_order_of_writing(
    start_bag: Callable[..., BagWriter], tmp_path: Path, rows: list[Row]
) -> None:
    bag = start_bag(tmp_path / "bag", chunk_bytes=700)
    for topic, log_ns, data in [*rows[40:80], *rows[:40], *rows[80:]]:
        bag.write(topic, data, log_ns)
    bag.close()
    times = [message.log_ns for message in BagReader(tmp_path / "bag").messages()]
    assert times == sorted(times)
    assert len(times) == len(rows)


def test_topics_and_times_can_be_chosen(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    bag = BagReader(write_bag(rows, chunk_bytes=1024))
    found = list(bag.messages(["/joint_states"], start_ns=2 * 10**9, end_ns=3 * 10**9))
    assert [message.log_ns for message in found] == list(range(2 * 10**9, 3 * 10**9 + 1, 10**8))
    assert {message.topic for message in found} == {"/joint_states"}
    with pytest.raises(UnknownName, match="Did you mean '/joint_states'"):
        next(bag.messages(["/joint_state"]))


def test_everything_said_of_a_message_comes_back(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    first = next(BagReader(write_bag(rows)).messages(["/joint_states"]))
    assert (first.log_ns, first.publish_ns, first.sequence) == (10**9, 10**9 + 1, 1)


def test_messages_are_decoded_by_the_definition_in_the_bag(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    bag = BagReader(write_bag(rows))
    states = [bag.decode(message) for message in bag.messages(["/joint_states"])]
    assert states[7].name == ["a", "b"]
    assert states[7].position == pytest.approx([0.7, 1.0])


def test_the_stamp_is_read_without_decoding(cdr: Callable[..., bytes]) -> None:
    decoder = Decoder(STATE, load_definition(STATE).text)
    assert decoder.stamp_ns(cdr(STATE, 5_000_000_007)) == 5_000_000_007
    clock = "rosgraph_msgs/msg/Clock"
    assert Decoder(clock, load_definition(clock).text).stamp_ns(cdr(clock, 3_000_000_009)) == 3_000_000_009
    text = "std_msgs/msg/String"
    assert Decoder(text, load_definition(text).text).stamp_ns(cdr(text)) is None


def test_an_old_definition_keeps_its_own_meaning(cdr: Callable[..., bytes]) -> None:
    old = Decoder("our_msgs/msg/Step", "float64 value\nstring source\n")
    data = b"\x00\x01\x00\x00" + b"\x00\x00\x00\x00\x00\x00\xe0\x3f" + b"\x06\x00\x00\x00human\x00"
    assert (old(data).value, old(data).source) == (0.5, "human")


def test_bytes_that_do_not_fit_the_definition_are_an_error(cdr: Callable[..., bytes]) -> None:
    decoder = Decoder(STATE, load_definition(STATE).text)
    whole = cdr(STATE, 0, name=["a"], position=[1.0])
    for damaged in (whole[:20], whole[:-3], b"", whole + bytes(500)):
        with pytest.raises(BagError, match="cannot be decoded"):
            decoder(damaged)


def test_joint_states_with_empty_arrays_from_rclpy_are_read(tmp_path: Path) -> None:
    """rclpy's serialize_message leaves stray bytes behind empty arrays at the end; `rosbags` refuses them."""
    serialization = pytest.importorskip("rclpy.serialization", reason="rclpy is not installed")
    messages = pytest.importorskip("sensor_msgs.msg", reason="sensor_msgs is not installed")
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/joint_states", STATE)
        for arrays in ({}, {"velocity": [3.0]}, {"effort": [4.0]}, {"velocity": [3.0], "effort": [4.0]}):
            state = messages.JointState(name=["a"], position=[1.0], **arrays)
            bag.write("/joint_states", serialization.serialize_message(state), 1)
    reader = BagReader(tmp_path / "bag")
    states = [reader.decode(message) for message in reader.messages()]
    assert [list(state.position) for state in states] == [[1.0]] * 4
    assert [list(state.velocity) for state in states] == [[], [3.0], [], [3.0]]
    assert [list(state.effort) for state in states] == [[], [], [4.0], [4.0]]


def test_a_folder_that_is_no_bag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"is not a bag: it has no metadata.yaml and no .mcap file"):
        BagReader(tmp_path)
    (tmp_path / "metadata.yaml").write_text("hello: [")
    with pytest.raises(BagError, match="is not the metadata of a bag"):
        BagReader(tmp_path)
