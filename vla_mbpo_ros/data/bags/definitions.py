"""What a message type looks like: its text with everything it is made of, and its RIHS01 hash.

Both come from the share folders of the installed packages. The hash is the one that the type support was
built with, so it is the one that a publisher announces:

    <share>/<package>/msg/<Name>.msg    text
    <share>/<package>/msg/<Name>.json   hash, and the names of all types that it is made of
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from vla_mbpo_ros.errors import BagError, MissingDependency
from vla_mbpo_ros.share import package_share

_NAME = re.compile(r"[a-z][a-z0-9_]*/msg/[A-Za-z][A-Za-z0-9_]*")
_SEPARATOR = "=" * 80


@dataclass(frozen=True)
class Definition:
    """One message type as a bag embeds it."""

    name: str  # as "package/msg/Name"
    text: str  # in the `ros2msg` form: the type, then each dependency below a line of 80 "="
    hash: str  # "RIHS01_…"


@cache
def load_definition(type_name: str) -> Definition:
    """The definition of an installed type."""
    if not _NAME.fullmatch(type_name):
        raise BagError(f"'{type_name}' is not the name of a message type.", "Write it as package/msg/Name.")
    described = _described(type_name)
    parts = [_source(type_name, ".msg")]
    for item in described["type_description_msg"]["referenced_type_descriptions"]:
        parts.append(f"{_SEPARATOR}\nMSG: {_short(item['type_name'])}\n{_source(item['type_name'], '.msg')}")
    return Definition(type_name, "\n".join(parts), _hash(type_name, described))


def _described(type_name: str) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(_source(type_name, ".json"))
    return described


def _hash(type_name: str, described: dict[str, Any]) -> str:
    hashes = {item["type_name"]: item["hash_string"] for item in described["type_hashes"]}
    return str(hashes[type_name])


def _source(type_name: str, suffix: str) -> str:
    package, folder, name = type_name.split("/")
    try:
        return (package_share(package) / folder / f"{name}{suffix}").read_text(encoding="utf-8")
    except MissingDependency as error:
        raise BagError(f"Message type {type_name} is not installed. {error.cause}", error.cure) from error
    except OSError as error:
        cause = f"Message type {type_name} is not installed: cannot read {error.filename}."
        raise BagError(cause, f"Install {package} again, or build it again.") from error


def _short(type_name: str) -> str:
    """The name as .msg files write it: "std_msgs/Header"."""
    package, _, name = type_name.split("/")
    return f"{package}/{name}"
