"""An episode read back from its bag is the episode that was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from vla_mbpo_ros.data.bags import BagWriter
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.evaluation.contact_sheet import draw_contact_sheet
from vla_mbpo_ros.evaluation.episode import read_episode
from vla_mbpo_ros.evaluation.episode_report import report_episode, summary_rows

MakeBag = Callable[..., Path]


def test_joints_and_commands_come_back_on_their_own_times(bag: MakeBag) -> None:
    record = read_episode(bag())
    assert record.measured.times_s == pytest.approx(np.arange(20) / 10.0)
    assert record.measured.values[:, 0] == pytest.approx(0.1 * np.arange(20) + record.robot.home[0])
    assert np.array_equal(record.measured.values, record.executed.values)
    assert record.held.tolist() == [True] * 5 + [False] * 15
    assert record.chunk_times_s == pytest.approx([0.5, 1.3])


def test_steps_are_the_largest_that_were_reported(bag: MakeBag) -> None:
    record = read_episode(bag())
    assert record.largest_step == pytest.approx(0.19)
    assert record.seam_step == pytest.approx(0.02)


def test_pictures_are_evenly_spaced_from_the_first_to_the_last(bag: MakeBag) -> None:
    record = read_episode(bag(), moments=3)
    assert [picture.time_s for picture in record.pictures["head"]] == pytest.approx([0.0, 1.0, 1.9])
    assert [int(picture.image[0, 0, 0]) for picture in record.pictures["head"]] == [0, 10, 19]
    assert record.pictures["left_wrist"] == ()
    assert record.frames == {"head": 20, "left_wrist": 0, "right_wrist": 0}


def test_the_contact_sheet_shows_what_the_camera_saw(bag: MakeBag, tmp_path: Path) -> None:
    record = read_episode(bag(instruction="turn", outcome="success", success_time_s=1.5))
    page = matplotlib.image.imread(draw_contact_sheet(record, tmp_path / "out" / "page.png"))
    assert page.shape[1] == 1950
    shades = {int(picture.image[0, 0, 0]) for picture in record.pictures["head"]}
    seen = {round(value * 255) for value in np.unique(page[..., 0])}
    assert shades <= seen


def test_an_episode_without_any_picture_or_motion_can_be_drawn(tmp_path: Path, bag: MakeBag) -> None:
    path = bag()
    with BagWriter(tmp_path / "empty") as writer:
        writer.add_topic("/joint_states", "sensor_msgs/msg/JointState")
        writer.close({"robot": "arx_x5"})
    assert draw_contact_sheet(read_episode(tmp_path / "empty"), tmp_path / "empty.png").exists()
    assert path.exists()


def test_a_bag_that_does_not_name_its_robot_is_refused(tmp_path: Path, bag: MakeBag) -> None:
    bag()
    with BagWriter(tmp_path / "foreign") as writer:
        writer.close({})
    with pytest.raises(BagError, match="which robot"):
        read_episode(tmp_path / "foreign")


def test_a_report_names_what_the_contract_misses(bag: MakeBag, tmp_path: Path) -> None:
    cameras = {"head": 10.0, "left_wrist": 10.0, "right_wrist": 10.0}
    report = report_episode(bag(camera_hz=cameras, seed=7), tmp_path)
    assert any("left_wrist/color/image_raw" in problem for problem in report.problems)
    assert report.as_dict()["seed"] == 7
    assert report.picture.exists()
    (row,) = summary_rows([report])
    assert row["commands"] == "20 (5 held)"
    assert row["bag"].endswith("NOT ok")
