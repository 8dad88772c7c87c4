"""`vla-mbpo record`: what keys mean, that the terminal is put back, and what is said when nobody is there.

What it does with a recorder that answers is in test/nodes/test_recorder.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import random
import termios
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.cli import main as cli
from vla_mbpo_ros.cli import record_client
from vla_mbpo_ros.cli.record_keys import Command, Keys, read_key, single_keys
from vla_mbpo_ros.cli.record_live import PlainView, make_view, summary
from vla_mbpo_ros.errors import BagError

needs_ros = pytest.mark.skipif(not importlib.util.find_spec("rclpy"), reason="ROS 2 is not installed")
RECORDING = 2


def status(state: int = RECORDING, **facts: Any) -> SimpleNamespace:
    """As EpisodeStatus."""
    values = {"RECORDING": RECORDING, "FAILED": 4, "state": state, "episode_id": "arx_x5-1", "message": ""}
    counts = {"topics": ["/joint_states", "/head/color/image_raw"], "received": [90, 30], "written": [90, 28]}
    sizes = {"bytes_written": 45_100_000, "disk_free_bytes": 80_000_000_000, "duration_s": 6.04, "snapshot_s": 0.0}
    return SimpleNamespace(**{**values, **counts, "lost": [0, 2], **sizes, **facts})


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of one: ours and that of the person."""
    person, ours = pty.openpty()
    yield ours, person
    os.close(person)
    os.close(ours)


# -- keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "recording", "command"),
    [
        ("s", False, Command("start")),
        ("y", True, Command("stop", 1)),
        ("n", True, Command("stop", 2)),
        ("d", True, Command("discard")),
        ("p", False, Command("snapshot")),
        ("q", False, Command("quit")),
        ("qq", True, Command("quit")),
        ("ly", False, Command("label", 1)),
        ("ld", True, Command("label", 3)),
        ("lu", False, Command("label", 0)),
        ("lq", False, Command(text="Not labelled.")),
        ("qy", True, Command("stop", 1)),
        ("x", False, Command(text="'x' does nothing.")),
    ],
)
def test_keys_mean(keys: str, recording: bool, command: Command) -> None:
    pressed = Keys()
    assert [pressed.press(key, recording) for key in keys][-1] == command


@given(text=st.text(min_size=1, max_size=20), recording=st.booleans())
def test_a_recording_is_never_left_by_one_key(text: str, recording: bool) -> None:
    pressed, before = Keys(), ""
    for key in text:
        command = pressed.press(key, recording)
        if command.name == "quit":
            assert key == "q"
            assert not recording or before == "q"
        before = key


def test_the_second_key_of_a_label_is_explained() -> None:
    pressed = Keys()
    assert "l label the last one" in pressed.help
    pressed.press("l", False)
    assert "y success" in pressed.help
    assert "any other key" in pressed.help
    pressed.press("x", False)
    assert "q quit" in pressed.help


# -- the terminal -------------------------------------------------------------------------------------------------


def test_a_key_comes_without_enter_and_is_not_shown(terminal: tuple[int, int]) -> None:
    ours, person = terminal
    with os.fdopen(os.dup(ours)) as stream, single_keys(stream) as descriptor:
        assert read_key(descriptor) == ""
        os.write(person, b"Sy")
        assert [read_key(descriptor, 1.0), read_key(descriptor, 1.0)] == ["s", "y"]
        assert not termios.tcgetattr(ours)[3] & termios.ECHO


@pytest.mark.parametrize("error", [KeyboardInterrupt, BagError("The disk is full."), RuntimeError("a defect")])
def test_the_terminal_is_put_back_whatever_happens(terminal: tuple[int, int], error: BaseException) -> None:
    ours, _ = terminal
    before = termios.tcgetattr(ours)

    def work() -> None:
        with os.fdopen(os.dup(ours)) as stream, single_keys(stream):
            assert termios.tcgetattr(ours) != before
            raise error

    with pytest.raises(BaseException):  # noqa: B017, PT011  # whichever of the three
        work()
    assert termios.tcgetattr(ours) == before


def test_a_terminal_that_is_gone_counts_as_quitting() -> None:
    person, ours = pty.openpty()
    os.close(person)
    assert read_key(ours, 1.0) == "q"
    os.close(ours)


# -- what is shown ------------------------------------------------------------------------------------------------


def test_one_line_says_how_it_goes() -> None:
    line = summary(status())
    for part in ("recording", "6.0 s", "120 received", "118 written", "2 lost", "45.1 MB", "80.0 GB free"):
        assert part in line
    assert "in memory" in summary(status(state=0, snapshot_s=3.0))
    assert "FAILED" in summary(status(state=4))
    assert summary(status(state=9)).startswith("state 9")


def test_what_a_small_terminal_cuts_off_is_the_list_of_sources() -> None:
    from rich.console import Console

    console = Console(width=100, record=True, quiet=False, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(make_view(status(message="The disk is full."), "q quit", "Stopped."))
    shown = console.export_text()
    order = [shown.index(word) for word in ("recording", "The disk is full.", "Stopped.", "q quit", "/joint_states")]
    assert order == sorted(order)


def test_a_terminal_without_a_cursor_gets_a_line_when_something_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    for state in (0, 0, 2, 2):
        view.draw(status(state=state), "q quit", "")
    assert capsys.readouterr().err.count("q quit") == 2


# -- the command --------------------------------------------------------------------------------------------------


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["record", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_without_a_terminal_it_must_be_said_for_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys)
    assert code == 2
    assert "--seconds" in err


@pytest.mark.parametrize("words", [("--seconds", "0"), ("--seconds", "nan"), ("--seconds", "2", "--wait", "-1")])
def test_a_time_must_be_positive(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, *words)[0] == 2


@needs_ros
def test_when_no_recorder_is_there_it_says_so_within_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    monkeypatch.setattr(record_client, "ANSWER_S", 1.0)
    began_s = time.monotonic()
    code, out, _ = call(capsys, "--seconds", "1", "--json", "--namespace", "nobody/here")
    assert (code, time.monotonic() - began_s < 10.0) == (8, True)
    answer = json.loads(out)
    assert answer["ok"] is False
    assert "No recorder was heard" in answer["error"]
    assert "namespace nobody/here" in answer["error"]
    assert "vla-mbpo up" in answer["cure"]


@needs_ros
def test_what_is_no_namespace_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    code, _, err = call(capsys, "--seconds", "1", "--namespace", "a b")
    assert code == 2
    assert "'a b' is no namespace" in err
