"""What a person sees while a graph runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from vla_mbpo_ros.cli.output import say

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.report import Report, TopicReport
    from vla_mbpo_ros.bringup.session import Session

_TABLE_S = 0.5  # between two drawings of the table
_LINE_S = 5.0  # between two lines where there is no terminal


class View(Protocol):
    """`echo` takes one line of a node's log; `tick` is called a few times a second."""

    def echo(self, name: str, line: str) -> None: ...

    def tick(self, session: Session) -> None: ...


class PlainView:
    def __init__(self) -> None:
        self._next_s, self._phase = 0.0, ""

    def echo(self, name: str, line: str) -> None:
        say(f"[{name}] {line}")

    def tick(self, session: Session) -> None:
        if time.monotonic() < self._next_s and session.phase == self._phase:
            return
        self._next_s, self._phase = time.monotonic() + _LINE_S, session.phase
        say(_summary(session))


class TableView:
    """A table that stays at the bottom while log lines pass above it."""

    def __init__(self, live: Any) -> None:
        self._live, self._next_s = live, 0.0

    def echo(self, name: str, line: str) -> None:
        self._live.console.print(f"[{name}] {line}", markup=False, highlight=False)

    def tick(self, session: Session) -> None:
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _TABLE_S
            self._live.update(make_table(session.report(), _summary(session)), refresh=True)


@contextmanager
def make_view(plain: bool) -> Iterator[View]:
    if plain or not sys.stderr.isatty():
        yield PlainView()
        return
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:  # nice to have, not needed to run a robot
        yield PlainView()
        return
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield TableView(live)


def show_report(report: Report) -> None:
    try:
        from rich.console import Console
    except ImportError:
        for row in _rows(report):
            print("  ".join(row))
        return
    Console().print(make_table(report, "ok" if report.ok else "not as promised"))


def make_table(report: Report, title: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("topic", no_wrap=True)
    for heading in ("Hz", "promised", "messages"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column()
    for row in _rows(report):
        table.add_row(*row, style="red" if row[-1] else "")
    return table


def _rows(report: Report) -> list[tuple[str, ...]]:
    return [(name, *_row(topic)) for name, topic in report.topics.items()]


def _row(topic: TopicReport) -> tuple[str, ...]:
    promised = "on change" if topic.expected_hz is None else f"{topic.expected_hz:.1f}"
    return f"{topic.hz:.1f}", promised, str(topic.received), topic.problem


def _summary(session: Session) -> str:
    waiting = session.observer.inactive()
    if session.phase == "starting":
        return f"starting; waiting for {', '.join(waiting)}"
    restarts, deaths = sum(session.processes.restarts.values()), len(session.processes.errors)
    graph_s = session.observer.now_ns() / 1e9
    return f"{session.phase}; graph time {graph_s:.1f} s, {restarts} restarts, {deaths} deaths"
