"""Foreign data sets: what they may be, and every way in which they are bad."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_episodes import ROBOT, make_episode, picture, psnr

from vla_mbpo_ros.data.episodes.episode import Episode
from vla_mbpo_ros.data.episodes.reader import read_episode
from vla_mbpo_ros.data.formats.columns import map_cameras, read_pairs, topic_name
from vla_mbpo_ros.data.formats.lerobot.read import LeRobotSource
from vla_mbpo_ros.data.formats.lerobot.video import encode
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName

Run = Callable[..., Any]
ROWS = "data/chunk-000/file-000.parquet"
HEAD = "videos/observation.images.head/chunk-000/file-000.mp4"


@pytest.fixture
def lerobot(export_to: Run, tmp_path: Path) -> Path:
    """A data set of three episodes of 12 rows."""
    export_to("lerobot", [make_episode(seed=seed) for seed in range(3)])
    return tmp_path / "out"


def change_rows(path: Path, change: Callable[[dict[str, list[Any]]], None]) -> None:
    """Rewrite the parquet with rows; columns lose their fixed lengths, as other writers have it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = pq.read_table(path / ROWS).to_pydict()
    change(columns)
    pq.write_table(pa.table(columns), path / ROWS)


def change_info(path: Path, **changes: Any) -> None:
    info = json.loads((path / "meta/info.json").read_text())
    (path / "meta/info.json").write_text(json.dumps({**info, **changes}))


def read_back(report: Any) -> list[Episode]:
    return [read_episode(Path(item.target)) for item in report.moved]


# -- LeRobot -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("meta/info.json", "is no LeRobot data set: meta/info.json cannot be read"),
        ("meta/tasks.parquet", "tasks.parquet cannot be read"),
    ],
)
def test_without_its_heart_a_data_set_is_refused(lerobot: Path, file: str, error: str) -> None:
    (lerobot / file).unlink()
    with pytest.raises((ConfigError, ContractError), match=error):
        LeRobotSource(lerobot)


@pytest.mark.parametrize(("file", "reason"), [(ROWS, "cannot be read"), (HEAD, "does not exist")])
def test_missing_files_are_named_for_every_episode(lerobot: Path, import_from: Run, file: str, reason: str) -> None:
    (lerobot / file).unlink()
    report = import_from(LeRobotSource(lerobot))
    assert report.moved == []
    assert [source for source, _ in report.skipped] == ["episode 0", "episode 1", "episode 2"]
    assert all(reason in text and Path(file).name in text for _, text in report.skipped)


def test_a_codebase_of_another_version_is_refused(lerobot: Path) -> None:
    change_info(lerobot, codebase_version="v1.6")
    with pytest.raises(ConfigError, match=r"codebase version 'v1\.6', read are v3\.0, v2\.1, v2\.0"):
        LeRobotSource(lerobot)


def test_a_video_with_too_few_frames_is_a_named_skip_and_leaves_no_bag(
    lerobot: Path, import_from: Run, tmp_path: Path
) -> None:
    encode((picture(0, row % 12) for row in range(30)), lerobot / HEAD, 15, "h264", 20)  # 36 rows need 36 frames
    report = import_from(LeRobotSource(lerobot))
    assert [item.source for item in report.moved] == ["episode 0", "episode 1"]
    assert "has no frame 30. It is shorter than its rows" in report.skipped[0][1]
    assert sorted(path.name for path in (tmp_path / "bags").iterdir()) == ["set_000000", "set_000001"]


def test_a_video_that_is_none_is_a_named_skip(lerobot: Path, import_from: Run) -> None:
    (lerobot / HEAD).write_bytes(b"no video at all")
    assert "cannot be read as a video" in import_from(LeRobotSource(lerobot)).skipped[0][1]


def test_rows_of_another_width_are_a_named_skip(lerobot: Path, import_from: Run) -> None:
    change_rows(lerobot, lambda columns: columns["action"][15].pop())
    report = import_from(LeRobotSource(lerobot))
    assert [source for source, _ in report.skipped] == ["episode 1"]
    assert "'action' has rows of 13, 14 numbers, info.json says 14" in report.skipped[0][1]


def test_numbers_that_are_not_finite_are_a_named_skip(lerobot: Path, import_from: Run) -> None:
    def spoil(columns: dict[str, list[Any]]) -> None:
        columns["observation.state"][14][6] = float("nan")

    change_rows(lerobot, spoil)
    report = import_from(LeRobotSource(lerobot))
    assert report.skipped == [("episode 1", "The state is nan for left_gripper at row 2. Leave it out.")]


def test_missing_rows_are_a_named_skip(lerobot: Path, import_from: Run) -> None:
    change_rows(lerobot, lambda columns: [values.pop() for values in columns.values()])
    reason = import_from(LeRobotSource(lerobot)).skipped[0]
    assert reason[0] == "episode 2"
    assert "has 11 rows of episode 2, meta/ says 12" in reason[1]


def test_what_a_feature_lacks_is_named(lerobot: Path) -> None:
    info = json.loads((lerobot / "meta/info.json").read_text())
    info["features"]["observation.stat"] = info["features"].pop("observation.state")
    change_info(lerobot, features=info["features"])
    with pytest.raises(UnknownName, match=r"Did you mean 'observation\.stat'"):
        LeRobotSource(lerobot)


