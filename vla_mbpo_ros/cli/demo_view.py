"""What a person sees of a demo: a progress bar for each episode on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vla_mbpo_ros.cli.output import say
from vla_mbpo_ros.config import OUTCOMES

if TYPE_CHECKING:
    from vla_mbpo_ros.bringup.episodes import EpisodeResult, Feedback
    from vla_mbpo_ros.bringup.graph import GraphSpec
    from vla_mbpo_ros.bringup.run_folder import RunFolder
    from vla_mbpo_ros.bringup.session import Session
    from vla_mbpo_ros.evaluation.episode_report import EpisodeReport

_PHASES = {
    "gate": "waiting for every source",
    "reset": "new layout",
    "record": "opening a bag",
    "arm": "arming",
    "run": "acting",
    "stop": "closing the bag",
}


class DemoView(Protocol):
    """Told of everything that happens, in this order."""

    def echo(self, name: str, line: str) -> None: ...

    def began(self, graph: GraphSpec, folder: RunFolder) -> None: ...

    def tick(self, session: Session) -> None: ...

    def episode(self, index: int, limit_s: float) -> None: ...

    def feedback(self, feedback: Feedback) -> None: ...

    def ended(self, index: int, result: EpisodeResult) -> None: ...

    def working(self, what: str) -> None: ...


class PlainDemoView:
    """One line for everything that changes; also the base of the other view."""

    def __init__(self, episodes: int) -> None:
        self._episodes, self._phase = episodes, ""

    def echo(self, name: str, line: str) -> None:
        self._say(f"[{name}] {line}")

    def began(self, graph: GraphSpec, folder: RunFolder) -> None:
        self._say(f"Starting {graph.robot.title}, its twin, as {len(graph.nodes)} processes: {', '.join(graph.order)}.")
        self._say(f"Logs and settings: {folder.path}")

    def tick(self, session: Session) -> None:
        pass

    def episode(self, index: int, limit_s: float) -> None:
        self._phase = ""

    def feedback(self, feedback: Feedback) -> None:
        if feedback.phase != self._phase:
            self._phase = feedback.phase
            self._say(_PHASES.get(feedback.phase, feedback.phase))

    def ended(self, index: int, result: EpisodeResult) -> None:
        speed = result.duration_s / result.wall_s if result.wall_s else 0.0
        self._say(
            f"Episode {index + 1} of {self._episodes}: {OUTCOMES[result.outcome]} after {result.duration_s:.1f} s of "
            f"simulated time in {result.wall_s:.1f} s ({speed:.1f} times real time)."
        )

    def working(self, what: str) -> None:
        self._say(what)

    def _say(self, text: str) -> None:
        say(text)


class BarDemoView(PlainDemoView):
    """Progress bars; lines pass above them."""

    def __init__(self, episodes: int, progress: Any) -> None:
        super().__init__(episodes)
        self._progress = progress
        self._bar = progress.add_task("starting the nodes", total=None)

    def tick(self, session: Session) -> None:
        waiting = len(session.observer.inactive())
        total = len(session.graph.order)
        self._progress.update(
            self._bar, description=f"nodes active: {total - waiting} of {total}", total=total, completed=total - waiting
        )

    def episode(self, index: int, limit_s: float) -> None:
        super().episode(index, limit_s)
        self._progress.remove_task(self._bar)
        self._bar = self._progress.add_task(f"episode {index + 1} of {self._episodes}", total=limit_s)
        self._title = f"episode {index + 1} of {self._episodes}"

    def feedback(self, feedback: Feedback) -> None:
        phase = _PHASES.get(feedback.phase, feedback.phase)
        text = f"{self._title}: {phase}, step {feedback.step}, {feedback.elapsed_s:.1f} s"
        self._progress.update(self._bar, description=text, completed=feedback.elapsed_s)

    def working(self, what: str) -> None:
        self._progress.update(self._bar, description=what, total=None)

    def _say(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)


@contextmanager
def make_demo_view(plain: bool, episodes: int) -> Iterator[DemoView]:
    """The view that suits standard error."""
    if plain or not sys.stderr.isatty():
        yield PlainDemoView(episodes)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield BarDemoView(episodes, progress)


def show_summary(reports: Sequence[EpisodeReport], folder: Path) -> None:
    """The table, the pictures and where everything lies, on standard output."""
    from rich.console import Console
    from rich.table import Table

    from vla_mbpo_ros.evaluation.episode_report import summary_rows

    rows = summary_rows(reports)
    table = Table(*rows[0], title=f"{reports[0].record.robot.title}, its twin", title_justify="left")
    for row in rows:
        table.add_row(*row.values())
    console = Console()
    if not console.is_terminal:  # a file or a pipe is as wide as it needs to be
        console = Console(width=140)
    console.print(table)
    for report in reports:
        print(f"bag      {report.record.path}")
        print(f"picture  {report.picture}")
    print(f"logs     {folder}/logs")
