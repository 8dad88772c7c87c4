"""Flat dataclasses -> messages with the same field names: ExecutorStatus, SafetyState."""

from __future__ import annotations

from dataclasses import fields
from enum import IntEnum
from typing import Any

from vla_mbpo_ros.messages.stamps import fill_stamp


def encode_status(status: Any, message_class: Any) -> Any:
    """`status.stamp_ns` becomes the header's stamp; every other field is copied by its name."""
    message = message_class()
    for item in fields(status):
        value = getattr(status, item.name)
        if item.name == "stamp_ns":
            fill_stamp(message.header.stamp, value)
        else:
            setattr(message, item.name, int(value) if isinstance(value, IntEnum) else value)
    return message