def test_columns_find_their_joints_by_name(lerobot: Path, import_from: Run) -> None:
    info = json.loads((lerobot / "meta/info.json").read_text())
    for key in ("observation.state", "action"):
        names = info["features"][key]["names"]
        info["features"][key]["names"] = {"motors": [f"{name}.pos" for name in reversed(names)]}
    change_info(lerobot, features=info["features"])

    def turn(columns: dict[str, list[Any]]) -> None:
        columns["action"] = [row[::-1] for row in columns["action"]]
        columns["observation.state"] = [row[::-1] for row in columns["observation.state"]]

    change_rows(lerobot, turn)
    read = read_back(import_from(LeRobotSource(lerobot, "arx_x5")))[0]
    assert read.state_names == ROBOT.names
    np.testing.assert_array_equal(read.action, make_episode().action.astype(np.float32))


def test_a_robot_that_the_columns_do_not_fit_is_refused(lerobot: Path, import_from: Run, tmp_path: Path) -> None:
    info = json.loads((lerobot / "meta/info.json").read_text())
    info["features"]["action"]["names"][0] = "left_joint0"
    change_info(lerobot, features=info["features"])
    with pytest.raises(UnknownName, match=r"Unknown joint of arx_x5 'left_joint0'.*Did you mean"):
        LeRobotSource(lerobot, "arx_x5")
    with pytest.raises(UnknownName, match="Unknown robot 'arx5'"):
        LeRobotSource(lerobot, "arx5")
    # Nobody asked for a robot: then it keeps its own names, and does not pass for the known robot.
    read = read_back(import_from(LeRobotSource(lerobot)))[0]
    assert (read.facts.robot, read.action_names[0]) == ("", "left_joint0")


def test_cameras_of_another_name_are_refused_until_they_are_named(lerobot: Path, import_from: Run) -> None:
    info = json.loads((lerobot / "meta/info.json").read_text())
    info["features"]["observation.images.cam_high"] = info["features"].pop("observation.images.head")
    change_info(lerobot, features=info["features"])
    with pytest.raises(ConfigError, match=r"has no camera 'cam_high'.*--cameras head=cam_high"):
        LeRobotSource(lerobot, "arx_x5")
    assert LeRobotSource(lerobot, "arx_x5", {"head": "cam_high"}).mapped.cameras == {"head": "cam_high"}


def test_an_unfinished_import_leaves_nothing(
    lerobot: Path, import_from: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = LeRobotSource(lerobot)
    episodes = list(source.episodes())

    def interrupted() -> Episode:
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "episodes", lambda: iter([episodes[0], ("episode 1", interrupted)]))
    with pytest.raises(KeyboardInterrupt):
        import_from(source)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_data_set_of_version_2_is_read_too(lerobot: Path, import_from: Run) -> None:
    to_version_2(lerobot)
    for read, seed in zip(read_back(import_from(LeRobotSource(lerobot))), range(3), strict=True):
        episode = make_episode(seed=seed)
        np.testing.assert_array_equal(read.action, episode.action.astype(np.float32))
        assert read.facts.instruction == episode.facts.instruction
        assert read.facts.outcome == "success"  # by next.success: version 2 has no room for our facts
        assert read.success_ns == read.times_ns[-2]
        assert psnr(read.image("head", 9), episode.image("head", 9)) > 34.0


def to_version_2(path: Path) -> None:
    """The same data set in the layout of v2.1, a file for each episode."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path / ROWS)
    shutil.rmtree(path / "videos")
    for number in range(3):
        file = path / f"data/chunk-000/episode_{number:06d}.parquet"
        pq.write_table(table.filter(pc.equal(table["episode_index"], number)), file)
        for index, camera in enumerate(ROBOT.camera_names):
            video = path / f"videos/chunk-000/observation.images.{camera}/episode_{number:06d}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            encode((picture(index, row) for row in range(12)), video, 15, "h264", 20)
    (path / ROWS).unlink()
    shutil.rmtree(path / "meta/episodes")
    (path / "meta/tasks.parquet").unlink()
    task = "put the cube into the bowl"
    (path / "meta/tasks.jsonl").write_text(json.dumps({"task_index": 0, "task": task}))
    lines = [json.dumps({"episode_index": number, "tasks": [task], "length": 12}) for number in range(3)]
    (path / "meta/episodes.jsonl").write_text("\n".join(lines))
    change_info(
        path,
        codebase_version="v2.1",
        data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    )


def test_images_in_files_beside_the_parquet_and_torn_ones(export_to: Run, import_from: Run, tmp_path: Path) -> None:
    export_to("lerobot", [make_episode(), make_episode(seed=1)], codec="png")
    out = tmp_path / "out"

    def move(columns: dict[str, list[Any]]) -> None:
        for row, entry in enumerate(columns["observation.images.head"]):
            data, entry["bytes"], entry["path"] = entry["bytes"], None, f"{row}.png"
            (out / f"{row}.png").write_bytes(data[: len(data) // 2] if row == 20 else data)

    change_rows(out, move)
    report = import_from(LeRobotSource(out))
    assert [item.source for item in report.moved] == ["episode 0"]
    assert "cannot be decoded" in report.skipped[0][1]
    np.testing.assert_array_equal(read_back(report)[0].image("head", 3), picture(0, 3))


# -- names -------------------------------------------------------------------------------------------------------------


def test_pairs_of_cameras_are_read_and_bad_ones_refused() -> None:
    assert read_pairs("head=agentview, left_wrist") == {"head": "agentview", "left_wrist": "left_wrist"}
    assert read_pairs("") == {}
    for text in ("head=a,head=b", "=a", "9=a", "head=a,left_wrist=a"):
        with pytest.raises(ConfigError):
            read_pairs(text)


def test_cameras_get_names_that_topics_may_have() -> None:
    assert map_cameras(["cam-high", "0"], {}) == {"cam_high": "cam-high", "camera_0": "0"}
    assert topic_name("") == "camera"
    with pytest.raises(ConfigError, match="Two cameras would get one name"):
        map_cameras(["cam-1", "cam.1"], {})
