"""The frame of all commands: one JSON object on standard output, one sentence and an exit code for every error."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.cli.output import emit

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vla_mbpo_ros.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """In this process: exit code, standard output, standard error."""
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_and_version_load_no_array_library_and_no_ros() -> None:
    code = "import sys; from vla_mbpo_ros.cli.main import make_parser; make_parser(); print('numpy rclpy yaml'.split())"
    code = code.replace("'numpy rclpy yaml'.split()", "[m for m in ('numpy', 'rclpy', 'yaml') if m in sys.modules]")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_command_explains_itself() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(re.search(rf"\n    {name}\s", done.stdout) for name in cli.COMMANDS)
    assert run("--version").stdout.startswith("vla-mbpo ")


def test_an_unknown_robot_is_one_sentence_with_a_suggestion_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "up", "arx_x6", "--sim")
    assert (code, out) == (2, "")
    assert err == "error: Unknown robot 'arx_x6'. Did you mean 'arx_x5'?\n"


def test_with_json_an_error_is_one_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "up", "arx_x6", "--json")
    assert code == 2
    assert json.loads(out) == {
        "ok": False,
        "error": "Unknown robot 'arx_x6'.",
        "cure": "Did you mean 'arx_x5'?",
    }


def test_a_wrong_key_in_a_file_gets_the_nearest_valid_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("robot: arx_x5\npolicy: {horizn: 8}\n")
    for words in (("config", "--file", str(file)), ("up", "arx_x5", "--sim", "--config", str(file))):
        code, _, err = call(capsys, *words)
        assert code == 2
        assert f"Unknown configuration key 'policy.horizn' in {file}. Did you mean 'policy.horizon'?" in err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
def test_a_duration_must_be_positive(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "up", "arx_x5", "--sim", "--duration", seconds)[0] == 2


def test_what_a_library_prints_does_not_mix_with_the_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def noisy(args: Any) -> int:
        print("a library is talking")
        emit(args, {"ok": True, "nothing": float("nan"), "pair": (1, 2)}, lambda: None)
        return 0

    monkeypatch.setattr("vla_mbpo_ros.cli.config.run", noisy)
    code, out, err = call(capsys, "config", "--json")
    assert code == 0
    assert json.loads(out) == {"ok": True, "nothing": None, "pair": [1, 2]}
    assert "a library is talking" in err


def test_a_defect_is_one_sentence_unless_debugging(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(args: Any) -> int:
        raise KeyError("head")

    monkeypatch.setattr("vla_mbpo_ros.cli.config.run", broken)
    code, _, err = call(capsys, "config")
    assert code == 1
    assert err.startswith("error: Unexpected KeyError: 'head'")
    with pytest.raises(KeyError):
        cli.main(["config", "--debug"])


def test_ctrl_c_has_the_exit_code_that_shells_know(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(args: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("vla_mbpo_ros.cli.config.run", interrupted)
    assert call(capsys, "config")[0] == 130


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    line = f"{sys.executable} -m vla_mbpo_ros.cli.main config | head -n 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.startswith("#")
    assert "Traceback" not in done.stderr


def test_config_shows_every_setting_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "config", "arx_x5", "--json")
    settings = json.loads(out)["settings"]
    assert code == 0
    assert settings["cameras.head.hz"]["unit"] == "Hz"
    assert settings["gate.velocity_scale"]["dynamic"] is True
    assert "topics" in settings
    assert "cameras.head.hz" in call(capsys, "config")[1]


def test_the_signals_are_as_they_were_when_a_command_has_ended() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    assert cli.main(["config", "arx_x5", "--json"]) == 0
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)) == before
