"""`vla-mbpo bags export` and `bags import`, from the words of the command line to the files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_mbpo_ros.cli import bags_export, bags_import
from vla_mbpo_ros.cli.output import own_stdout
from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.data.episodes.episode import Episode
from vla_mbpo_ros.data.episodes.reader import read_episode
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.data.formats.bag_out import write_episode
from vla_mbpo_ros.errors import BagError, ConfigError, MissingDependency, UnknownName, VlaMbpoError
from vla_mbpo_ros.robots import get_robot

ROBOT = get_robot("arx_x5")
Command = Callable[..., tuple[int, dict[str, Any]]]


class Grey:
    """A picture a row, each of its own grey."""

    def __init__(self, stamps_ns: Any) -> None:
        self.stamps_ns = stamps_ns

    def __getitem__(self, index: int) -> Any:
        return np.full((32, 48, 3), 40 + 10 * index, dtype=np.uint8)


@pytest.fixture
def bags(tmp_path: Path) -> Path:
    """A folder of two episodes, one of them a failure."""
    for module in ("av", "h5py", "pyarrow"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'vla_mbpo_ros[formats]'")
    try:
        load_definition("vla_mbpo_ros/msg/FrameInfo")
    except BagError as error:
        pytest.skip(f"message definitions are not installed: {error}")
    for outcome in ("success", "failure"):
        write_episode(_episode(outcome), tmp_path / "bags", outcome)
    return tmp_path / "bags"


def _episode(outcome: str) -> Episode:
    times_ns = 10**9 + np.arange(8) * 100_000_000
    frames = {name: Grey(times_ns) for name in ROBOT.camera_names}
    return Episode(
        path=Path(outcome),
        facts=EpisodeFacts(robot="arx_x5", robot_id="arx_x5", instruction="lift", outcome=outcome),
        state_names=ROBOT.names,
        action_names=ROBOT.names,
        dt_ns=100_000_000,
        times_ns=times_ns,
        state=np.arange(8 * 14.0).reshape(8, 14),
        action=-np.arange(8 * 14.0).reshape(8, 14),
        source=("policy",) * 8,
        frames=frames,
        image_row={name: np.arange(8) for name in frames},
        success_ns=int(times_ns[6]) if outcome == "success" else None,
    )


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """command("export", …) -> exit code and the JSON object."""

    def run(*words: object) -> tuple[int, dict[str, Any]]:
        parser = argparse.ArgumentParser()
        verbs = parser.add_subparsers(required=True)
        bags_export.add(verbs)
        bags_import.add(verbs)
        args = parser.parse_args([*map(str, words), "--json"])
        with own_stdout(args):
            code = args.run(args)
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("name", ["lerobot", "hdf5"])
def test_a_folder_of_bags_goes_out_and_comes_back(bags: Path, command: Command, tmp_path: Path, name: str) -> None:
    code, out = command("export", name, bags, "--to", tmp_path / "set")
    assert (code, out["ok"], out["episodes"], out["rows"], out["skipped"]) == (0, True, 2, 16, [])
    code, back = command("import", name, tmp_path / "set", "--to", tmp_path / "again", "--robot", "arx_x5")
    assert (code, back["episodes"], back["rows"]) == (0, 2, 16)
    read = [read_episode(Path(item["target"])) for item in back["moved"]]
    assert sorted(episode.facts.outcome for episode in read) == ["failure", "success"]
    np.testing.assert_array_equal(read[0].action, _episode("success").action)


def test_only_successes_are_exported_when_asked_for(bags: Path, command: Command, tmp_path: Path) -> None:
    code, out = command("export", "lerobot", bags, "--to", tmp_path / "set", "--outcome", "success")
    assert (code, out["episodes"], out["filtered"]) == (0, 1, 1)


def test_a_bad_bag_is_skipped_and_fails_only_a_strict_run(bags: Path, command: Command, tmp_path: Path) -> None:
    (bags / "success/success_0.mcap").write_bytes(b"")
    code, out = command("export", "hdf5", bags, "--to", tmp_path / "set")
    assert (code, out["ok"], out["episodes"]) == (0, True, 1)
    assert out["skipped"][0]["source"] == str(bags / "success")
    code, out = command("export", "hdf5", bags, "--to", tmp_path / "strict", "--strict")
    assert (code, out["ok"]) == (BagError.exit_code, False)
    assert (tmp_path / "strict").is_dir()


def test_nothing_exported_is_a_failure(bags: Path, command: Command, tmp_path: Path) -> None:
    code, out = command("export", "lerobot", bags, "--to", tmp_path / "set", "--outcome", "discarded")
    assert (code, out["ok"], out["filtered"]) == (BagError.exit_code, False, 2)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--codec", "h265"], UnknownName),
        (["--crf", "99"], ConfigError),
        (["--gaps", "splt"], UnknownName),
        (["--outcome", "won"], UnknownName),
        (["--fps", "0"], ConfigError),
        (["--cameras", "head=a,head=b"], ConfigError),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_read(
    bags: Path, command: Command, tmp_path: Path, words: list[str], error: type[VlaMbpoError]
) -> None:
    with pytest.raises(error):
        command("export", "lerobot", bags, "--to", tmp_path / "set", *words)
    assert not (tmp_path / "set").exists()


def test_folders_without_bags_and_existing_targets_are_refused(bags: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="No bag is in"):
        command("export", "lerobot", tmp_path / "empty", "--to", tmp_path / "set")
    with pytest.raises(ConfigError, match="exists already, not overwriting"):
        command("export", "lerobot", bags, "--to", tmp_path / "empty")


def test_a_library_that_is_missing_is_named_with_its_extra(
    bags: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependency, match=r"pip install 'vla_mbpo_ros\[formats\]'"):
        command("export", "hdf5", bags, "--to", tmp_path / "set")


@pytest.mark.parametrize(
    "words", [["export", "lerobot"], ["export", "hdf5"], ["import", "lerobot"], ["import", "rlds"]]
)
def test_help_has_examples(command: Command, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit):
        command(*words, "--help")
    assert f"vla-mbpo bags {' '.join(words)}" in capsys.readouterr().out
