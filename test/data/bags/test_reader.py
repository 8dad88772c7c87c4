import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_mbpo_ros.data.bags import BagReader, BagWriter
from vla_mbpo_ros.data.bags.decode import Decoder
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.errors import BagError, UnknownName

STATE, TEXT = "sensor_msgs/msg/JointState", "std_msgs/msg/String"
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


# -- raw data ----------------------------------------------------------------------------------------------------------


def big(index: int) -> bytes:
    """A message that is not copied out of its chunk."""
    return b"\x00\x01\x00\x00" + bytes([index]) * 40_000


def test_large_data_is_a_view_that_nobody_can_write_to_and_small_data_is_its_own(
    start_bag: Callable[..., BagWriter], tmp_path: Path, cdr: Callable[..., bytes]
) -> None:
    small = cdr(TEXT, data="put the cube into the bowl")
    with start_bag(tmp_path / "bag") as bag:
        bag.write("/joint_states", big(7), 1)
        bag.write("/instruction", small, 2)
    first, second = BagReader(tmp_path / "bag").messages()
    assert isinstance(first.data, memoryview)
    assert first.data.readonly
    assert first.data == big(7)
    assert isinstance(second.data, bytes)
    assert second.data == small


def test_images_are_decoded_without_a_copy() -> None:
    encoder = Encoder("sensor_msgs/msg/Image")
    data = memoryview(encoder(encoder.new(height=2, width=3, step=9, encoding="rgb8", data=np.arange(18, dtype="u1"))))
    image = Decoder(encoder.type_name, load_definition(encoder.type_name).text)(data)
    assert np.shares_memory(image.data, np.frombuffer(data, np.uint8))
    assert image.data.tolist() == list(range(18))


# -- one message alone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("chunk_bytes", [700, 1 << 20])
def test_a_message_read_alone_is_the_one_that_comes_in_order(
    write_bag: Callable[..., Path], rows: list[Row], compression: str, chunk_bytes: int
) -> None:
    bag = BagReader(write_bag(rows, compression=compression, chunk_bytes=chunk_bytes))
    for topic in bag.topics:
        places = bag.locate(topic)
        alone = [bag.read(ref) for ref in places.refs]
        assert alone == list(bag.messages([topic]))
        assert places.log_ns.tolist() == [message.log_ns for message in alone]
        assert places.publish_ns.tolist() == [message.publish_ns for message in alone]


