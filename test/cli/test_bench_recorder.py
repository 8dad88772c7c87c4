"""`bench recorder` and `bench kill` with the real recorder, briefly, and what they make of their measurements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.cli.bench_kill import summarise
from vla_mbpo_ros.cli.bench_recorder_run import kind_of

SMALL = ["--cameras", "1", "--width", "64", "--height", "48", "--hz", "10", "--joints-hz", "50"]


def test_the_worst_kill_is_the_one_that_is_told() -> None:
    good = {"images": 1, "joints": 2, "others": 3, "recovered": True, "rosbags": True, "mcap": True}
    rows: list[dict[str, Any]] = [{**good, "lost_s": index / 100} for index in range(20)]
    rows.append({**good, "lost_s": 0.9, "mcap": False})
    result = summarise(rows)
    assert (result["times"], result["lost_max_s"], result["lost_messages_mean"]) == (21, 0.9, 6.0)
    assert result["lost_p95_s"] == pytest.approx(0.19)
    assert (result["recovered_ok"], result["rosbags_ok"], result["mcap_ok"]) == (21, 21, 20)


def test_topics_are_told_apart() -> None:
    names = ("/a/head/color/image_raw", "/a/joint_states", "/a/joint_command", "/diagnostics")
    assert [kind_of(name) for name in names] == ["images", "joints", "others", "others"]


@pytest.mark.ros
def test_the_recorder_is_measured_and_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    out = tmp_path / "recorder.jsonl"
    words = ["--seconds", "2", *SMALL, "--folder", str(tmp_path / "bags"), "--out", str(out)]
    assert cli.main(["bench", "recorder", "--json", *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["lost"] == 0
    # A camera has images and frame infos at 10 Hz; joints, two kinds of command and the status come at 50 Hz.
    assert result["sent"] == pytest.approx(2 * (2 * 10 + 4 * 50), rel=0.1)
    assert 0.0 < result["cpu_cores"] < 2.0
    assert result["mb_per_s"] > 0.0
    assert json.loads(out.read_text())["bench"] == "recorder"
    assert not list((tmp_path / "bags").iterdir())


@pytest.mark.ros
def test_a_killed_recorder_loses_little_and_its_bag_is_recovered(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    assert cli.main(["bench", "kill", "--json", "--times", "2", "--least", "0.5", "--most", "1", *SMALL]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["times"], len(result["kills"])) == (2, 2)
    assert result["recovered_ok"] == result["rosbags_ok"] == result["mcap_ok"] == 2
    # 0.2 s by promise; the rest is for a machine that is busy with other tests.
    assert all(0.0 <= kill["lost_s"] < 0.6 for kill in result["kills"])
    assert all(kill["images"] + kill["joints"] + kill["others"] > 0 or kill["lost_s"] == 0 for kill in result["kills"])


@pytest.mark.parametrize(
    "words", [["recorder", "--seconds", "0"], ["recorder", "--hz", "-1"], ["kill", "--times", "0"]]
)
def test_nonsense_is_refused_with_a_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", words[0], "--json", *words[1:]]) == 2
    assert json.loads(capsys.readouterr().out)["cure"]
