"""`vla-mbpo train world-model --model video`: from journeys to a folder that the factory loads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.algorithms.descent import read_log
from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.config import Config, WorldModelConfig
from vla_mbpo_ros.robots.settings import resolve
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.world_model.factory import make_world_model, rehearse
from vla_mbpo_ros.world_model.rivals.video.checkpoint import load_video

Run = Callable[..., tuple[int, dict[str, Any]]]
QUICK = ("steps=2", "batch=2", "log_every=1")
SMALL = ("network.heads=2", "network.width=32", "network.layers=1", "network.mlp=32", "network.every=5")
NEW = ("autoencoder.steps=2", "autoencoder.batch=4", *SMALL)


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs it with --json: exit code and its object."""

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        settings = ("--set", *QUICK) if "--parent" in words else ("--set", *QUICK, *NEW)
        code = cli.main(["train", "world-model", "--model", "video", "--json", *words, *settings])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_episodes_of_the_tabletop_become_a_rival_that_the_factory_loads(train: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told = train("--task", "press_red", "--episodes", "1", "--out", str(out))
    assert code == 0, told
    assert (told["robot"], told["tasks"], told["episodes"]) == ("tabletop", ["press_red"], 1)
    settings = WorldModelConfig(kind="video", checkpoint=told["world_model"])
    world = make_world_model(replace(resolve(Config(robot="tabletop")), world_model=settings), TABLETOP)
    assert world.version == told["version"]
    assert (world.size, world.horizon, world.views) == ((64, 64), 10, TABLETOP.camera_names)
    rehearse(world, TABLETOP, "press the red button")
    rows = read_log(out / "curve.csv")
    assert [row["step"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["held_out"]) == pytest.approx(told["held_out"]["held_out"], rel=1e-4)
    assert "exists already" in train("--episodes", "1", "--out", str(out))[1]["error"]


def test_what_the_rival_cannot_learn_from_is_refused(train: Run, tmp_path: Path) -> None:
    for words in (("--data", str(tmp_path)), ("--no-ivd",), ("--preset", "small"), ("--device", "cuda")):
        code, told = train("--out", str(tmp_path / "out"), *words)
        assert code == 2
        assert "learns on the tabletop" in told["error"]


def test_a_rival_goes_on_from_another(train: Run, tmp_path: Path) -> None:
    first = train("--task", "press_red", "--episodes", "1", "--out", str(tmp_path / "first"))[1]
    words = ("--task", "lift_red", "--episodes", "1", "--parent", first["world_model"])
    code, told = train(*words, "--out", str(tmp_path / "second"))
    assert code == 0, told
    begun, ended = (load_video(Path(each["world_model"]), TABLETOP) for each in (first, told))
    assert ended.setting.autoencoder.version == begun.setting.autoencoder.version
    assert ended.net.cfg == begun.net.cfg
    pairs = zip(begun.net.parameters(), ended.net.parameters(), strict=True)
    moved = max(float((one - other).abs().max()) for one, other in pairs)
    assert 0.0 < moved < 0.01  # two steps from there, not from a random start


def test_what_a_parent_brings_is_refused_before_anything_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "world-model", "--model", "video", "--json", "--out", str(tmp_path / "out"), "--task", "lift_red"]
    for more, says in (
        (["--parent", str(tmp_path), "--set", "network.width=64"], "--parent brings them"),
        (["--parent", str(tmp_path / "nowhere")], "nowhere"),
        (["--set", "arrival.dreams=0"], "learns no states"),
    ):
        assert cli.main([*words, *more]) != 0
        assert says in json.loads(capsys.readouterr().out)["error"]
        assert not (tmp_path / "out").exists()
