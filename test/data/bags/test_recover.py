"""A bag that was not closed becomes whole; a whole one is not touched; nothing readable is thrown away."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from vla_mbpo_ros.data.bags import BagReader, BagWriter, Qos, recover, salvage, update_custom_data
from vla_mbpo_ros.data.bags.sink import RESERVE_FILE
from vla_mbpo_ros.errors import BagError

Row = tuple[str, int, bytes]  # topic, log time [ns], CDR
FACTS = {"instruction": "put it away", "outcome": "unknown"}


@pytest.fixture
def killed(start_bag: Callable[..., BagWriter], rows: list[Row], tmp_path: Path) -> Path:
    """A copy of a bag that is being written, as a killed recorder leaves it."""
    bag = start_bag(tmp_path / "live", chunk_bytes=2048, custom_data=FACTS)
    for topic, log_ns, data in rows:
        bag.write(topic, data, log_ns)
    bag._file.flush()
    shutil.copytree(bag.path, tmp_path / "killed")
    bag.close()
    (tmp_path / "killed" / "live_0.mcap").rename(tmp_path / "killed" / "killed_0.mcap")
    return tmp_path / "killed"


def test_a_killed_bag_keeps_its_messages_and_its_facts(killed: Path, rows: list[Row]) -> None:
    done = recover(killed)
    assert (done.was_whole, done.files, done.messages) == (False, ("killed_0.mcap",), len(rows))
    assert done.custom_data == FACTS == BagReader(killed).custom_data
    assert done.duration_s == pytest.approx(9.9)
    assert "is readable again: 151 messages, 9.9 s." in done.sentence
    assert {file.name for file in killed.iterdir()} == {"killed_0.mcap", "metadata.yaml"}
    assert _read(killed) == rows
    with AnyReader([killed]) as reader:
        assert sum(1 for _ in reader.messages()) == len(rows) == reader.message_count
    assert recover(killed).was_whole


def test_a_recovered_bag_equals_a_closed_one(
    start_bag: Callable[..., BagWriter], rows: list[Row], killed: Path, tmp_path: Path
) -> None:
    recover(killed)
    closed, mended = (BagReader(path) for path in (tmp_path / "live", killed))
    assert closed.topics == mended.topics
    texts = [(path / "metadata.yaml").read_text() for path in (tmp_path / "live", killed)]
    assert texts[0].replace("live_0", "killed_0") == texts[1]


def test_publishers_qos_survives(tmp_path: Path, cdr: Callable[..., bytes]) -> None:
    bag = BagWriter(tmp_path / "bag")
    bag.add_topic("/text", "std_msgs/msg/String", [Qos(depth=3, durability="transient_local")])
    bag.close()
    before = (bag.path / "metadata.yaml").read_text()
    (bag.path / "metadata.yaml").unlink()
    assert not recover(bag.path).was_whole
    assert (bag.path / "metadata.yaml").read_text() == before


def test_a_whole_bag_is_not_touched(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, custom=FACTS)
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.iterdir()}
    assert recover(path).was_whole
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.iterdir()} == before


def test_a_dry_run_changes_nothing_and_tells_the_same(killed: Path) -> None:
    before = {file: file.read_bytes() for file in killed.iterdir()}
    dry = recover(killed, dry_run=True)
    assert {file: file.read_bytes() for file in killed.iterdir()} == before
    done = recover(killed)
    assert (dry.messages, dry.files, dry.dropped_bytes) == (done.messages, done.files, done.dropped_bytes)
    assert "would be readable again" in dry.sentence


def test_half_an_index_is_made_again_and_not_kept(killed: Path, rows: list[Row]) -> None:
    file = killed / "killed_0.mcap"
    file.write_bytes(file.read_bytes()[:-5])  # the last chunk is whole, the last of its two indexes is not
    done = recover(killed)
    assert (done.saved, done.messages) == ((), len(rows))
    assert _read(killed) == rows


def test_every_cut_becomes_whole(killed: Path, rows: list[Row], tmp_path: Path) -> None:
    whole, bag = (killed / "killed_0.mcap").read_bytes(), tmp_path / "bag"

    @settings(max_examples=40, deadline=None)
    @given(length=st.integers(min_value=0, max_value=len(whole)), zeros=st.sampled_from((0, 1, 5000)))
    def check(length: int, zeros: int) -> None:
        shutil.rmtree(bag, ignore_errors=True)
        bag.mkdir()
        (bag / "bag_0.mcap").write_bytes(whole[:length] + bytes(zeros))
        done = recover(bag)
        assert not done.was_whole
        assert zeros or not done.saved  # half a record holds nothing; one that zeros have filled up may
        assert _read(bag) == rows[: done.messages]
        assert recover(bag).was_whole
        with (bag / "bag_0.mcap").open("rb") as stream:
            assert sum(1 for _ in make_reader(stream, validate_crcs=True).iter_messages()) == done.messages

    check()


def test_what_is_behind_damage_is_saved(killed: Path, rows: list[Row]) -> None:
    file = killed / "killed_0.mcap"
    content, chunks = bytearray(file.read_bytes()), salvage.scan(file).chunks
    middle = chunks[len(chunks) // 2]
    content[middle.chunk_start_offset + middle.chunk_length // 2] ^= 0xFF
    file.write_bytes(content)
    done = recover(killed)
    assert 0 < done.messages < len(rows)
    assert _read(killed) == rows[: done.messages]
    assert done.saved == ("killed_0.mcap.cut",)
    assert "saved as killed_0.mcap.cut" in done.sentence
    assert (killed / "killed_0.mcap.cut").read_bytes() == content[middle.chunk_start_offset :]
    assert recover(killed).was_whole


def test_a_damaged_summary_is_made_again(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, chunk_bytes=2048)
    content = bytearray((path / "bag_0.mcap").read_bytes())
    content[-200] ^= 0xFF
    (path / "bag_0.mcap").write_bytes(content)
    assert recover(path).files == ("bag_0.mcap",)
    assert _read(path) == sorted(rows, key=lambda row: row[1])


@pytest.mark.parametrize("left", [0, 5, 20, 3000])
def test_only_the_last_file_of_a_split_bag_is_mended(
    write_bag: Callable[..., Path], rows: list[Row], left: int
) -> None:
    path = write_bag(rows, chunk_bytes=1024, split_s=2.5, custom_data=FACTS)
    (path / "metadata.yaml").unlink()
    (path / RESERVE_FILE).write_bytes(bytes(100))
    first = [(path / f"bag_{number}.mcap") for number in range(3)]
    before = [file.read_bytes() for file in first]
    last = path / "bag_3.mcap"
    last.write_bytes(last.read_bytes()[:left])
    done = recover(path)
    assert [file.read_bytes() for file in first] == before
    assert (done.files, done.custom_data) == (("bag_3.mcap",), FACTS)
    assert len(_read(path)) == done.messages >= 100
    assert {file.name for file in path.iterdir()} == {*(f"bag_{number}.mcap" for number in range(4)), "metadata.yaml"}
    with AnyReader([path]) as reader:
        assert sum(1 for _ in reader.messages()) == done.messages


def test_files_are_put_in_the_order_of_time(
    start_bag: Callable[..., BagWriter], tmp_path: Path, rows: list[Row]
) -> None:
    """…_10 comes after …_9, not after …_1."""
    with start_bag(tmp_path / "bag", split_s=0.8) as bag:
        for topic, log_ns, data in rows:
            bag.write(topic, data, log_ns)
    names = [file.name for file in bag.files]
    assert len(names) > 11
    (bag.path / "metadata.yaml").unlink()
    recover(bag.path)
    assert [message.log_ns for message in BagReader(bag.path).messages()] == sorted(row[1] for row in rows)
    text = (bag.path / "metadata.yaml").read_text()
    assert [text.index(f"path: {name}") for name in names] == sorted(text.index(f"path: {name}") for name in names)


def test_a_label_outlives_the_repair(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, custom=FACTS)
    update_custom_data(path, {"outcome": "success"})
    file = path / "bag_0.mcap"
    file.write_bytes(file.read_bytes()[:-20])
    assert recover(path).custom_data == {**FACTS, "outcome": "success"}


def test_broken_metadata_is_set_aside(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, custom=FACTS)
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: [")
    assert recover(path).custom_data == FACTS  # the file itself carries them
    assert (path / "metadata.yaml.cut").read_text().startswith("rosbag2_bagfile_information")


def test_a_bag_that_is_being_recorded_is_left_alone(start_bag: Callable[..., BagWriter], tmp_path: Path) -> None:
    with start_bag(tmp_path / "bag"), pytest.raises(BagError, match="is being recorded now"):
        recover(tmp_path / "bag")


def test_what_is_no_bag_is_refused_and_left_alone(
    write_bag: Callable[..., Path], rows: list[Row], tmp_path: Path
) -> None:
    with pytest.raises(BagError, match="does not exist"):
        recover(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BagError, match=r"has no \.mcap file"):
        recover(tmp_path / "folder")
    (tmp_path / "folder" / "old.db3").write_bytes(b"SQLite format 3")
    with pytest.raises(BagError, match=r"sqlite3 bag.*ros2 bag reindex"):
        recover(tmp_path / "folder")
    path = write_bag(rows)
    (path / "bag_1.mcap").write_bytes(b"\xff\xd8" * 100)
    before = {file: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(BagError, match="is not an MCAP file"):
        recover(path)
    assert {file: file.read_bytes() for file in path.iterdir()} == before


def test_a_file_that_is_missing_is_named(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, chunk_bytes=1024, split_s=2.5)
    (path / "bag_1.mcap").unlink()
    with pytest.raises(BagError, match=r"lacks bag_1\.mcap"):
        recover(path)


def test_a_single_file_is_repaired_where_it_lies(killed: Path, rows: list[Row], tmp_path: Path) -> None:
    file = tmp_path / "alone.mcap"
    shutil.copy(killed / "killed_0.mcap", file)
    assert recover(file).messages == len(rows)
    assert recover(file).was_whole
    assert _read(file) == rows


def test_a_full_disk_is_told_and_the_bag_can_be_recovered_later(
    killed: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("vla_mbpo_ros.data.bags.salvage.append_summary", full)
        with pytest.raises(BagError, match="No space left on device"):
            recover(killed)
    assert recover(killed).messages == len(rows)


def _read(path: Path) -> list[Row]:
    return [(message.topic, message.log_ns, message.data) for message in BagReader(path).messages()]
