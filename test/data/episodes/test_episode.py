"""A bag as rows: what is in them, what is left out, and what is refused."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_mbpo_ros.data.bags import BagWriter
from vla_mbpo_ros.data.bags.encode import Encoder
from vla_mbpo_ros.data.dataset.synthetic import START_NS, pose, target, write_synthetic_bag
from vla_mbpo_ros.data.episodes.episode import NO_FRAME
from vla_mbpo_ros.data.episodes.observations import JOINTS
from vla_mbpo_ros.data.episodes.reader import CHUNKS, COMMANDS, read_episode
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError

HEAD = "head/color/image_raw"
DT_NS = round(1e9 / 15)


def leave_out(topic: str, *rows: int) -> Any:
    return lambda name, row, message: None if name == topic and row in rows else message


def change(topic: str, rows: tuple[int, ...], **fields: Any) -> Any:
    def edit(name: str, row: int, message: Any) -> Any:
        if name == topic and row in rows:
            for key, value in fields.items():
                setattr(message, key, value)
        return message

    return edit


def test_rows_are_the_executed_commands_with_what_was_known_at_them(tmp_path: Path) -> None:
    episode = read_episode(write_synthetic_bag(tmp_path / "bag", rows=20))
    assert (episode.rows, episode.dt_ns, dict(episode.skipped)) == (20, DT_NS, {})
    assert episode.cameras == ("head", "left_wrist", "right_wrist")
    assert np.array_equal(episode.state, [pose(row) for row in range(20)])
    assert np.array_equal(episode.action, [target(row) for row in range(20)])
    assert set(episode.source) == {"policy"}
    assert all(rows.tolist() == list(range(20)) for rows in episode.image_row.values())
    assert [chunk.observed_ns for chunk in episode.chunks] == [episode.times_ns[row] for row in range(0, 20, 4)]
    assert episode.image("head", 3).shape == (24, 32, 3)


def test_a_slow_camera_is_repeated_until_it_is_too_old(tmp_path: Path) -> None:
    edit = leave_out(HEAD, *range(4, 12))
    episode = read_episode(write_synthetic_bag(tmp_path / "bag", rows=16, edit=edit))
    expected = [0, 1, 2, 3, 3, 3, 3, *[NO_FRAME] * 5, 4, 5, 6, 7]
    assert episode.image_row["head"].tolist() == expected
    assert episode.image_row["left_wrist"].tolist() == list(range(16))
    assert episode.skipped == {"rows without a fresh image of head": 5, "chunks whose observation is not in the bag": 2}
    with pytest.raises(IndexError, match=r"row 8 .* no fresh image of 'head'"):
        episode.image("head", 8)


def test_a_row_without_a_fresh_joint_state_is_left_out_and_shows_as_a_gap(tmp_path: Path) -> None:
    edit = leave_out(JOINTS, *range(5, 10))
    episode = read_episode(write_synthetic_bag(tmp_path / "bag", rows=20, edit=edit))
    assert episode.skipped["rows without a fresh joint state"] == 2
    assert np.flatnonzero(np.diff(episode.times_ns) > 1.5 * DT_NS).tolist() == [7]


def test_a_missing_command_leaves_a_visible_gap(tmp_path: Path) -> None:
    episode = read_episode(write_synthetic_bag(tmp_path / "bag", rows=10, edit=leave_out(COMMANDS, 4, 5)))
    assert episode.rows == 8
    assert np.diff(episode.times_ns).max() > 2.9 * DT_NS


def test_what_goes_back_in_time_is_left_out_and_counted(tmp_path: Path) -> None:
    def edit(topic: str, row: int, message: Any) -> Any:
        if row == 6 and topic in (COMMANDS, JOINTS, HEAD):
            message.header.stamp.sec, message.header.stamp.nanosec = 0, 7
        return message

    episode = read_episode(write_synthetic_bag(tmp_path / "bag", rows=12, edit=edit))
    assert (np.diff(episode.times_ns) > 0).all()
    names = [f"messages of /{topic} that are not newer than the one before" for topic in (JOINTS, COMMANDS, HEAD)]
    assert {name: episode.skipped[name] for name in names} == dict.fromkeys(names, 1)


def test_one_bad_image_costs_the_rows_that_would_show_it_and_nothing_else(tmp_path: Path) -> None:
    edit = change(HEAD, (5,), encoding="nonsense")
    episode = read_episode(write_synthetic_bag(tmp_path / "bag", rows=12, edit=edit))
    assert episode.image_row["head"].tolist() == [0, 1, 2, 3, 4, NO_FRAME, 6, 7, 8, 9, 10, 11]
    assert episode.skipped[f"messages of /{HEAD} that cannot be used"] == 1
    assert episode.skipped["rows whose image of head cannot be decoded"] == 1
    assert episode.image("head", 6).shape == (24, 32, 3)


def test_damaged_bytes_of_one_message_are_a_counted_skip(tmp_path: Path) -> None:
    cut = {JOINTS: 3, COMMANDS: 4, HEAD: 5, CHUNKS: 8}

    def edit(topic: str, row: int, message: Any) -> Any:
        if cut.get(topic) != row:
            return message
        stamp = message.header.stamp  # all that is left of it
        return b"\x00\x01\x00\x00" + struct.pack("<iI", stamp.sec, stamp.nanosec)

    episode = read_episode(write_synthetic_bag(tmp_path / "bag", rows=12, edit=edit))
    for topic in cut:
        assert episode.skipped[f"messages of /{topic} that cannot be used"] == 1
    assert len(episode.chunks) == 2


@pytest.mark.parametrize(
    ("topic", "fields"),
    [(JOINTS, {"position": np.full(14, math.nan)}), (COMMANDS, {"values": np.full(14, math.inf)})],
)
def test_numbers_that_are_not_finite_never_reach_a_row(tmp_path: Path, topic: str, fields: dict[str, Any]) -> None:
    episode = read_episode(write_synthetic_bag(tmp_path / "bag", rows=12, edit=change(topic, (7,), **fields)))
    assert np.isfinite(episode.state).all()
    assert np.isfinite(episode.action).all()
    assert episode.skipped[f"messages of /{topic} that cannot be used"] == 1


def test_a_chunk_whose_frame_was_not_recorded_has_nothing_seen(tmp_path: Path) -> None:
    episode = read_episode(write_synthetic_bag(tmp_path / "bag", rows=12, edit=leave_out(HEAD, 4)))
    assert [seen is None for seen in episode.seen] == [False, True, False]
    assert episode.skipped["chunks whose observation is not in the bag"] == 1


def test_the_moment_of_success_is_in_the_graphs_time(tmp_path: Path) -> None:
    said = read_episode(write_synthetic_bag(tmp_path / "a", outcome="success", success_time_s=1.2))
    assert said.success_ns == START_NS + 1_200_000_000
    silent = read_episode(write_synthetic_bag(tmp_path / "b", outcome="success"))
    assert silent.success_ns == silent.times_ns[-1]
    failed = read_episode(write_synthetic_bag(tmp_path / "c", outcome="failure", success_time_s=1.2))
    assert failed.success_ns is None


def test_a_robot_without_a_description_brings_its_own_columns(tmp_path: Path) -> None:
    names = [
        f"{side}_{part}" for side in ("left", "right") for part in (*(f"joint{i}" for i in range(1, 7)), "gripper")
    ]
    shuffled = list(reversed(names))
    path = write_synthetic_bag(
        tmp_path / "bag", rows=8, replan=100, robot="so100", state_names=shuffled, action_names=names
    )
    episode = read_episode(path)
    assert (episode.state_names, episode.action_names) == (tuple(shuffled), tuple(names))
    assert np.array_equal(episode.state[0], pose(0)[::-1])
    assert np.array_equal(episode.action[0], target(0))


# -- what makes a bag useless ------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", [JOINTS, COMMANDS])
def test_a_topic_without_any_message_is_named(tmp_path: Path, topic: str) -> None:
    with pytest.raises(BagError, match=f"no usable message on /{topic}: there is none"):
        read_episode(write_synthetic_bag(tmp_path / "bag", rows=8, edit=leave_out(topic, *range(8))))


def test_a_camera_of_a_wrong_encoding_is_named(tmp_path: Path) -> None:
    edit = change(HEAD, tuple(range(8)), encoding="bayer_rggb8")
    with pytest.raises(BagError, match=f"/{HEAD}: The image encoding 'bayer_rggb8' is not known"):
        read_episode(write_synthetic_bag(tmp_path / "bag", rows=8, edit=edit))


def test_a_robot_that_nobody_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"robot 'so100', which has no description here"):
        read_episode(write_synthetic_bag(tmp_path / "bag", rows=4, robot="so100"))
    with pytest.raises(BagError, match="does not say which robot"):
        read_episode(write_synthetic_bag(tmp_path / "other", rows=4, robot=""))


@pytest.mark.parametrize(
    ("topics", "cause"),
    [
        ({}, "has no topic /joint_states"),
        ({JOINTS: "std_msgs/msg/String"}, "/joint_states of .* is a std_msgs/msg/String, not a sensor_msgs"),
        (
            {JOINTS: "sensor_msgs/msg/JointState", COMMANDS: "vla_mbpo_ros/msg/JointCommand"},
            f"has no topic /{HEAD}",
        ),
    ],
)
def test_a_missing_topic_or_another_type_is_named(tmp_path: Path, topics: dict[str, str], cause: str) -> None:
    facts = EpisodeFacts(robot="arx_x5", control_hz=15.0, camera_hz={"head": 15.0})
    with BagWriter(tmp_path / "bag") as bag:
        for topic, kind in topics.items():
            bag.add_topic(f"/{topic}", kind)
            bag.write(f"/{topic}", Encoder(kind)(Encoder(kind).new()), START_NS)
        bag.close(facts.to_custom_data())
    with pytest.raises(BagError, match=cause):
        read_episode(tmp_path / "bag")


def test_bits_that_flipped_in_a_file_are_not_read_as_an_episode(tmp_path: Path) -> None:
    path = write_synthetic_bag(tmp_path / "bag", rows=8)
    (file,) = path.glob("*.mcap")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(BagError, match="damaged"):
        read_episode(path)