def test_large_messages_are_read_alone_in_any_order(start_bag: Callable[..., BagWriter], tmp_path: Path) -> None:
    with start_bag(tmp_path / "bag") as bag:
        for index in range(100):
            bag.write("/joint_states", big(index), index * 10)
    reader = BagReader(tmp_path / "bag")
    places = reader.locate("/joint_states")
    for index in reversed(range(100)):
        assert reader.read(places.refs[index]).data == big(index)


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_only_the_message_itself_is_read_where_nothing_is_compressed(
    start_bag: Callable[..., BagWriter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    with start_bag(tmp_path / "bag", compression=compression) as bag:
        for index in range(100):
            bag.write("/joint_states", big(index), index)
    reader = BagReader(tmp_path / "bag")
    read, sizes = os.pread, []
    monkeypatch.setattr(os, "pread", lambda fd, size, place: sizes.append(size) or read(fd, size, place))
    places = reader.locate("/joint_states")
    assert sum(sizes) < 100 * 200 or compression == "zstd"
    sizes.clear()
    reader.read(places.refs[50])
    reader.read(places.refs[51])
    assert sum(sizes) < 2 * 41_000  # zstd: from the chunk that was looked into last


def test_stamps_are_read_without_the_messages(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    bag = BagReader(write_bag(rows))
    states = [10**9 + tick * 10**8 for tick in range(100)]
    assert bag.stamps("/joint_states").tolist() == states
    assert bag.stamps("/joint_states", bag.locate("/joint_states")).tolist() == states
    assert bag.stamps("/instruction").tolist() == [10**9]  # log time: a String has no stamp


def test_a_reader_can_be_sent_to_another_process_and_survives_a_fork(
    write_bag: Callable[..., Path], rows: list[Row]
) -> None:
    bag = BagReader(write_bag(rows, compression="zstd"))
    bag.decode(next(bag.messages(["/joint_states"])))  # its decoder cannot be sent
    ref = bag.locate("/joint_states").refs[5]
    there = pickle.loads(pickle.dumps(bag))
    assert there.decode(there.read(ref)).position == pytest.approx([0.5, 1.0])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(bag.read, [ref, ref]) == [bag.read(ref)] * 2


# -- several files -----------------------------------------------------------------------------------------------------


def split_bag(start_bag: Callable[..., BagWriter], folder: Path, times: list[list[int]]) -> Path:
    """Files folder_0 … with joint states at these times; no metadata."""
    folder.mkdir()
    for number, log_times in enumerate(times):
        with start_bag(folder.parent / "part") as part:
            for log_ns in log_times:
                part.write("/joint_states", big(log_ns % 251), log_ns)
        next((folder.parent / "part").glob("*.mcap")).rename(folder / f"{folder.name}_{number}.mcap")
        shutil.rmtree(folder.parent / "part")
    return folder


def test_files_without_metadata_are_ordered_by_their_number(
    start_bag: Callable[..., BagWriter], tmp_path: Path
) -> None:
    bag = BagReader(split_bag(start_bag, tmp_path / "bag", [[number] for number in range(12)]))
    assert [message.log_ns for message in bag.messages()] == list(range(12))
    assert [file.path.name for file in bag._files][9:] == ["bag_9.mcap", "bag_10.mcap", "bag_11.mcap"]
    assert not bag.complete


@settings(max_examples=20, deadline=None)
@given(times=st.lists(st.lists(st.integers(0, 10**6), max_size=8), min_size=1, max_size=4))
def test_messages_of_several_files_come_in_the_order_of_time(
    start_bag: Callable[..., BagWriter], tmp_path_factory: pytest.TempPathFactory, times: list[list[int]]
) -> None:
    bag = BagReader(split_bag(start_bag, tmp_path_factory.mktemp("split") / "bag", times))
    everything = sorted(log_ns for file in times for log_ns in file)
    assert [message.log_ns for message in bag.messages()] == everything
    places = bag.locate("/joint_states")
    assert places.log_ns.tolist() == everything
    assert [bag.read(ref).data for ref in places.refs] == [message.data for message in bag.messages()]
    assert bag.topics["/joint_states"].count == len(everything)
    if everything:
        assert (bag.start_ns, bag.end_ns) == (everything[0], everything[-1])


def test_a_listed_file_that_is_missing_is_named(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows)
    (path / "bag_0.mcap").unlink()
    with pytest.raises(BagError, match=r"lacks bag_0.mcap.*vla-mbpo bags recover"):
        BagReader(path)


def test_what_is_said_of_an_episode_is_found_without_metadata(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, custom={"instruction": "put the cube into the bowl"})
    assert BagReader(path / "bag_0.mcap").custom_data["instruction"] == "put the cube into the bowl"
    (path / "metadata.yaml").unlink()
    assert BagReader(path).custom_data["instruction"] == "put the cube into the bowl"


def test_time_that_goes_backwards_is_put_in_order(start_bag: Callable[..., BagWriter], tmp_path: Path) -> None:
    with start_bag(tmp_path / "bag", chunk_bytes=100_000) as bag:
        for log_ns in range(50, 0, -1):
            bag.write("/joint_states", big(log_ns), log_ns)
    reader = BagReader(tmp_path / "bag")
    assert [message.log_ns for message in reader.messages()] == list(range(1, 51))
    assert reader.locate("/joint_states").log_ns.tolist() == list(range(1, 51))
