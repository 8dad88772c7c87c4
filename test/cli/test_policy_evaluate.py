"""`vla-mbpo policy evaluate`: policies on the same starts, each beside the first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.algorithms.grounds.tabletop import make_policy_for
from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.cli.policy_evaluate import FRESH_SEED
from vla_mbpo_ros.policy.checkpoint import Lineage, save_policy
from vla_mbpo_ros.sim.tabletop import Pool, collect


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two policies that have learnt nothing, differently."""
    with Pool(1) as pool:
        demos = collect(("press_red",), range(1), pool=pool)
    folders = [tmp_path_factory.mktemp("policies") / str(seed) for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        save_policy(make_policy_for(demos, seed=seed), folder, Lineage())
    return str(folders[0]), str(folders[1])


def test_each_is_told_beside_the_first(untrained: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--task", "press_red", "lift_red", "--episodes", "4", "--workers", "1"]
    assert cli.main(["policy", "evaluate", *untrained, *words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tasks"], told["episodes"], told["first_seed"]) == (["press_red", "lift_red"], 4, FRESH_SEED)
    one, other = told["policies"]
    assert one["gain"] is None
    assert one["version"] != other["version"]
    assert [one["success"][name]["episodes"] for name in ("all", "press_red", "lift_red")] == [4, 2, 2]
    change = other["success"]["all"]["success"] - one["success"]["all"]["success"]
    assert other["gain"]["mean"] == pytest.approx(change)
    assert (other["gain"]["won"] - other["gain"]["lost"]) / 4 == pytest.approx(change)
    assert cli.main(["policy", "evaluate", *untrained, *words]) == 0
    assert "beside the first" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--episodes", "7"], "7 episodes of 8 tasks"),
        (["--first-seed", "-1"], "from seed -1"),
        (["--task", "juggle"], "juggle"),
    ],
)
def test_what_cannot_be_is_refused(
    untrained: tuple[str, str], words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["policy", "evaluate", untrained[0], *words, "--json"]) == 2
    assert says in capsys.readouterr().out


def test_what_is_no_policy_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "evaluate", str(tmp_path), "--json"]) == 2
    assert "no policy of this package" in capsys.readouterr().out
