"""What the verbs of `vla-mbpo bags` share: finding bags, tables that fit the terminal, and patience."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.cli.output import say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FOLDER = Path("bags")
WIDE = 110  # columns of a terminal from which tables show all that they have
_PATIENCE_S = 2.0  # nothing is said of what takes no longer
_LINE_S = 10.0  # between two lines where there is no terminal
_BETWEEN = 2  # spaces between two columns; rich draws one of them itself
_LEAST = 16  # a column never gets narrower
_SHOWN = 10  # lines of a kind for people; --json has all


def add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where an id is looked for (default: bags); a path needs none"
    )


def locate(name: str, folder: Path) -> Path:
    """A bag by its path, or by its id in `folder`."""
    from vla_mbpo_ros.data.catalogue.index import open_index
    from vla_mbpo_ros.errors import BagError

    if Path(name).exists():
        return Path(name)
    if not folder.is_dir():
        raise BagError(f"There is no bag '{name}', and no folder {folder} to look for it.", "Say --folder.")
    index = open_index(folder)
    return index.path(index.find(name))


def gather(paths: Sequence[Path]) -> list[Path]:
    """All bags of several bags and folders, each once."""
    from vla_mbpo_ros.data.bags.find import find_below

    return list(dict.fromkeys(bag for path in paths for bag in find_below(path)))


def make_console() -> Console:
    """A file or a pipe is as wide as it needs to be, unless COLUMNS says otherwise."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=140)


def show_lines(title: str, lines: Iterable[str]) -> None:
    """On standard output, wrapped to the terminal, with a hanging indent; not more than a screenful."""
    lines, width = list(lines), make_console().width
    if lines:
        print(title)
    for line in lines[:_SHOWN]:
        print(textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))
    if len(lines) > _SHOWN:
        print(f"  … and {len(lines) - _SHOWN} more; --json has all.")


def make_table(head: Sequence[str], rows: Sequence[Sequence[Any]], right: Collection[str], flexible: str) -> Table:
    """As wide as it needs to be; where the terminal is narrower, the column `flexible` folds.

    Cells are text, or rich's Text; `right` names the columns of numbers.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    texts = [[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row] for row in rows]
    columns = list(zip(*texts, strict=True)) if texts else [()] * len(head)
    widths = {
        word: max([len(word), *(len(line) for cell in cells for line in cell.plain.split("\n"))])
        for word, cells in zip(head, columns, strict=True)
    }
    over = sum(widths.values()) + _BETWEEN * len(head) - make_console().width
    widths[flexible] = max(widths[flexible] - max(over, 0), min(widths[flexible], _LEAST))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _BETWEEN - 1, 0, 0))
    for word in head:
        justify: Any = "right" if word in right else "left"
        table.add_column(word, justify=justify, width=widths[word], overflow="fold")
    for row in texts:
        table.add_row(*row)
    return table


def span_text(seconds: float) -> str:
    """As people say it."""
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size_text(size_bytes: float) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.{0 if size_bytes >= 10 * scale else 1}f} {unit}"
    return f"{size_bytes:.0f} B"


class Working:
    """A progress bar on a terminal, a line now and then elsewhere; only for what takes longer than two seconds."""

    def __init__(self, what: str, quiet: bool = False) -> None:
        self._what, self._quiet = what, quiet
        self._next_s = time.monotonic() + _PATIENCE_S
        self._bar: Any = None

    def __enter__(self) -> Callable[[float, float | None], None]:
        return self.update

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: float, total: float | None) -> None:
        """`total` None: nobody knows how much there is."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)
        elif not self._quiet and time.monotonic() >= self._next_s:
            self._begin(done, total)

    def _begin(self, done: float, total: float | None) -> None:
        if not sys.stderr.isatty():
            say(f"{self._what}: {f'{done / total:.0%}' if total else f'{done:.0f}'}")
            self._next_s = time.monotonic() + _LINE_S
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what, completed=done, total=total)
        self._bar.start()
