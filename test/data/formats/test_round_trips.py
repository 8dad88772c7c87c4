"""Out and back again: what a format promises to keep is the same afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_episodes import HZ, START_NS, MadeFrames, make_episode, psnr

from vla_mbpo_ros.data.bags import check_bag
from vla_mbpo_ros.data.episodes.episode import Episode
from vla_mbpo_ros.data.episodes.reader import read_episode
from vla_mbpo_ros.data.formats.bag_out import write_episode
from vla_mbpo_ros.data.formats.exporting import Choice
from vla_mbpo_ros.data.formats.hdf5.read import Hdf5Source
from vla_mbpo_ros.data.formats.lerobot.read import LeRobotSource

Run = Callable[..., Any]


def back(report: Any) -> list[Episode]:
    assert report.skipped == []
    return [read_episode(Path(item.target)) for item in report.moved]


def assert_same_pictures(one: Episode, other: Episode, least_db: float) -> None:
    assert one.cameras == other.cameras
    for camera in one.cameras:
        for row in range(one.rows):
            assert psnr(one.image(camera, row), other.image(camera, row)) >= least_db, (camera, row)


def test_an_episode_comes_back_from_its_bag(tmp_path: Path) -> None:
    episode = make_episode()
    again = read_episode(write_episode(episode, tmp_path, "one"))
    np.testing.assert_array_equal(again.times_ns, episode.times_ns)
    np.testing.assert_array_equal(again.state, episode.state)
    np.testing.assert_array_equal(again.action, episode.action)
    assert again.source == episode.source
    assert again.success_ns == episode.success_ns
    assert again.skipped == {}
    assert_same_pictures(episode, again, float("inf"))


def test_pictures_differ_more_from_one_another_than_a_codec_may_change_them() -> None:
    pictures = [make_episode().image(camera, row) for camera in ("head", "left_wrist") for row in range(12)]
    for index, one in enumerate(pictures):
        assert max(psnr(one, other) for other in pictures[:index] + pictures[index + 1 :]) < 28.0


def test_the_check_of_bags_is_content_with_an_imported_one(tmp_path: Path) -> None:
    report = check_bag(write_episode(make_episode(), tmp_path, "one"))
    assert report.ok, report


@pytest.mark.parametrize(("codec", "least_db"), [("h264", 34.0), ("av1", 34.0), ("png", float("inf"))])
def test_lerobot_and_back(export_to: Run, import_from: Run, tmp_path: Path, codec: str, least_db: float) -> None:
    episodes = [make_episode(rows=12 + seed, seed=seed) for seed in range(3)]
    assert export_to("lerobot", episodes, codec=codec).skipped == []
    again = back(import_from(LeRobotSource(tmp_path / "out")))
    for episode, read in zip(episodes, again, strict=True):
        np.testing.assert_array_equal(read.times_ns - read.times_ns[0], episode.times_ns - START_NS)
        np.testing.assert_array_equal(read.state, episode.state.astype(np.float32))
        np.testing.assert_array_equal(read.action, episode.action.astype(np.float32))
        assert read.source == episode.source
        assert read.state_names == episode.state_names
        assert episode.success_ns is not None
        assert read.success_ns == read.times_ns[0] + episode.success_ns - START_NS
        for name in ("instruction", "outcome", "policy_version", "note", "robot", "robot_id"):
            assert getattr(read.facts, name) == getattr(episode.facts, name), name
        assert_same_pictures(episode, read, least_db)
    assert again[1].facts.origin == "lerobot v3.0, out, episode 1"
    assert check_bag(again[0].path).ok


def test_hdf5_and_back_is_exact(export_to: Run, import_from: Run, tmp_path: Path) -> None:
    episodes = [make_episode(seed=seed) for seed in range(2)]
    episodes[1] = replace(episodes[1], facts=replace(episodes[1].facts, instruction="close the drawer"))
    assert export_to("hdf5", episodes).skipped == []
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "close_the_drawer_demo.hdf5",
        "put_the_cube_into_the_bowl_demo.hdf5",
    ]
    again = back(import_from(Hdf5Source(tmp_path / "out")))
    for episode, read in zip(reversed(episodes), again, strict=True):
        assert_equal(episode, read)


def assert_equal(episode: Episode, read: Episode) -> None:
    np.testing.assert_array_equal(read.times_ns, episode.times_ns)
    np.testing.assert_array_equal(read.state, episode.state)
    np.testing.assert_array_equal(read.action, episode.action)
    assert (read.source, read.success_ns) == (episode.source, episode.success_ns)
    assert (read.facts.instruction, read.facts.outcome) == (episode.facts.instruction, episode.facts.outcome)
    assert_same_pictures(episode, read, float("inf"))


@pytest.mark.parametrize("convention", ["opencv", "opengl"])
def test_images_are_upright_again_whatever_the_file_holds(
    export_to: Run, import_from: Run, tmp_path: Path, convention: str
) -> None:
    import h5py

    episode = make_episode()
    export_to("hdf5", [episode], convention=convention)
    with h5py.File(tmp_path / "out/put_the_cube_into_the_bowl_demo.hdf5") as file:
        stored = file["data/demo_0/obs/head_rgb"][0]
    turned = stored[::-1] if convention == "opengl" else stored
    np.testing.assert_array_equal(turned, episode.image("head", 0))
    (read,) = back(import_from(Hdf5Source(tmp_path / "out")))
    assert_same_pictures(episode, read, float("inf"))


def test_a_camera_slower_than_the_control_loop_keeps_its_frames_through_hdf5(
    export_to: Run, import_from: Run, tmp_path: Path
) -> None:
    episode = make_episode(rows=12)
    slow = MadeFrames(0, episode.times_ns[::2] - 4_000_000)
    episode = replace(
        episode,
        frames={**episode.frames, "head": slow},
        image_row={**episode.image_row, "head": np.arange(12) // 2},
    )
    export_to("hdf5", [episode])
    (read,) = back(import_from(Hdf5Source(tmp_path / "out")))
    np.testing.assert_array_equal(read.frames["head"].stamps_ns, slow.stamps_ns)
    np.testing.assert_array_equal(read.image_row["head"], episode.image_row["head"])
    assert_equal(episode, read)


def test_cameras_get_the_names_that_are_asked_for_and_their_own_again(
    export_to: Run, import_from: Run, tmp_path: Path
) -> None:
    names = {"head": "agentview", "left_wrist": "eye_in_hand"}
    export_to("hdf5", [make_episode()], choice=Choice(cameras=names))
    (read,) = back(import_from(Hdf5Source(tmp_path / "out", cameras=names)))
    assert read.cameras == ("head", "left_wrist")
    assert check_bag(read.path).ok


def test_the_twin_of_a_robot_stays_a_twin(export_to: Run, import_from: Run, tmp_path: Path) -> None:
    episode = make_episode()
    episode = replace(episode, facts=replace(episode.facts, simulated=True, robot_id="arx_x5-sim", seed=7))
    export_to("lerobot", [episode], codec="png")
    (read,) = back(import_from(LeRobotSource(tmp_path / "out")))
    assert (read.facts.simulated, read.facts.robot_id, read.facts.seed) == (True, "arx_x5-sim", 7)
    assert check_bag(read.path).ok


def test_an_unknown_robot_keeps_the_names_of_its_columns(export_to: Run, import_from: Run, tmp_path: Path) -> None:
    episode = make_episode(rows=6)
    facts = replace(episode.facts, robot="widow", robot_id="w", state_names=["x", "y"], action_names=["dx"])
    episode = replace(
        episode,
        facts=facts,
        state_names=("x", "y"),
        action_names=("dx",),
        state=episode.state[:, :2],
        action=episode.action[:, :1],
        frames={"scene": episode.frames["head"]},
        image_row={"scene": episode.image_row["head"]},
    )
    for name, source in (("lerobot", LeRobotSource), ("hdf5", Hdf5Source)):
        export_to(name, [episode], target=name)
        (read,) = back(import_from(source(tmp_path / name), target=f"bags_{name}"))
        assert (read.state_names, read.action_names, read.cameras) == (("x", "y"), ("dx",), ("scene",))
        assert (read.facts.robot, read.facts.instruction) == ("widow", episode.facts.instruction)
        np.testing.assert_array_equal(read.action, episode.action.astype(np.float32 if name == "lerobot" else None))


def test_interventions_are_the_rows_in_which_a_person_was_obeyed(tmp_path: Path) -> None:
    episode = make_episode(rows=10)  # the last two are a person's
    read = read_episode(write_episode(episode, tmp_path, "one"))
    assert read.facts.interventions == [["human", pytest.approx(8 / HZ, abs=1e-5), pytest.approx(9 / HZ, abs=1e-5)]]
