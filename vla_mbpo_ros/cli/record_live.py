"""The recorder on a terminal: what it does now, by source, and one key for each thing that it may be asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.output import say
from vla_mbpo_ros.cli.record_keys import Command, Keys, read_key, single_keys
from vla_mbpo_ros.errors import VlaMbpoError

if TYPE_CHECKING:
    from vla_mbpo_ros.cli.record_client import RecorderClient

STATES = ("idle", "waiting for sources", "recording", "closing", "FAILED")  # in the order of EpisodeStatus.msg
_LOOK_S = 0.05
_DRAW_S = 0.2


class LiveRecord:
    """`draw` gets status, help and the newest answer a few times a second."""

    def __init__(
        self,
        recorder: RecorderClient,
        draw: Callable[[Any, str, str], None],
        instruction: str,
        note: str,
        wait_s: float,
    ) -> None:
        self._recorder, self._draw = recorder, draw
        self._instruction, self._note, self._wait_s = instruction, note, wait_s
        self._keys, self._said, self._drawn_s = Keys(), "", 0.0
        recorder.tick = self.draw

    def run(self, next_key: Callable[[], str]) -> None:
        """Until `q`."""
        while True:
            self._recorder.spin(_LOOK_S)
            self.draw()
            key = next_key()
            if not key:
                continue
            command = self._keys.press(key, self._recorder.is_recording)
            if command.name == "quit":
                return
            self.do(command)

    def do(self, command: Command) -> None:
        """Ask the recorder; its answer or refusal is shown."""
        self._said = command.text
        if not command.name:
            return
        try:
            self._said = str(self._ask(command).message)
        except VlaMbpoError as error:
            self._said = str(error)

    def draw(self) -> None:
        if time.monotonic() - self._drawn_s >= _DRAW_S:
            self._drawn_s = time.monotonic()
            self._draw(self._recorder.status, self._keys.help, self._said)

    def _ask(self, command: Command) -> Any:
        recorder = self._recorder
        if command.name == "start":
            return recorder.start(self._instruction, self._wait_s)
        if command.name == "stop":
            return recorder.stop(command.outcome, self._note)
        if command.name == "label":
            return recorder.label(command.outcome, self._note)
        return recorder.discard() if command.name == "discard" else recorder.snapshot(self._note)


def record_live(recorder: RecorderClient, instruction: str, note: str, wait_s: float) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    with single_keys() as terminal, Live(console=console, auto_refresh=False) as live:

        def draw(status: Any, keys: str, said: str) -> None:
            live.update(make_view(status, keys, said), refresh=True)

        view = PlainView().draw if console.is_dumb_terminal else draw
        LiveRecord(recorder, view, instruction, note, wait_s).run(lambda: read_key(terminal))
    if recorder.is_recording:
        say(f"The recorder goes on with {recorder.status.bag_path}.")


class PlainView:
    """For a terminal that cannot move its cursor: a line when something is new."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = ()

    def draw(self, status: Any, keys: str, said: str) -> None:
        now = (status.state, status.episode_id, keys, said)
        if now != self._last:
            self._last = now
            say("\n".join(text for text in (summary(status), status.message, said, keys) if text))


def summary(status: Any) -> str:
    """One line of what the recorder does."""
    parts = [STATES[status.state] if status.state < len(STATES) else f"state {status.state}"]
    if status.state == status.RECORDING:
        parts.append(f"{status.duration_s:.1f} s")
    for word, counts in (("received", status.received), ("written", status.written), ("lost", status.lost)):
        parts.append(f"{sum(counts)} {word}")
    parts += [f"{status.bytes_written / 1e6:.1f} MB", f"{status.disk_free_bytes / 1e9:.1f} GB free"]
    if status.snapshot_s:
        parts.append(f"{status.snapshot_s:.1f} s in memory")
    return "   ".join(parts)


def make_view(status: Any, keys: str, said: str) -> Any:
    """Summary, the newest answer, the keys, a row for each source; what a small terminal cuts off comes last."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{status.episode_id or 'no episode yet'}", title_justify="left")
    table.add_column("source", no_wrap=True)
    for heading in ("received", "written", "lost"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, *counts in zip(status.topics, status.received, status.written, status.lost, strict=True):
        table.add_row(name, *(str(count) for count in counts), style="red" if counts[2] else "")
    title = Text(summary(status), style="red" if status.state == status.FAILED else "bold")
    answers = (Text(text, style="yellow") for text in (status.message, said) if text)
    return Group(title, *answers, Text(keys, style="dim"), table)
