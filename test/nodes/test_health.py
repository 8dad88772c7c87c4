"""What a node complains of: told once, not a hundred times a second."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.ros


class Log:
    """A node's logger and its clock."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now_s = 100.0

    def get_logger(self) -> Log:
        return self

    def error(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr("vla_mbpo_ros.nodes.health.time.monotonic", lambda: log.now_s)
    return log


def health_of(log: Log) -> Any:
    from vla_mbpo_ros.nodes.health import Complaint, Health

    health = Health.__new__(Health)  # without a middleware: only its complaints are looked at
    health._node, health._complaint = log, Complaint()  # type: ignore[assignment]
    return health


def test_an_age_that_grows_is_no_new_complaint(log: Log) -> None:
    health = health_of(log)
    for tick in range(150):
        log.now_s = 100.0 + tick / 100.0
        health.complain(f"head is {tick / 100.0:.2f} s old")
    assert len(log.lines) == 1
    log.now_s += 1.0
    health.complain("head is 2.50 s old")
    assert log.lines[-1] == "head is 2.50 s old"


def test_another_complaint_is_told_at_once(log: Log) -> None:
    health = health_of(log)
    health.complain("head is 1.00 s old")
    health.complain("left_wrist is 1.00 s old")
    assert len(log.lines) == 2
