"""rosbag2_py behind our interface. It comes with a ROS install only: elsewhere its absence is what can be tested."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from vla_mbpo_ros.data.bags import BagReader, BagWriter, Qos, open_writer
from vla_mbpo_ros.errors import BagError, MissingDependency, UnknownName

TEXT = "std_msgs/msg/String"
HERE = find_spec("rosbag2_py") is not None
FOREVER = Qos(depth=3, durability="transient_local")


@pytest.mark.skipif(HERE, reason="rosbag2_py is installed")
def test_its_absence_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match="is rosbag2_py, which is not installed") as error:
        open_writer("rosbag2_py", tmp_path / "bag")
    assert "set recorder.writer to mcap" in error.value.cure
    assert not (tmp_path / "bag").exists()


def test_the_writer_is_chosen_by_name(tmp_path: Path) -> None:
    with open_writer("mcap", tmp_path / "bag", split_s=1.0) as bag:
        assert isinstance(bag, BagWriter)
    with pytest.raises(UnknownName, match="Did you mean 'rosbag2_py'"):
        open_writer("rosbag2", tmp_path / "other")


@pytest.mark.skipif(not HERE, reason="rosbag2_py is not installed: it comes with a ROS install only")
def test_what_it_writes_is_what_we_read(tmp_path: Path) -> None:
    bag = open_writer("rosbag2_py", tmp_path / "bag", custom_data={"instruction": "go"})
    bag.add_topic("/text", TEXT, [FOREVER], latched=True)
    for tick in range(10):
        bag.write("/text", b"\0\1\0\0\2\0\0\0a\0", tick + 1, tick)
    metadata = bag.close({"instruction": "go", "outcome": "success"})
    assert (metadata.count, bag.counts) == (10, {"/text": 10})
    read = BagReader(tmp_path / "bag")
    assert [(m.log_ns, m.data) for m in read.messages()] == [(t + 1, b"\0\1\0\0\2\0\0\0a\0") for t in range(10)]
    assert read.custom_data == {"instruction": "go", "outcome": "success"}
    assert read.topics["/text"].hash.startswith("RIHS01_")
    assert "transient_local" in read.topics["/text"].qos_yaml
    with pytest.raises(BagError, match="it is closed"):
        bag.write("/text", b"", 1)
