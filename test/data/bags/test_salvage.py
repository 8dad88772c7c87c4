"""A file may end anywhere: every cut is read up to its last whole chunk, once mended by every reader."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from vla_mbpo_ros.data.bags import BagReader, salvage
from vla_mbpo_ros.errors import BagError

Row = tuple[str, int, bytes]  # topic, log time [ns], CDR


@pytest.fixture
def whole(write_bag: Callable[..., Path], rows: list[Row]) -> bytes:
    return (write_bag(rows, chunk_bytes=2048, compression="lz4") / "bag_0.mcap").read_bytes()


def test_every_cut_gives_a_prefix_of_what_was_written(whole: bytes, rows: list[Row], tmp_path: Path) -> None:
    file = tmp_path / "cut.mcap"

    @settings(max_examples=40, deadline=None)
    @given(st.integers(min_value=60, max_value=len(whole) - 1))
    def check(length: int) -> None:
        file.write_bytes(whole[:length])
        before = [(m.topic, m.log_ns, m.data) for m in BagReader(file).messages()]
        assert before == rows[: len(before)]
        assert not BagReader(file).complete
        salvage.append_summary(file, salvage.scan(file))
        assert BagReader(file).complete
        with file.open("rb") as stream:
            assert sum(1 for _ in make_reader(stream, validate_crcs=True).iter_messages()) == len(before)
        with Reader(file) as reader:
            assert sum(1 for _ in reader.messages()) == len(before) == reader.message_count

    check()


def test_a_mended_file_equals_the_whole_one(whole: bytes, rows: list[Row], tmp_path: Path) -> None:
    file = tmp_path / "cut.mcap"
    file.write_bytes(whole[:-20])  # the footer is gone, all messages are there
    salvage.append_summary(file, salvage.scan(file))
    assert [(m.topic, m.log_ns, m.data) for m in BagReader(file).messages()] == rows


def test_nothing_behind_a_damaged_chunk_is_trusted(whole: bytes, rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "damaged.mcap"
    path.write_bytes(whole[:-20])
    chunks = salvage.scan(path).chunks
    middle = chunks[len(chunks) // 2]
    damaged = bytearray(whole[:-20])
    damaged[middle.chunk_start_offset + middle.chunk_length // 2] ^= 0xFF
    path.write_bytes(damaged)
    found = [(m.topic, m.log_ns, m.data) for m in BagReader(path).messages()]
    assert 0 < len(found) < len(rows)
    assert found == rows[: len(found)]


def test_a_damaged_chunk_of_a_closed_bag_is_an_error_not_a_gap(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows, chunk_bytes=2048)
    file = path / "bag_0.mcap"
    content, second = bytearray(file.read_bytes()), salvage.scan(file).chunks[1]
    content[second.chunk_start_offset + second.chunk_length // 2] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(BagError, match="is damaged at byte"):
        list(BagReader(path).messages())


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.mcap").write_bytes(b"\xff\xd8" * 100)
    with pytest.raises(BagError, match="is not an MCAP file"):
        BagReader(tmp_path / "photo.mcap")


def test_a_bag_without_metadata_is_read_from_its_file(write_bag: Callable[..., Path], rows: list[Row]) -> None:
    path = write_bag(rows)
    (path / "metadata.yaml").unlink()
    bag = BagReader(path)
    assert not bag.complete
    assert sum(1 for _ in bag.messages()) == len(rows)
    shutil.rmtree(path)
    with pytest.raises(BagError, match="does not exist"):
        BagReader(path)
