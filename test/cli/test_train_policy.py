"""`vla-mbpo train policy`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.policy.checkpoint import load_policy, read_lineage

Run = Callable[..., tuple[int, dict[str, Any], str]]
SMALL = ("--task", "press_red", "press_blue", "--evaluate", "2", "--json")


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `train policy` with --json: exit code, its object, what it said to people."""

    def run(*words: str) -> tuple[int, dict[str, Any], str]:
        code = cli.main(["train", "policy", *SMALL, *words])
        told = capsys.readouterr()
        return code, json.loads(told.out), told.err

    return run


@pytest.mark.slow
def test_imitation_and_then_trial_leave_policies_with_their_lineage(train: Run, tmp_path: Path) -> None:
    sft, ppo = tmp_path / "sft", tmp_path / "ppo"
    code, first, _ = train("--demos", "1", "--out", str(sft), "--set", "steps=4", "batch=8", "log_every=2")
    assert code == 0
    assert first["success"]["all"]["episodes"] == 2
    assert first["cost"]["demonstrations"] == 2
    words = ("--algorithm", "online_ppo", "--parent", str(sft / "policy"), "--out", str(ppo))
    code, second, _ = train(*words, "--set", "iterations=1", "episodes=2", "group=2", "update.minibatch=8")
    assert code == 0
    assert second["cost"]["episodes"] == 2
    assert second["gain"]["won"] + second["gain"]["lost"] <= 2
    assert read_lineage(ppo / "policy").parent == first["version"]
    assert read_lineage(ppo / "policy").config["update"]["minibatch"] == 8
    assert load_policy(ppo / "policy").version == second["version"]
    assert (sft / "curve.csv").read_text().startswith("step,loss")
    assert (ppo / "curve.csv").read_text().startswith("iteration,control_steps,episodes")


def test_a_trunk_then_imitation_then_branches_in_the_simulator(
    train: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trunk, sft, out = tmp_path / "trunk", tmp_path / "sft", tmp_path / "out"
    words = ("--task", "press_red", "--episodes", "2", "--set", "steps=2", "batch=4", "held_out=0.5", "log_every=1")
    assert cli.main(["train", "trunk", "--json", "--out", str(trunk), *words]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["held_out"]["touched_mm"] > 0.0
    words = ("--task", "press_red", "--episodes", "1", "--set", "steps=1", "batch=4", "log_every=1")
    assert cli.main(["train", "trunk", "--out", str(tmp_path / "few"), *words]) == 0  # too few to hold one out
    assert "off by" not in capsys.readouterr().out
    quick = ("--set", "steps=2", "batch=4", "log_every=1", "frozen_trunk=true")
    first = train("--demos", "1", "--trunk", str(trunk / "policy"), "--out", str(sft), *quick)[1]
    assert read_lineage(sft / "policy").parent == seen["version"]
    words = ("--algorithm", "branched_ppo", "--world-model", "oracle_sim", "--starts", "1")
    rounds = ("--set", "iterations=1", "branches=4", "value_passes=1", "update.minibatch=8")
    code, told, _ = train(*words, "--parent", str(sft / "policy"), "--out", str(out), *rounds)
    assert code == 0, told
    assert told["cost"]["episodes"] == 2
    assert 4 <= told["cost"]["dreamt_chunks"] <= 8
    lineage = read_lineage(out / "policy")
    assert (lineage.parent, lineage.config["world_model"]) == (first["version"], "oracle_sim-1")


def test_an_interrupted_imitation_goes_on_with_the_same_demonstrations(
    train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vla_mbpo_ros.algorithms.imitation.bc import _Trainer
    from vla_mbpo_ros.sim.tabletop import Pool

    words = ("--demos", "1", "--set", "steps=4", "batch=8", "log_every=2", "save_every=2")
    whole = train("--out", str(tmp_path / "whole"), *words)[1]
    advance = _Trainer.advance

    def interrupted(self: Any) -> Any:
        if self.step == 3:
            raise KeyboardInterrupt
        return advance(self)

    with monkeypatch.context() as patched:
        patched.setattr(_Trainer, "advance", interrupted)
        assert train("--out", str(tmp_path / "parts"), *words)[0] == 130
    with monkeypatch.context() as patched:
        patched.delattr(Pool, "demonstrate")  # nothing is shown a second time
        code, parts, _ = train("--out", str(tmp_path / "parts"), *words)
    assert code == 0
    assert parts["version"] == whole["version"]
    assert parts["cost"] == whole["cost"]
    code, told, _ = train("--out", str(tmp_path / "parts2"), *words, "--noise", "0.1")
    assert code == 0
    (tmp_path / "parts2" / "policy").rename(tmp_path / "elsewhere")
    code, told, _ = train("--out", str(tmp_path / "parts2"), *words, "--noise", "0.2")
    assert code == 2
    assert "noise was 0.1, now 0.2" in told["error"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--algorithm", "online_ppo"), "online_ppo begins with a policy, and none was given."),
        (("--world-model", "oracle_sim"), "branched_ppo needs a world model, and nothing else does."),
        (("--trunk", "a", "--parent", "b"), "--trunk is for a new policy"),
        (("--demos", "0"), "0 demonstrations"),
        (("--seed", "500"), "would reach the starts of others"),
        (("--set", "leanring_rate=1"), "Unknown configuration key 'leanring_rate' in --set."),
        (("--set", "lr"), "--set got 'lr'."),
        (("--set", "lr=much"), "'lr' in --set must be a float"),
        (("--task", "pres_red"), "Unknown task of the tabletop 'pres_red'."),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_starts(
    train: Run, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    code, told, _ = train("--out", str(tmp_path / "out"), *words)
    assert code == 2
    assert said in told["error"]
    assert not (tmp_path / "out").exists()


def test_several_processes_learn_from_bags_only(train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, told, _ = train("--out", str(tmp_path / "out"))
    assert code == 2
    assert "Several processes learn from bags only." in told["error"]


def test_a_finished_training_is_not_overwritten(train: Run, tmp_path: Path) -> None:
    (tmp_path / "out" / "policy").mkdir(parents=True)
    code, told, _ = train("--out", str(tmp_path / "out"))
    assert code == 2
    assert "exists already, not overwriting" in told["error"]
