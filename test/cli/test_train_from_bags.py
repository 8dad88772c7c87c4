"""`vla-mbpo train policy --data`: from a folder of bags to a policy that the robot's node takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.algorithms.descent import read_log
from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.config import PolicyConfig
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.dataset.synthetic import write_synthetic_bag
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.policy import make_policy
from vla_mbpo_ros.policy.checkpoint import load_policy, read_lineage
from vla_mbpo_ros.robots import get_robot

Run = Callable[..., tuple[int, dict[str, Any], str]]
SMALL = ("--image-size", "16", "--horizon", "5", "--held-out", "0.5", "--set", "steps=20", "batch=4", "log_every=5")


@pytest.fixture
def bags(tmp_path: Path) -> Path:
    try:
        load_definition("vla_mbpo_ros/msg/JointCommand")
    except BagError as error:
        pytest.skip(f"message definitions are not installed: {error}")
    for index in range(4):
        write_synthetic_bag(tmp_path / "bags" / f"bag_{index}", rows=10, seed=index, outcome="success")
    write_synthetic_bag(tmp_path / "bags" / "missed", rows=10, outcome="failure")
    return tmp_path / "bags"


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str], bags: Path) -> Run:
    """Runs `train policy` on the bags with --json: exit code, its object, what it said to people."""

    def run(*words: str) -> tuple[int, dict[str, Any], str]:
        code = cli.main(["train", "policy", "--data", str(bags), "--json", *words])
        told = capsys.readouterr()
        return code, json.loads(told.out), told.err

    return run


def test_a_folder_of_bags_becomes_a_policy_for_the_robot_of_the_data(train: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told, said = train("--out", str(out), *SMALL)
    assert code == 0
    assert (told["robot"], told["algorithm"]) == ("arx_x5", "sft")
    assert told["cost"]["episodes"] + told["held_out"]["episodes"] == 4
    assert told["held_out"]["loss"] > 0.0
    assert [Path(bag).name for bag in told["skipped"]] == ["missed"]
    assert "Its outcome is failure" in said
    robot = get_robot("arx_x5")
    policy = make_policy(PolicyConfig(kind="tiny", checkpoint=str(out / "policy"), replan_steps=5), robot, 15.0)
    assert policy.version == told["version"]
    lineage = read_lineage(out / "policy")
    assert len(lineage.episodes) == told["cost"]["episodes"]
    assert lineage.config["control_hz"] == robot.control_hz
    assert lineage.config["outcomes"] == ["success"]
    curve = read_log(out / "curve.csv")
    assert [row["step"] for row in curve] == ["5", "10", "15", "20"]
    assert all(float(row["held_out"]) > 0.0 for row in curve)


def test_it_goes_on_from_a_parent_with_the_parents_statistics_and_adapters(train: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    told = train("--out", str(first), *SMALL)[1]
    words = ("--parent", str(first / "policy"), "--out", str(second), "--held-out", "0", "--stride", "2")
    code, again, _ = train(*words, "--set", "steps=2", "batch=4", "lora_rank=2", "lr=1e-3")
    assert code == 0
    assert again["held_out"] == {"episodes": 0, "rows": 0, "loss": None}
    assert read_lineage(second / "policy").parent == told["version"]
    parent, child = load_policy(first / "policy"), load_policy(second / "policy")
    assert child.normalisation == parent.normalisation
    assert child.state_dict().keys() == parent.state_dict().keys()


def test_an_interrupted_training_goes_on(train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vla_mbpo_ros.algorithms.imitation import bag_chunks

    whole = train("--out", str(tmp_path / "whole"), *SMALL, "save_every=5")[1]
    batch, calls = bag_chunks.BagChunks.batch, []

    def interrupted(self: Any, rows: Any) -> Any:
        calls.append(1)
        if len(calls) == 13:
            raise KeyboardInterrupt
        return batch(self, rows)

    with monkeypatch.context() as patched:
        patched.setattr(bag_chunks.BagChunks, "batch", interrupted)
        code, told, _ = train("--out", str(tmp_path / "parts"), *SMALL, "save_every=5")
    assert (code, told["error"]) == (130, "Interrupted.")
    code, told, _ = train("--out", str(tmp_path / "parts"), *SMALL, "save_every=5")
    assert code == 0
    assert told["version"] == whole["version"]  # it is made from the bytes of the weights


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--algorithm", "online_ppo"), 2, "--data gives bags"),
        (("--held-out", "1"), 2, "--held-out is 1.0"),
        (("--stride", "0"), 2, "--stride is 0"),
        (("--parent", "runs/policy", "--horizon", "5"), 2, "A parent has its own horizon"),
        (("--outcomes", "sucess"), 2, "Unknown outcome 'sucess'"),
        (("--outcomes", "discarded"), 7, "No episode of 5 bags can be used."),
        (("--set", "lora_rank=9999", "steps=1"), 2, "lora_rank is 9999"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    train: Run, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    found, told, _ = train("--out", str(tmp_path / "out"), *words)
    assert (found, told["ok"]) == (code, False)
    assert said in told["error"]
    assert not (tmp_path / "out" / "policy").exists()


def test_a_parent_that_is_none_of_ours_is_refused_with_the_way_in(train: Run, tmp_path: Path) -> None:
    code, told, _ = train("--out", str(tmp_path / "out"), "--parent", str(tmp_path))
    assert code == 2
    assert "is no policy of this package" in told["error"]
    assert "vla-mbpo policy import" in told["cure"]


def test_a_parent_for_another_robot_is_refused_by_its_joints(train: Run, tmp_path: Path) -> None:
    from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy
    from vla_mbpo_ros.policy.flow.config import FlowConfig, InputConfig
    from vla_mbpo_ros.policy.flow.normalisation import QUANTILE, Columns, Normalisation
    from vla_mbpo_ros.policy.tiny.config import TinyConfig
    from vla_mbpo_ros.policy.tiny.factory import make_tiny

    columns = Columns(get_robot("tabletop").names, (0.0,) * 7, (1.0,) * 7)
    tiny = TinyConfig(views=1, channels=4, keypoints=2, context=8, width=8)
    inputs = InputConfig(image_size=16)
    policy = make_tiny(tiny, FlowConfig(value_hidden=(8,)), inputs, Normalisation(QUANTILE, columns, columns))
    save_policy(policy, tmp_path / "other", Lineage())
    code, told, _ = train("--out", str(tmp_path / "out"), "--parent", str(tmp_path / "other"))
    assert code == 4
    assert "has joint states of left_joint1" in told["error"]
    assert "the policy knows x, y, z" in told["error"]


def test_people_read_what_came_of_it(bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "policy", "--data", str(bags), "--out", str(tmp_path / "out"), *SMALL]
    assert cli.main(words) == 0
    told = capsys.readouterr()
    assert "for arx_x5" in told.out
    assert "held out: loss" in told.out
    assert "left out:" in told.err


@pytest.mark.slow
def test_two_processes_of_torchrun_make_one_policy_and_one_says_so(bags: Path, tmp_path: Path) -> None:
    start = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "vla_mbpo_ros.cli.main")
    words = ("train", "policy", "--data", str(bags), "--out", str(tmp_path / "two"), "--json", *SMALL)
    done = subprocess.run([sys.executable, *start, *words], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)  # one object: the other process is silent
    assert load_policy(tmp_path / "two" / "policy").version == told["version"]
    assert read_lineage(tmp_path / "two" / "policy").config["processes"] == 2
    assert cli.main([*words[:5], str(tmp_path / "one"), *words[6:]]) == 0
    curves = [read_log(tmp_path / name / "curve.csv") for name in ("two", "one")]
    for two, one in zip(*curves, strict=True):
        assert float(two["held_out"]) == pytest.approx(float(one["held_out"]), rel=1e-3)
