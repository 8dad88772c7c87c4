"""Nanoseconds <-> builtin_interfaces/Time."""

from __future__ import annotations

from typing import Any

from vla_mbpo_ros.errors import ContractError

_NS = 1_000_000_000
_SEC_LIMIT = 2**31  # Time.sec is an int32


def to_ns(stamp: Any) -> int:
    return int(stamp.sec) * _NS + int(stamp.nanosec)


def fill_stamp(stamp: Any, ns: int) -> None:
    sec, nanosec = divmod(int(ns), _NS)
    if not -_SEC_LIMIT <= sec < _SEC_LIMIT:
        raise ContractError(f"{ns} ns does not fit into a stamp.", "Give nanoseconds, not another unit.")
    stamp.sec, stamp.nanosec = sec, nanosec


def from_ns(ns: int, time_class: Any) -> Any:
    stamp = time_class()
    fill_stamp(stamp, ns)
    return stamp
