"""The loop over episodes, in both directions: a bad one is a named skip in the report, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_mbpo_ros.data.formats.staging import BrokenOutput
from vla_mbpo_ros.errors import MissingDependency, VlaMbpoError

OnProgress = Callable[[str], None]  # called with the name of what comes next


@dataclass(frozen=True)
class Moved:
    """One episode that is there now."""

    source: str
    target: str
    rows: int


@dataclass
class TransferReport:
    """What became of every episode."""

    format: str
    path: Path  # of the result
    moved: list[Moved] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)  # source, reason
    notes: list[tuple[str, str]] = field(default_factory=list)  # source, what was left out of it
    filtered: int = 0  # episodes that were not asked for

    def skip(self, source: str, reason: str) -> None:
        self.skipped.append((source, reason))

    def note(self, source: str, text: str) -> None:
        self.notes.append((source, text))

    @contextmanager
    def skipping(self, source: str) -> Iterator[None]:
        """What goes wrong inside ends this episode only, unless nothing can go on after it."""
        try:
            yield
        except (BrokenOutput, MissingDependency, OSError):
            raise
        except VlaMbpoError as error:
            self.skip(source, str(error))
        except Exception as error:  # foreign data are wrong in ways that nobody has thought of
            self.skip(source, f"Unexpected {type(error).__name__}: {error}. Report it.")

    @property
    def rows(self) -> int:
        return sum(item.rows for item in self.moved)

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "path": str(self.path),
            "episodes": len(self.moved),
            "rows": self.rows,
            "filtered": self.filtered,
            "moved": [vars(item) for item in self.moved],
            "skipped": _pairs(self.skipped, "reason"),
            "notes": _pairs(self.notes, "note"),
        }


def _pairs(pairs: Iterable[tuple[str, str]], name: str) -> list[dict[str, str]]:
    return [{"source": source, name: text} for source, text in pairs]
