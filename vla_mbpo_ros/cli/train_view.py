"""A bar that follows a training, on standard error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """`key` is the column that counts to `total`; `shown` are columns to show, where a row has them."""

    def __init__(self, name: str, total: int, key: str, shown: Sequence[str], quiet: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[told]}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), disable=quiet)
        self._task = self._progress.add_task(name, total=total, told="")
        self._key, self._shown = key, tuple(shown)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def see(self, row: Mapping[str, float]) -> None:
        told = " ".join(f"{name} {row[name]:.3g}" for name in self._shown if name in row)
        self._progress.update(self._task, completed=row[self._key], told=told)
