"""One row of numbers a step or iteration: kept as CSV, shown as it comes, and in TensorBoard if it is installed."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from vla_mbpo_ros.errors import ConfigError

Row = Mapping[str, float]
Watch = Callable[[Row], None]


class Log:
    """Rows of the same columns. A log that goes on keeps the rows up to where it goes on from."""

    def __init__(self, path: Path | None, key: str, after: int = -1, watch: Watch | None = None) -> None:
        self._path, self._watch, self._board = path, watch, None
        self._columns: list[str] = []
        if path is None:
            return
        kept = [row for row in read_log(path) if float(row[key]) <= after] if path.exists() else []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._columns = list(kept[0]) if kept else []
        with path.open("w", encoding="utf-8", newline="") as file:
            if kept:
                writer = csv.DictWriter(file, self._columns)
                writer.writeheader()
                writer.writerows(kept)
        self._board = _board(path.parent, after + 1)
        self._key = key

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._board is not None:
            self._board.close()

    def write(self, row: Row) -> None:
        if self._watch is not None:
            self._watch(row)
        if self._path is None:
            return
        fresh = not self._columns
        self._columns = self._columns or list(row)
        with self._path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            if fresh:
                writer.writeheader()
            writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
        if self._board is not None:
            for name, value in row.items():
                self._board.add_scalar(name, value, int(row[self._key]))


def read_log(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.", "Give the folder of a training.") from error


def _board(folder: Path, first: int) -> Any:
    """What an interrupted run has shown from step `first` on is hidden."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first if first > 0 else None)
