"""Children are started, watched, restarted and stopped; here they are small scripts instead of nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vla_mbpo_ros.bringup.child import ChildSpec
from vla_mbpo_ros.bringup.processes import Processes
from vla_mbpo_ros.bringup.restarts import RestartLimits, RestartRecord
from vla_mbpo_ros.errors import GraphError

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
# Stands for a node that does not listen.
DEAF = "import signal; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; " + SLEEP
QUICK = RestartLimits(most=3, window_s=30.0, first_s=0.05, longest_s=0.2)
MakeSpec = Callable[..., ChildSpec]


@pytest.fixture
def make_spec() -> MakeSpec:
    def make(name: str, code: str, **facts: bool) -> ChildSpec:
        return ChildSpec(name, [sys.executable, "-S", "-u", "-c", code], dict(os.environ), **facts)

    return make


def wait_for(condition: Callable[[], bool], step: Callable[[], object] = lambda: None, limit_s: float = 8.0) -> None:
    """Until `condition` holds; a test that waits in vain fails here."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        step()
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Running, and not merely a zombie that its new parent has not yet read."""
    try:
        with open(f"/proc/{pid}/stat") as words:
            return words.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_children_run_until_they_are_stopped_together(make_spec: MakeSpec, tmp_path: Path) -> None:
    with Processes([make_spec("a", SLEEP), make_spec("b", SLEEP)], tmp_path) as processes:
        pids = list(processes.pids.values())
        processes.check()
        assert all(is_alive(pid) for pid in pids)
    assert not any(is_alive(pid) for pid in pids)


def test_what_children_write_is_kept_and_echoed_with_their_name(make_spec: MakeSpec, tmp_path: Path) -> None:
    echoed: list[tuple[str, str]] = []
    specs = [make_spec("a", "import sys; print('one'); print('two', file=sys.stderr)" + "; " + SLEEP)]
    with Processes(specs, tmp_path, echo=lambda *words: echoed.append(words)) as processes:
        wait_for(lambda: len(echoed) == 3, processes.check)
    assert echoed[:2] == [("a", "one"), ("a", "two")]
    assert (tmp_path / "a.log").read_text().startswith("one\ntwo\n")


def test_a_child_that_dies_is_started_again_and_counted(make_spec: MakeSpec, tmp_path: Path) -> None:
    with Processes([make_spec("a", SLEEP)], tmp_path, QUICK, echo=lambda *_: None) as processes:
        first = processes.pids["a"]
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: processes.pids.get("a", first) != first, processes.check)
        assert processes.restarts == {"a": 1}
        assert processes.errors == ["a ended with signal SIGKILL."]


def test_a_child_that_always_dies_is_given_up_with_its_name_code_and_last_words(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    specs = [make_spec("camera", "raise SystemExit('no such device')")]
    with (
        pytest.raises(GraphError, match=r"camera ended 3 times, last with exit code 1. It said: no such device"),
        Processes(specs, tmp_path, QUICK, echo=lambda *_: None) as processes,
    ):
        wait_for(lambda: False, processes.check)


def test_a_traceback_is_quoted_without_its_frames(make_spec: MakeSpec, tmp_path: Path) -> None:
    specs = [make_spec("a", "1 / 0", respawn=False)]
    with (
        pytest.raises(GraphError, match="It said: ZeroDivisionError: division by zero Its whole log is"),
        Processes(specs, tmp_path, QUICK, echo=lambda *_: None) as processes,
    ):
        wait_for(lambda: False, processes.check)


@pytest.mark.parametrize(("code", "reason"), [(2, "settings are not valid"), (3, "something is not installed")])
def test_a_child_whose_settings_are_wrong_is_not_tried_again(
    make_spec: MakeSpec, tmp_path: Path, code: int, reason: str
) -> None:
    with (
        pytest.raises(GraphError, match=reason),
        Processes([make_spec("a", f"raise SystemExit({code})")], tmp_path, QUICK) as processes,
    ):
        wait_for(lambda: False, processes.check)
    assert processes.restarts == {"a": 0}


def test_a_child_that_is_not_required_may_stay_away(make_spec: MakeSpec, tmp_path: Path) -> None:
    specs = [make_spec("a", SLEEP), make_spec("viewer", "pass", respawn=False, required=False)]
    with Processes(specs, tmp_path, QUICK, echo=lambda *_: None) as processes:
        wait_for(lambda: bool(processes.errors), processes.check)
        processes.check()
        assert list(processes.pids) == ["a"]


def test_a_deaf_child_is_killed(make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ((signal.SIGINT, 0.1), (signal.SIGTERM, 0.1), (signal.SIGKILL, 2.0))
    monkeypatch.setattr("vla_mbpo_ros.bringup.processes.STOP_STEPS", steps)
    echoed: list[str] = []
    with Processes([make_spec("a", DEAF)], tmp_path, echo=lambda _, line: echoed.append(line)) as processes:
        wait_for(lambda: "up" in echoed, processes.check)
        pid = processes.pids["a"]
    assert not is_alive(pid)


def test_what_a_child_leaves_behind_ends_with_it(make_spec: MakeSpec, tmp_path: Path) -> None:
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-S', '-c', {SLEEP!r}]).pid)"
    echoed: list[str] = []
    specs = [make_spec("a", code, respawn=False, required=False)]
    with Processes(specs, tmp_path, echo=lambda _, line: echoed.append(line)) as processes:
        wait_for(lambda: bool(processes.errors), processes.check)
        grandchild = next(int(line) for line in echoed if line.isdigit())
        wait_for(lambda: not is_alive(grandchild))


def test_a_program_that_is_not_there_is_named_and_nothing_stays_behind(make_spec: MakeSpec, tmp_path: Path) -> None:
    missing = replace(make_spec("b", ""), command=["/no/such/program"])
    processes = Processes([make_spec("a", SLEEP), missing], tmp_path)
    with pytest.raises(GraphError, match="b cannot be started: there is no program /no/such/program"):
        processes.start()
    assert not processes.pids


_PARENT = f"""
import os, sys, time
from pathlib import Path
from vla_mbpo_ros.bringup.child import ChildSpec
from vla_mbpo_ros.bringup.processes import Processes
processes = Processes([ChildSpec("a", [sys.executable, "-S", "-c", {SLEEP!r}], dict(os.environ))], Path(sys.argv[1]))
processes.start()
print(processes.pids["a"], flush=True)
time.sleep(60)
"""


def test_children_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(child))


def test_pauses_between_restarts_grow_up_to_a_limit() -> None:
    record = RestartRecord(RestartLimits(most=10, window_s=1e9, first_s=1.0, longest_s=5.0))
    pauses = []
    for death in range(5):
        record.died(100.0 * death)
        pauses.append(record.again_at_s - 100.0 * death if record.again_at_s else None)
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_deaths_long_ago_are_forgiven() -> None:
    record = RestartRecord(RestartLimits(most=2, window_s=10.0))
    assert record.died(0.0)
    assert record.died(20.0)
    assert not record.died(25.0)


def test_stopping_takes_no_longer_than_the_slowest_child(make_spec: MakeSpec, tmp_path: Path) -> None:
    with Processes([make_spec(name, SLEEP) for name in "abcd"], tmp_path) as processes:
        processes.check()
        began = time.monotonic()
    assert time.monotonic() - began < 2.0
