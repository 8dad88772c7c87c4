"""What a data set is made of, and what was left out and why. Nothing is left out silently."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class DatasetReport:
    """Filled while a data set is opened."""

    used: dict[str, str] = field(default_factory=dict)  # episode id -> its split
    skipped: dict[str, str] = field(default_factory=dict)  # path of a bag -> why it is not used
    rows: int = 0
    rows_skipped: Counter[str] = field(default_factory=Counter)  # reason -> messages or rows of used episodes
    windows: int = 0
    windows_skipped: Counter[str] = field(default_factory=Counter)  # reason -> windows
    without_success: list[str] = field(default_factory=list)  # successful episodes with no window into the success

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "episodes": len(self.used),
            "splits": dict(Counter(self.used.values())),
            "skipped": dict(self.skipped),
            "rows": self.rows,
            "rows_skipped": dict(self.rows_skipped),
            "windows": self.windows,
            "windows_skipped": dict(self.windows_skipped),
            "without_success": list(self.without_success),
        }

    def lines(self) -> list[str]:
        """For people."""
        shares = ", ".join(f"{count} {name}" for name, count in sorted(Counter(self.used.values()).items()))
        lines = [f"{len(self.used)} episodes ({shares}), {self.rows} rows, {self.windows} windows."]
        lines += [f"left out: {path}: {reason}" for path, reason in sorted(self.skipped.items())]
        lines += [f"left out: {count} {reason}" for reason, count in sorted(self.rows_skipped.items())]
        lines += [f"left out: {count} windows: {reason}" for reason, count in sorted(self.windows_skipped.items())]
        lines += [f"{name}: no window reaches its success; record longer." for name in self.without_success]
        return lines
