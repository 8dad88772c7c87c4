"""`vla-mbpo train world-model`: from bags or the tabletop to a folder that world_model_node loads."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.algorithms.descent import read_log
from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.cli import train_world_model
from vla_mbpo_ros.cli.world_model_settings import settings_of
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.dataset.synthetic import write_synthetic_bag
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.robots import get_robot
from vla_mbpo_ros.world_model.umm.checkpoint import load_world

Run = Callable[..., tuple[int, dict[str, Any], str]]
QUICK = ("steps=4", "batch=2", "draws=1", "judged=2", "dreamed=2", "log_every=2", "save_every=2", "preview_every=4")
SMALL = ("network.trunk.layers=1", "network.sampler.euler_steps=1", "autoencoder.steps=2", "autoencoder.batch=4")
STATES = ("arrival.steps=2", "arrival.dreams=4")


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `train world-model` with --json: exit code, its object, what it said to people."""

    def run(*words: str, settings: tuple[str, ...] = ()) -> tuple[int, dict[str, Any], str]:
        code = cli.main(["train", "world-model", "--json", *words, "--set", *QUICK, *SMALL, *STATES, *settings])
        told = capsys.readouterr()
        return code, json.loads(told.out), told.err

    return run


def test_episodes_of_the_tabletop_become_a_world_model_with_its_previews(train: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told, _ = train("--task", "press_red", "press_blue", "--episodes", "1", "--out", str(out))
    assert code == 0, told
    assert (told["robot"], told["tasks"], told["episodes"]) == ("tabletop", ["press_red", "press_blue"], 2)
    world = load_world(out / "world_model", get_robot("tabletop"))
    assert world.version == told["version"]
    assert world.views == ("head", "wrist")
    assert list(told["state_off"]) == list(get_robot("tabletop").names)
    assert world.around.arrival is not None
    assert (out / "previews" / "step_00004.png").stat().st_size > 1000
    last = read_log(out / "curve.csv")[-1]
    assert float(last["psnr_head"]) == pytest.approx(told["held_out"]["psnr_head"])
    again, refused, _ = train("--episodes", "1", "--out", str(out))
    assert again == 2
    assert "exists already" in refused["error"]


def test_bags_of_an_arm_become_a_world_model_that_is_told_the_state(train: Run, tmp_path: Path) -> None:
    try:
        load_definition("vla_mbpo_ros/msg/JointCommand")
    except BagError as error:
        pytest.skip(f"message definitions are not installed: {error}")
    for index, outcome in enumerate(("success", "failure", "success")):
        write_synthetic_bag(tmp_path / "bags" / f"bag_{index}", rows=14, seed=index, outcome=outcome)
    out = tmp_path / "out"
    words = ("--data", str(tmp_path / "bags"), "--horizon", "4", "--held-out", "0.34", "--out", str(out))
    code, told, _ = train(*words, "--no-ivd")
    assert code == 0, told
    assert told["robot"] == "arx_x5"
    assert told["episodes"] + told["held_out_episodes"] == 3
    world = load_world(out / "world_model", get_robot("arx_x5"))
    assert world.horizon == 4
    assert world.around.codec.needs_state
    assert not world.around.ivd


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--episodes", "0"), "episodes 0"),
        (("--data", "bags", "--policy", "runs/policy"), "play on the tabletop"),
        (("--parent", "a", "--autoencoder", "b"), "brings its own"),
        (("--parent", "a", "--no-ivd"), "with or without interleaving"),
        (("--parent", "a", "--preset", "small"), "brings its own"),
        (("--parent", "a"), "--set changes the network"),
        (("--held-out", "1"), "--held-out is 1.0"),
        (("--episodes", "50001"), "would reach those that are held out"),
        (("--data", "nowhere"), "nowhere"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_cure(train: Run, tmp_path: Path, words: Any, said: str) -> None:
    code, told, _ = train(*words, "--out", str(tmp_path / "out"))
    assert code != 0
    assert said in told["error"]


def test_pictures_of_a_size_that_the_latents_do_not_make_are_refused(train: Run, tmp_path: Path) -> None:
    words = ("--task", "press_red", "--episodes", "1", "--out", str(tmp_path / "out"))
    code, told, _ = train(*words, settings=("autoencoder.size=32",))
    assert code == 2
    assert "no picture of 32" in told["error"]


def test_an_autoencoder_that_is_not_there_is_not_made_there(train: Run, tmp_path: Path) -> None:
    words = ("--task", "press_red", "--episodes", "1", "--out", str(tmp_path / "out"))
    code, told, _ = train(*words, "--autoencoder", str(tmp_path / "wrong"))
    assert code == 2
    assert "no folder at" in told["error"]
    assert not (tmp_path / "wrong").exists()


def test_pictures_are_as_large_as_the_preset_or_the_parent_wants_them(train: Run, tmp_path: Path) -> None:
    """small sees 256 pixels where tiny sees 64. The settings are read before anything is played."""
    parser = argparse.ArgumentParser()
    train_world_model.add(parser.add_subparsers())
    for preset, side in (("tiny", 64), ("small", 256)):
        args = parser.parse_args(["world-model", "--preset", preset, "--out", str(tmp_path)])
        assert settings_of(args).autoencoder.size == side
    out = tmp_path / "out"
    smaller = ("network.latent.height=2", "network.latent.breadth=2", "autoencoder.size=32")
    assert train("--task", "press_red", "--episodes", "1", "--out", str(out), settings=smaller)[0] == 0
    args = parser.parse_args(["world-model", "--parent", str(out / "world_model"), "--out", str(tmp_path)])
    assert settings_of(args).autoencoder.size == 32
