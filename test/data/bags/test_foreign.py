"""Bags that other tools wrote, sqlite3 and MCAP, through the interface of our own."""

from __future__ import annotations

import multiprocessing
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rosbags.interfaces import Qos as RosbagsQos
from rosbags.interfaces import QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from vla_mbpo_ros.data.bags import BagReader
from vla_mbpo_ros.data.bags.bag import Bag
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.bags.foreign import ForeignBag, open_bag
from vla_mbpo_ros.data.bags.qos import read_qos
from vla_mbpo_ros.errors import BagError, UnknownName

STATE, INFO, TEXT = "sensor_msgs/msg/JointState", "vla_mbpo_ros/msg/FrameInfo", "std_msgs/msg/String"
TYPES = {"/joint_states": STATE, "/head/color/frame_info": INFO, "/instruction": TEXT}
NEVER = QosTime(2**63 // 10**9, (2**63 - 1) % 10**9)
LATCHED = RosbagsQos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    NEVER,
    NEVER,
    QosLiveliness.AUTOMATIC,
    NEVER,
    False,
)
Row = tuple[str, int, bytes]  # topic, log time [ns], CDR
Kind = tuple[StoragePlugin, CompressionMode]
KINDS: dict[str, Kind] = {
    "sqlite3": (StoragePlugin.SQLITE3, CompressionMode.NONE),
    "sqlite3, messages compressed": (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    "sqlite3, file compressed": (StoragePlugin.SQLITE3, CompressionMode.FILE),
    "mcap": (StoragePlugin.MCAP, CompressionMode.NONE),
    "mcap, chunks compressed": (StoragePlugin.MCAP, CompressionMode.STORAGE),
    "mcap, messages compressed": (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    "mcap, file compressed": (StoragePlugin.MCAP, CompressionMode.FILE),
}


def write_foreign(path: Path, rows: list[Row], kind: str = "sqlite3", types: dict[str, str] | None = None) -> Path:
    plugin, mode = KINDS[kind]
    writer = Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    writer.set_custom_data("instruction", "put the cube into the bowl")
    with writer:
        connections = {}
        for name, type_name in (types or TYPES).items():
            known = load_definition(TYPES[name])
            latched = (LATCHED,) if name == "/instruction" else ()
            connections[name] = writer.add_connection(
                name, type_name, msgdef=known.text, rihs01=known.hash, offered_qos_profiles=latched
            )
        for topic, log_ns, data in rows:
            writer.write(connections[topic], log_ns, data)
    return path


@pytest.fixture(params=KINDS)
def foreign(request: pytest.FixtureRequest, tmp_path: Path, rows: list[Row]) -> Bag:
    return open_bag(write_foreign(tmp_path / "foreign", rows, request.param))


@pytest.fixture
def same(write_bag: Callable[..., Path], rows: list[Row]) -> BagReader:
    """The same messages in a bag of our own."""
    return BagReader(write_bag(rows))


def test_a_foreign_bag_says_what_our_own_says(foreign: Bag, same: BagReader) -> None:
    def said(bag: Bag) -> list[tuple[Any, ...]]:
        return [(info.name, info.type, info.definition, info.count) for info in bag.topics.values()]

    assert foreign.complete
    assert said(foreign) == said(same)
    assert (foreign.start_ns, foreign.end_ns) == (same.start_ns, same.end_ns)
    assert foreign.custom_data["instruction"] == "put the cube into the bowl"
    assert foreign.size_bytes > 1000
    assert read_qos(foreign.topics["/instruction"].qos_yaml)[0].durability == "transient_local"


def test_messages_of_a_foreign_bag_are_the_same_bytes_in_the_same_order(foreign: Bag, same: BagReader) -> None:
    for topics in (["/joint_states"], ["/instruction", "/head/color/frame_info"]):
        ours = [(message.topic, message.log_ns, message.data) for message in same.messages(topics, 0, 4 * 10**9)]
        theirs = [(message.topic, message.log_ns, message.data) for message in foreign.messages(topics, 0, 4 * 10**9)]
        assert theirs == ours
    assert len(list(foreign.messages())) == 151
    with pytest.raises(UnknownName, match="Did you mean '/joint_states'"):
        foreign.messages(["/joint_state"])


def test_one_message_of_a_foreign_bag_can_be_read_alone(foreign: Bag) -> None:
    for topic in foreign.topics:
        places = foreign.locate(topic)
        assert [foreign.read(ref) for ref in places.refs] == list(foreign.messages([topic]))
    assert foreign.stamps("/joint_states").tolist() == [10**9 + tick * 10**8 for tick in range(100)]
    state = foreign.decode(foreign.read(foreign.locate("/joint_states").refs[7]))
    assert state.position == pytest.approx([0.7, 1.0])


def test_a_foreign_bag_can_be_sent_to_another_process(foreign: Bag) -> None:
    ref = foreign.locate("/joint_states").refs[3]
    there = pickle.loads(pickle.dumps(foreign))
    assert there.decode(there.read(ref)).position == pytest.approx([0.3, 1.0])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(foreign.read, [ref, ref]) == [foreign.read(ref)] * 2


def test_messages_of_one_moment_are_told_apart(tmp_path: Path, cdr: Callable[..., bytes]) -> None:
    rows = [("/instruction", 5, cdr(TEXT, data=text)) for text in ("a", "b", "c")]
    bag = open_bag(write_foreign(tmp_path / "foreign", rows))
    places = bag.locate("/instruction")
    assert [bag.decode(bag.read(ref)).data for ref in places.refs] == ["a", "b", "c"]


def test_mcap_is_read_by_our_own_reader_whoever_wrote_it(tmp_path: Path, rows: list[Row]) -> None:
    for kind in KINDS:
        bag = open_bag(write_foreign(tmp_path / kind, rows, kind))
        assert isinstance(bag, BagReader) == (kind in ("mcap", "mcap, chunks compressed"))


def without_definitions(path: Path) -> Path:
    """As recorders before Iron wrote them."""
    with sqlite3.connect(path / f"{path.name}.db3") as database:
        database.execute("DELETE FROM message_definitions")
    return path


def test_types_without_definitions_are_read_with_the_installed_ones(
    tmp_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = open_bag(without_definitions(write_foreign(tmp_path / "foreign", rows)))
    assert bag.decode(next(bag.messages(["/head/color/frame_info"]))).frame_number == 0
    assert bag.decode(next(bag.messages(["/joint_states"]))).name == ["a", "b"]


def test_types_that_are_not_installed_are_those_of_jazzy(tmp_path: Path) -> None:
    odd = "tf2_msgs/msg/TF2Error"
    if is_installed(odd):
        pytest.skip(f"{odd} is installed here")
    rows = [("/instruction", 5, b"\x00\x01\x00\x00" + b"\x04\x00\x00\x00" + b"\x05\x00\x00\x00late\x00")]
    bag = open_bag(without_definitions(write_foreign(tmp_path / "foreign", rows, types={"/instruction": odd})))
    found = bag.decode(next(bag.messages()))
    assert (found.error, found.error_string) == (4, "late")


def is_installed(type_name: str) -> bool:
    try:
        load_definition(type_name)
    except BagError:
        return False
    return True


def test_a_type_that_nobody_knows_is_named_and_the_others_are_read(tmp_path: Path, rows: list[Row]) -> None:
    types = {**TYPES, "/instruction": "odd_msgs/msg/Odd"}
    bag = open_bag(without_definitions(write_foreign(tmp_path / "foreign", rows, types=types)))
    with pytest.raises(BagError, match=r"no definition of odd_msgs/msg/Odd, and it is not installed"):
        bag.decode(next(bag.messages(["/instruction"])))
    assert bag.decode(next(bag.messages(["/joint_states"]))).name == ["a", "b"]


def test_a_single_file_is_read_alone(tmp_path: Path, rows: list[Row]) -> None:
    path = write_foreign(tmp_path / "foreign", rows)
    assert len(list(open_bag(path / "foreign.db3").messages())) == len(rows)
    (path / "metadata.yaml").unlink()
    bag = open_bag(path)
    assert len(list(bag.messages())) == len(rows)
    assert not bag.complete


def test_what_is_no_bag_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "text.mcap").write_text("hello")
    (tmp_path / "text.db3").write_text("hello" * 1000)
    (tmp_path / "empty.db3").write_bytes(b"")
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    told = {
        "nowhere": "does not exist",
        "photos": "is not a bag",
        "text.mcap": "is not an MCAP file",
        "text.db3": "cannot be read",
        "empty.db3": "cannot be read",
        "old.bag": "is a bag of ROS 1.*rosbags-convert",
    }
    for name, words in told.items():
        with pytest.raises(BagError, match=words):
            open_bag(tmp_path / name)


def test_a_storage_that_nobody_here_knows_is_told(tmp_path: Path, rows: list[Row]) -> None:
    path = write_foreign(tmp_path / "foreign", rows)
    metadata = path / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("storage_identifier: sqlite3", "storage_identifier: rocket"))
    with pytest.raises(BagError, match=r"'rocket' not supported.*ros2 bag convert"):
        open_bag(path)


def test_a_data_base_that_was_cut_off_is_an_error(tmp_path: Path, rows: list[Row]) -> None:
    file = write_foreign(tmp_path / "foreign", rows) / "foreign.db3"
    data = file.read_bytes()
    for share in (0.1, 0.5, 0.9):
        file.write_bytes(data[: int(share * len(data))])
        with pytest.raises(BagError, match="cannot be read"):
            list(open_bag(tmp_path / "foreign").messages())


def test_a_missing_data_base_is_named(tmp_path: Path, rows: list[Row]) -> None:
    path = write_foreign(tmp_path / "foreign", rows)
    (path / "foreign.db3").unlink()
    with pytest.raises(BagError, match=r"foreign.db3"):
        open_bag(path)


def test_the_class_for_foreign_bags_reads_mcap_too(tmp_path: Path, rows: list[Row], same: BagReader) -> None:
    bag = ForeignBag(write_foreign(tmp_path / "foreign", rows, "mcap"))
    assert [message.data for message in bag.messages()] == [message.data for message in same.messages()]
