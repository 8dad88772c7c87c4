"""Files of any kind: messages outside chunks, files cut short or damaged, other encodings, other profiles."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.writer import IndexType, Writer

from vla_mbpo_ros.data.bags import BagReader, BagWriter
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.errors import BagError, VlaMbpoError

STATE, TEXT = "sensor_msgs/msg/JointState", "std_msgs/msg/String"
Row = tuple[str, int, bytes]  # topic, log time [ns], CDR


# -- messages outside chunks -------------------------------------------------------------------------------------------


def unchunked(path: Path, rows: list[Row], types: dict[str, str], index: bool = True) -> Path:
    with path.open("wb") as stream:
        writer = Writer(stream, use_chunking=False, index_types=IndexType.ALL if index else IndexType.NONE)
        writer.start(profile="ros2")
        channels = {}
        for name, kind in types.items():
            schema = writer.register_schema(kind, "ros2msg", load_definition(kind).text.encode())
            channels[name] = writer.register_channel(name, "cdr", schema)
        for topic, log_ns, data in rows:
            writer.add_message(channels[topic], log_ns, data, log_ns)
        writer.finish()
    return path


TYPES = {"/joint_states": STATE, "/head/color/frame_info": "vla_mbpo_ros/msg/FrameInfo", "/instruction": TEXT}


@pytest.mark.parametrize("index", [True, False])
def test_messages_outside_chunks_are_read(
    tmp_path: Path, write_bag: Callable[..., Path], rows: list[Row], index: bool
) -> None:
    bag, same = BagReader(unchunked(tmp_path / "a.mcap", rows, TYPES, index)), BagReader(write_bag(rows))
    assert bag.complete
    assert {name: info.count for name, info in bag.topics.items()} == {n: i.count for n, i in same.topics.items()}
    assert (bag.start_ns, bag.end_ns) == (same.start_ns, same.end_ns)
    for name in same.topics:
        assert [m.data for m in bag.messages([name])] == [m.data for m in same.messages([name])]
        assert bag.stamps(name).tolist() == same.stamps(name).tolist()
        assert [bag.read(ref) for ref in bag.locate(name).refs] == list(bag.messages([name]))


def test_a_file_without_chunks_that_ends_in_the_middle_is_read_as_far_as_it_is_good(
    tmp_path: Path, rows: list[Row]
) -> None:
    path = unchunked(tmp_path / "a.mcap", rows, TYPES)
    whole = list(BagReader(path).messages())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    bag = BagReader(path)
    found = list(bag.messages())
    assert not bag.complete
    assert 10 < len(found) < len(whole)
    assert found == whole[: len(found)]


# -- bad input ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0.0, 1.0), compression=st.sampled_from(["none", "zstd"]))
def test_a_bag_that_ends_anywhere_gives_its_beginning_or_an_error(
    whole_bags: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, share: float, compression: str
) -> None:
    data = whole_bags[compression]
    path = tmp_path_factory.mktemp("cut") / "cut.mcap"
    path.write_bytes(data)
    whole = list(BagReader(path).messages())
    path.write_bytes(data[: int(share * len(data))])
    try:
        found = list(BagReader(path).messages())
    except BagError:
        assert share < 0.01  # not even its first bytes are there
    else:
        assert found == whole[: len(found)]


@settings(max_examples=150, deadline=None)
@given(
    share=st.floats(0.0, 1.0, exclude_max=True), value=st.integers(0, 255), compression=st.sampled_from(["none", "lz4"])
)
def test_a_byte_that_changed_is_an_error_or_does_not_touch_the_messages(
    whole_bags: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, share: float, value: int, compression: str
) -> None:
    """Never another exception. Only what no checksum covers can change unseen: names, times of the index."""
    data = bytearray(whole_bags[compression])
    path = tmp_path_factory.mktemp("flip") / "flip.mcap"
    path.write_bytes(data)
    whole = {message.data for message in BagReader(path).messages()}
    data[int(share * len(data))] = value
    path.write_bytes(data)
    try:
        bag = BagReader(path)
        found = list(bag.messages())
        for topic in bag.topics:
            for ref in bag.locate(topic).refs:
                bag.read(ref)
    except VlaMbpoError:
        return
    assert {message.data for message in found} <= whole


@pytest.fixture(scope="module")
def whole_bags(
    start_bag: Callable[..., BagWriter], cdr: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """The bytes of a bag, by its compression."""
    found = {}
    for compression in ("none", "lz4", "zstd"):
        path = tmp_path_factory.mktemp(compression) / "bag"
        with start_bag(path, compression=compression, chunk_bytes=2000) as bag:
            for tick in range(60):
                state = cdr(STATE, tick * 10**8, name=["a", "b"], position=[0.1 * tick, 1.0])
                bag.write("/joint_states", state, tick * 10**8)
        found[compression] = (path / "bag_0.mcap").read_bytes()
    return found


def test_a_wrong_checksum_is_told_with_its_place(
    write_bag: Callable[..., Path], rows: list[Row], cdr: Callable[..., bytes]
) -> None:
    path = write_bag(rows) / "bag_0.mcap"
    data = path.read_bytes()
    place = data.index(cdr(TEXT, data="put the cube into the bowl"))
    path.write_bytes(data[: place + 10] + b"!" + data[place + 11 :])
    with pytest.raises(BagError, match=r"damaged at byte \d+: its checksum does not fit"):
        list(BagReader(path).messages())
    assert len(list(BagReader(path, verify=False).messages())) == len(rows)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"this is a text\n" * 100, "is not an MCAP file"),
        (b"\x89MCAP1\r\n", "is not an MCAP file"),
    ],
)
def test_files_that_are_no_mcap_are_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "bag.mcap").write_bytes(content)
    for path in (tmp_path, tmp_path / "bag.mcap"):
        with pytest.raises(BagError, match=told):
            BagReader(path)


def mcap_of(path: Path, profile: str, encoding: str, kind: str, language: str, text: bytes, data: bytes) -> Path:
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile=profile)
        schema = writer.register_schema(kind, language, text)
        writer.add_message(writer.register_channel("/odd", encoding, schema), 5, data, 5)
        state = writer.register_schema(STATE, "ros2msg", load_definition(STATE).text.encode())
        encoded = Encoder(STATE)
        writer.add_message(writer.register_channel("/joint_states", "cdr", state), 6, encoded(encoded.new()), 6)
        writer.finish()
    return path


def test_messages_of_ros1_are_refused_with_a_way_out(tmp_path: Path) -> None:
    path = mcap_of(tmp_path / "old.mcap", "ros1", "ros1", "std_msgs/String", "ros1msg", b"string data", b"")
    with pytest.raises(BagError, match=r"messages of ROS 1.*rosbags-convert"):
        BagReader(path)


@pytest.mark.parametrize(
    ("encoding", "kind", "language", "text", "told"),
    [
        ("protobuf", "foxglove.Pose", "protobuf", b"\x0a\xff\xfe", "encoded as 'protobuf', not as CDR"),
        ("json", "Thing", "jsonschema", b"{}", "encoded as 'json', not as CDR"),
        ("cdr", "odd_msgs/msg/Odd", "ros2msg", b"this is {{ no definition", "definition of odd_msgs/msg/Odd cannot"),
        ("cdr", "odd_msgs/msg/Odd", "ros2msg", b"odd_msgs/Missing inner", "definition of odd_msgs/msg/Odd cannot"),
        ("cdr", "odd_msgs/msg/Odd", "ros2msg", b"", "no definition of odd_msgs/msg/Odd, and it is not installed"),
        ("cdr", "", "", b"", "has no name"),
    ],
)
def test_a_topic_that_cannot_be_decoded_says_why_and_the_others_are_read(
    tmp_path: Path, encoding: str, kind: str, language: str, text: bytes, told: str
) -> None:
    bag = BagReader(mcap_of(tmp_path / "odd.mcap", "", encoding, kind, language, text, b"\x00\x01\x00\x00data"))
    assert list(bag.topics) == ["/joint_states", "/odd"]
    odd, state = bag.messages()
    for _ in range(2):
        with pytest.raises(BagError, match=f"'/odd' in .*{told}"):
            bag.decode(odd)
    assert bag.decode(state).name == []
    assert bag.read(bag.locate("/odd").refs[0]) == odd


def test_a_type_without_a_definition_is_read_with_the_installed_one(tmp_path: Path, cdr: Callable[..., bytes]) -> None:
    path = mcap_of(tmp_path / "bare.mcap", "ros2", "cdr", TEXT, "", b"", cdr(TEXT, data="hello"))
    bag = BagReader(path)
    assert bag.decode(next(bag.messages(["/odd"]))).data == "hello"


def test_a_definition_in_idl_is_understood(tmp_path: Path) -> None:
    text = b"module our_msgs { module msg { struct Step { double value; string source; }; }; };"
    data = b"\x00\x01\x00\x00" + b"\x00\x00\x00\x00\x00\x00\xe0\x3f" + b"\x06\x00\x00\x00human\x00"
    bag = BagReader(mcap_of(tmp_path / "idl.mcap", "ros2", "cdr", "our_msgs/msg/Step", "ros2idl", text, data))
    assert bag.decode(next(bag.messages(["/odd"]))).source == "human"


def test_a_chunk_of_unknown_compression_is_told(
    tmp_path: Path, write_bag: Callable[..., Path], rows: list[Row]
) -> None:
    path = write_bag(rows, compression="lz4") / "bag_0.mcap"
    data = path.read_bytes().replace(b"\x03\x00\x00\x00lz4", b"\x03\x00\x00\x00lzx")
    path.write_bytes(data[:-12] + bytes(4) + data[-8:])  # the summary without its checksum
    bag = BagReader(path)
    assert bag.topics["/joint_states"].count == 100
    for reading in (bag.messages, lambda: bag.locate("/joint_states")):
        with pytest.raises(BagError, match="compression 'lzx' is unknown, known are lz4 and zstd"):
            list(reading())


def test_a_file_that_shrinks_while_it_is_read_is_an_error(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, chunk_bytes=700)
    bag = BagReader(path)
    places = bag.locate("/joint_states")
    messages = bag.messages()
    next(messages)
    os.truncate(path / "bag_0.mcap", 3000)
    with pytest.raises(BagError, match="is damaged at byte"):
        list(messages)
    with pytest.raises(BagError, match="is damaged at byte"):
        bag.read(places.refs[-1])
    (path / "bag_0.mcap").unlink()
    with pytest.raises(BagError, match="Cannot read"):
        bag.read(places.refs[0])
