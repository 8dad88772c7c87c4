"""`reproduce table1` makes tables and pictures of whatever models there are."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.cli import main as cli  # noqa: E402 (after the check)
from vla_mbpo_ros.world_model.umm import benchmark  # noqa: E402
from vla_mbpo_ros.world_model.umm.checkpoint import save_world  # noqa: E402

FEW = ("--task", "press_red", "lift_red", "--episodes", "2", "--single", "6", "--pairs", "3", "--chunks", "2")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("umm")
    world = benchmark.random_world("tiny")
    world.sample_by(euler_steps=1)
    save_world(world, folder)
    return folder


def test_tables_and_pictures_are_made(untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "table1", "--json", "--model", f"umm={untrained}", "--out", str(tmp_path), *FEW]
    assert cli.main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["models"]) == ["umm", "copy_last"]
    assert told["truth"]["episodes"] == 4
    umm, copied = told["models"].values()
    assert umm["rolled"]["fidelity"]["head"]["psnr"]["all"]["value"] < 30.0
    assert umm["one_chunk"]["judged"]["truth"]["f1"]["n"] == told["truth"]["chunks"]
    assert copied["one_chunk"]["judged"] == {"truth": None, "dreams": None}
    assert copied["counterfactual"]["both"]["right"] == 0
    text = (tmp_path / "table1.md").read_text(encoding="utf-8")
    assert "| umm |" in text
    assert "not computed" in text
    assert "not to be compared" in text
    assert "- no_ivd is not among them" in text
    assert "- umm is not among them" not in text
    assert json.loads((tmp_path / "table1.json").read_text(encoding="utf-8"))["models"] == told["models"]
    with (tmp_path / "table1.csv").open(encoding="utf-8") as lines:
        rows = {(row["model"], row["what"]): row for row in csv.DictReader(lines)}
    psnr = rows["umm", "rolled.fidelity.head.psnr.all"]
    assert float(psnr["value"]) == pytest.approx(umm["rolled"]["fidelity"]["head"]["psnr"]["all"]["value"], abs=1e-5)
    assert int(psnr["episodes"]) == 4
    assert {path.name for path in tmp_path.glob("*.png")} == {"dreams_buttons.png", "dreams_cubes.png", "growth.png"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "runs/umm"), "NAME=FOLDER"),
        (("--model", "copy_last=runs/umm"), "Two models are called copy_last"),
        (("--model", "umm=nowhere"), "nowhere"),
        (("--episodes", "1"), "--episodes 1"),
    ],
)
def test_what_cannot_be_is_refused(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["reproduce", "table1", "--out", str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err
