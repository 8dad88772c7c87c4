"""Raw CDR bytes -> a message, by the definition in the bag itself: old bags keep their own meaning."""

from __future__ import annotations

import struct
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.base import TypesysError

from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.messages import stamp_of_cdr

# rclpy's serialize_message counts the alignment of empty arrays without writing it: a JointState without
# velocity and effort is 8 bytes longer than its content. So many bytes behind the last field mean nothing.
_STRAY_BYTES = 64
_TIME_FIRST = ("std_msgs/msg/Header", "builtin_interfaces/msg/Time")
_ENCAPSULATION_BYTES = 4


class Decoder:
    """Reads the messages of one type."""

    def __init__(self, type_name: str, text: str) -> None:
        self.type_name = type_name
        self.store = get_typestore(Stores.EMPTY)
        try:
            self.store.register(get_types_from_msg(text, type_name))
            self._message = self.store.get_msgdef(type_name)
        except (TypesysError, KeyError) as error:
            cause = f"The bag's own definition of {type_name} cannot be understood: {error}."
            raise BagError(cause, "Record it again with a complete installation.") from error
        self.stamped = self._starts_with_time()

    def __call__(self, data: bytes) -> Any:
        read = self._message.deserialize_cdr_le if data[1:2] == b"\x01" else self._message.deserialize_cdr_be
        try:
            message, used = read(memoryview(data)[_ENCAPSULATION_BYTES:], 0, self._message.cls, self.store)
        except (SerdeError, struct.error, UnicodeDecodeError, ValueError, IndexError) as error:
            raise self._damaged(str(error)) from error
        if len(data) - _ENCAPSULATION_BYTES - used > _STRAY_BYTES:
            raise self._damaged(f"{len(data) - _ENCAPSULATION_BYTES - used} bytes are left over")
        return message

    def stamp_ns(self, data: bytes) -> int | None:
        """Its own time, without decoding the rest; None for a type that has none in front."""
        return stamp_of_cdr(data) if self.stamped else None

    def _starts_with_time(self) -> bool:
        fields = self.store.fielddefs[self.type_name][1]
        return bool(fields) and fields[0][1][1] in _TIME_FIRST

    def _damaged(self, reason: str) -> BagError:
        cause = f"A message of type {self.type_name} cannot be decoded: {reason}."
        return BagError(cause, "Leave this bag out, or record it again.")
