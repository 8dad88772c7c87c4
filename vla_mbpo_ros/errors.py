"""The error tree. Every error names its cause and its cure, and maps to one exit code of the commands.

VlaMbpoError                1   something went wrong
├── ConfigError             2   what the user wrote is not valid
│   └── UnknownName         2   a name that is not in a list; the nearest one is suggested
├── MissingDependency       3   something is not installed
├── ContractError           4   a message or an array does not have the promised form
│   └── NotFinite           4   a NaN or an infinity
├── StaleError              5   the newest reading of a source is too old
├── DeviceError             6   a camera, an arm or a simulator failed
├── BagError                7   a recording cannot be written or read
└── GraphError              8   a node of the running graph failed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VlaMbpoError(Exception):
    """Base of all errors that a user may see."""

    exit_code = 1

    def __init__(self, cause: str, cure: str = "") -> None:
        super().__init__(cause, cure)
        self.cause = cause
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.cause} {self.cure}".strip()


class ConfigError(VlaMbpoError):
    exit_code = 2


class UnknownName(ConfigError):
    """`kind` is what the name stands for: "robot", "configuration key", …"""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        place = f" in {where}" if where else ""
        super().__init__(f"Unknown {kind} '{name}'{place}.", _suggestion(name, self.known))


class MissingDependency(VlaMbpoError):
    exit_code = 3


class ContractError(VlaMbpoError):
    exit_code = 4


class NotFinite(ContractError):
    pass


class StaleError(VlaMbpoError):
    exit_code = 5


class DeviceError(VlaMbpoError):
    exit_code = 6


class BagError(VlaMbpoError):
    exit_code = 7


class GraphError(VlaMbpoError):
    exit_code = 8


def _suggestion(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(known)}." if known else "None is known."
