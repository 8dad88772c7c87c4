"""What is written, and what is refused; real readers look at it: h5py and pyarrow."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_episodes import MadeFrames, make_episode, psnr

from vla_mbpo_ros.data.episodes.episode import Episode, IndexArray
from vla_mbpo_ros.data.episodes.reader import read_episode
from vla_mbpo_ros.data.formats.exporting import Choice
from vla_mbpo_ros.data.formats.hdf5.read import Hdf5Source
from vla_mbpo_ros.data.formats.lerobot.read import LeRobotSource
from vla_mbpo_ros.data.formats.lerobot.write import check_options
from vla_mbpo_ros.errors import BagError, ConfigError, UnknownName
from vla_mbpo_ros.schema import ImageArray

Run = Callable[..., Any]
BOTH = pytest.mark.parametrize(("name", "source"), [("lerobot", LeRobotSource), ("hdf5", Hdf5Source)])


@dataclass
class FailingFrames(MadeFrames):
    """Frames of which one cannot be read."""

    error: BaseException | None = None
    at: int = 5

    def __getitem__(self, index: int) -> ImageArray:
        if index == self.at and self.error:
            raise self.error
        return super().__getitem__(index)


def with_frames(episode: Episode, make: Callable[[int, IndexArray], MadeFrames], camera: str = "left_wrist") -> Episode:
    frames = make(list(episode.frames).index(camera), episode.times_ns)
    return replace(episode, frames={**episode.frames, camera: frames})


def broken(seed: int, error: BaseException) -> Episode:
    return with_frames(make_episode(seed=seed), lambda camera, stamps: FailingFrames(camera, stamps, error=error))


@BOTH
def test_a_bad_episode_in_the_middle_is_skipped_by_name_and_leaves_no_trace(
    export_to: Run, import_from: Run, tmp_path: Path, name: str, source: Any
) -> None:
    episodes = [make_episode(seed=0), broken(1, BagError("The image is torn.", "Leave it out.")), make_episode(seed=2)]
    report = export_to(name, episodes)
    assert [item.source for item in report.moved] == ["bags/0", "bags/2"]
    assert report.skipped == [("bags/1", "The image is torn. Leave it out.")]
    again = [read_episode(Path(item.target)) for item in import_from(source(tmp_path / "out")).moved]
    for episode, read in zip((episodes[0], episodes[2]), again, strict=True):
        np.testing.assert_array_equal(read.action.astype(np.float32), episode.action.astype(np.float32))
        assert psnr(read.image("left_wrist", 7), episode.image("left_wrist", 7)) > 34.0


@BOTH
def test_an_interrupted_export_leaves_nothing(export_to: Run, tmp_path: Path, name: str, source: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        export_to(name, [make_episode(), broken(1, KeyboardInterrupt())])
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_an_existing_folder_is_never_written_to(export_to: Run, tmp_path: Path, name: str, source: Any) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="exists already, not overwriting"):
        export_to(name, [make_episode()])
    assert list((tmp_path / "out").iterdir()) == []


@BOTH
def test_nothing_to_write_makes_no_folder(export_to: Run, tmp_path: Path, name: str, source: Any) -> None:
    report = export_to(name, [make_episode(rows=1)])
    assert report.moved == []
    assert "has no two rows in sequence" in report.skipped[0][1]
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_episodes_of_another_form_are_skipped_by_name(export_to: Run, tmp_path: Path, name: str, source: Any) -> None:
    narrow = make_episode(seed=1)
    narrow = replace(narrow, action=narrow.action[:, :7], action_names=narrow.action_names[:7])
    two = make_episode(seed=2)
    two = replace(two, frames={"head": two.frames["head"]}, image_row={"head": two.image_row["head"]})
    report = export_to(name, [make_episode(), narrow, two])
    assert len(report.moved) == 1
    assert "action" in report.skipped[0][1]
    assert "cameras" in report.skipped[1][1]


def test_pictures_of_another_size_are_skipped_by_name(export_to: Run) -> None:
    large = with_frames(make_episode(seed=1), lambda camera, stamps: MadeFrames(camera, stamps, 96, 128))
    report = export_to("lerobot", [make_episode(), large])
    assert "size of 'left_wrist' (96, 128), the data set has (48, 64)" in report.skipped[0][1]


def test_odd_sizes_are_no_video_but_files(export_to: Run) -> None:
    odd = with_frames(make_episode(), lambda camera, stamps: MadeFrames(camera, stamps, 49, 65))
    refused = export_to("lerobot", [odd])
    assert "both sides must be even. Use --codec png." in refused.skipped[0][1]
    assert export_to("lerobot", [odd], codec="png").skipped == []


def test_only_episodes_of_the_wanted_outcome_are_written(export_to: Run) -> None:
    failed = make_episode(seed=1, success_ns=None)
    failed = replace(failed, facts=replace(failed.facts, outcome="failure"))
    report = export_to("lerobot", [make_episode(), failed], choice=Choice(outcome="success"))
    assert (len(report.moved), report.filtered, report.skipped) == (1, 1, [])


def test_names_that_do_not_exist_are_refused_with_the_nearest(export_to: Run) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'success'"):
        Choice(outcome="sucess")
    with pytest.raises(UnknownName, match="Did you mean 'h264'"):
        check_options("h265", 20)
    with pytest.raises(ConfigError, match="Give 0 to 51"):
        check_options("h264", 60)
    report = export_to("lerobot", [make_episode()], choice=Choice(cameras={"haed": "cam_high"}))
    assert "Did you mean 'head'?" in report.skipped[0][1]


def test_large_data_sets_go_on_in_the_next_file(export_to: Run, import_from: Run, tmp_path: Path) -> None:
    episodes = [make_episode(seed=seed) for seed in range(4)]
    export_to("lerobot", episodes, video_mb=0.008, data_mb=0.02)
    videos = sorted((tmp_path / "out/videos/observation.images.head").glob("*/*.mp4"))
    assert 1 < len(videos) < 4  # more than one file, and one of them has more than one episode
    assert len(list((tmp_path / "out/data").glob("*/*.parquet"))) > 1
    for item, episode in zip(import_from(LeRobotSource(tmp_path / "out")).moved, episodes, strict=True):
        read = read_episode(Path(item.target))
        np.testing.assert_array_equal(read.state, episode.state.astype(np.float32))
        assert psnr(read.image("head", 11), episode.image("head", 11)) > 34.0


def test_the_layout_is_that_of_lerobot(export_to: Run, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    episodes = [make_episode(rows=12), make_episode(rows=9, seed=1)]
    export_to("lerobot", episodes)
    out = tmp_path / "out"
    info = json.loads((out / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 15, "arx_x5")
    assert (info["total_episodes"], info["total_frames"], info["splits"]) == (2, 21, {"train": "0:2"})
    assert info["features"]["action"]["names"] == list(episodes[0].action_names)
    table = pq.read_table(out / "data/chunk-000/file-000.parquet")
    stored = {key for key, feature in info["features"].items() if feature["dtype"] != "video"}
    assert set(table.column_names) == stored
    assert table["index"].to_pylist() == list(range(21))
    assert table["frame_index"].to_pylist() == [*range(12), *range(9)]
    np.testing.assert_allclose(table["timestamp"].to_numpy(), [i / 15 for i in (*range(12), *range(9))], atol=1e-6)
    places = pq.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [place["dataset_from_index"] for place in places] == [0, 12]
    assert places[1]["videos/observation.images.head/from_timestamp"] == pytest.approx(12 / 15)
    assert places[1]["videos/observation.images.head/to_timestamp"] == pytest.approx(21 / 15)


def test_statistics_are_those_of_the_rows(export_to: Run, tmp_path: Path) -> None:
    episodes = [make_episode(rows=12), make_episode(rows=30, seed=1)]
    export_to("lerobot", episodes)
    stats = json.loads((tmp_path / "out/meta/stats.json").read_text())
    rows = np.concatenate([episode.action for episode in episodes]).astype(np.float32).astype(np.float64)
    for name, value in {"mean": rows.mean(0), "std": rows.std(0), "min": rows.min(0), "max": rows.max(0)}.items():
        np.testing.assert_allclose(stats["action"][name], value, rtol=1e-6)
    assert stats["action"]["count"] == [42]
    pixels = np.stack([episode.image("head", row) for episode in episodes for row in range(episode.rows)]) / 255.0
    head = stats["observation.images.head"]
    np.testing.assert_allclose(np.array(head["mean"])[:, 0, 0], pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(np.array(head["std"])[:, 0, 0], pixels.std((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(np.array(head["max"])[:, 0, 0], pixels.max((0, 1, 2)))


def test_hdf5_has_what_robomimic_and_libero_look_for(export_to: Run, tmp_path: Path) -> None:
    import h5py

    episode = make_episode()
    export_to("hdf5", [episode], choice=Choice(cameras={"head": "agentview", "left_wrist": "eye_in_hand"}))
    with h5py.File(tmp_path / "out/put_the_cube_into_the_bowl_demo.hdf5") as file:
        data, demo = file["data"], file["data/demo_0"]
        assert (data.attrs["total"], data.attrs["num_demos"], demo.attrs["num_samples"]) == (12, 1, 12)
        assert json.loads(data.attrs["problem_info"])["language_instruction"] == "put the cube into the bowl"
        assert json.loads(data.attrs["env_args"])["env_kwargs"]["control_freq"] == 15
        shapes = {name: item.shape for name, item in demo["obs"].items()}
        assert shapes == {
            "agentview_rgb": (12, 48, 64, 3),
            "eye_in_hand_rgb": (12, 48, 64, 3),
            "joint_states": (12, 12),
            "gripper_states": (12, 2),
        }
        assert demo["dones"][:].tolist() == [0] * 11 + [1]
        assert demo["rewards"][:].tolist() == [0] * 9 + [1, 0, 0]
        assert file["mask/success"][:].tolist() == [b"demo_0"]
        np.testing.assert_array_equal(demo["actions"][:], episode.action)


def test_instructions_that_make_one_file_name_get_two(export_to: Run, import_from: Run, tmp_path: Path) -> None:
    one, other = make_episode(), make_episode(seed=1)
    other = replace(other, facts=replace(other.facts, instruction="Put the cube, into the bowl!"))
    export_to("hdf5", [one, other])
    moved = import_from(Hdf5Source(tmp_path / "out")).moved
    said = {read_episode(Path(item.target)).facts.instruction for item in moved}
    assert said == {"put the cube into the bowl", "Put the cube, into the bowl!"}
