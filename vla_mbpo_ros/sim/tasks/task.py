"""The form of a task."""

from __future__ import annotations

from typing import Any, Protocol


class Task(Protocol):
    """One task in a cell. Models and data are MuJoCo's."""

    name: str
    instruction: str

    def furnish(self, cell: Any) -> None:
        """Add the task's things to a cell's MjSpec, before it is compiled."""
        ...

    def lay_out(self, model: Any, data: Any, seed: int) -> None:
        """Put the things where they lie for `seed`; the same seed gives the same places."""
        ...

    def is_done(self, model: Any, data: Any) -> bool:
        """Whether it is done at this very moment. Positions in `data` are up to date."""
        ...
