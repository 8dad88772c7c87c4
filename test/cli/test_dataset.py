"""`vla-mbpo dataset` and `bench dataset`: what they print, and their exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.dataset.synthetic import write_synthetic_bag
from vla_mbpo_ros.errors import BagError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    try:
        load_definition("vla_mbpo_ros/msg/JointCommand")
    except BagError as error:
        pytest.skip(f"message definitions are not installed: {error}")
    for index in range(3):
        write_synthetic_bag(tmp_path / "bags" / f"bag{index}", rows=20, seed=index, outcome="failure")
    write_synthetic_bag(tmp_path / "bags" / "broken", rows=4, robot="")
    return tmp_path / "bags"


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = cli.main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_build_says_what_is_used_and_what_is_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, result = answer(capsys, "dataset", "build", str(folder), "--k", "4", "--size", "8x10")
    assert (code, result["ok"], result["episodes"], result["windows"]) == (0, True, 3, 48)
    assert ["does not say which robot" in reason for reason in result["skipped"].values()] == [True]
    assert cli.main(["dataset", "build", str(folder), "--k", "4", "--size", "8x10"]) == 0
    text = capsys.readouterr().out
    assert "3 episodes" in text
    assert "broken: " in text


def test_statistics_are_shown_and_saved(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "statistics.json"
    split = "train" if answer(capsys, "dataset", "build", str(folder))[1]["splits"].get("train") else "val"
    code, result = answer(capsys, "dataset", "stats", str(folder), "--split", split, "--out", str(out))
    assert (code, result["robot"]) == (0, "arx_x5")
    assert json.loads(out.read_text())["state"]["mean"] == pytest.approx(result["state"]["mean"], abs=1e-5)
    assert cli.main(["dataset", "stats", str(folder), "--split", split]) == 0
    assert "left_gripper" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        (("--size", "8by10"), 2, "'8by10' is no size"),
        (("--k", "0"), 2, "k is 0"),
        (("--starts", "chunk"), 2, "Did you mean 'chunks'"),
    ],
)
def test_wrong_words_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, cause: str
) -> None:
    assert cli.main(["dataset", "build", str(folder), *words]) == code
    assert cause in capsys.readouterr().err


def test_a_folder_of_broken_bags_is_an_error(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, result = answer(capsys, "dataset", "build", str(folder / "broken"))
    assert (code, result["ok"], result["episodes"]) == (7, False, 0)
    assert cli.main(["dataset", "stats", str(folder / "broken")]) == 7


def test_the_benchmark_measures_us_against_the_bag_and_says_why_a_rival_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("--episodes", "2", "--rows", "20", "--width", "64", "--height", "48", "--seconds", "0.3", "--k", "4")
    code, result = answer(capsys, "bench", "dataset", *small)
    assert (code, result["samples"], result["vs_lerobot"]) == (0, 32, None)
    assert "--lerobot-python" in result["lerobot_reason"]
    assert result["vs_bag"] == pytest.approx(result["samples_per_s"] / result["bag_samples_per_s"], rel=1e-3)
    assert result["vs_bag"] > 10.0


def test_an_interpreter_without_lerobot_is_a_null_with_the_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, python = str(folder / "bag0"), sys.executable
    code, result = answer(capsys, "bench", "dataset", "--folder", bag, "--seconds", "0.1", "--lerobot-python", python)
    if result["vs_lerobot"] is not None:
        pytest.skip("this interpreter has lerobot")
    assert code == 0
    assert "lerobot" in result["lerobot_reason"]
