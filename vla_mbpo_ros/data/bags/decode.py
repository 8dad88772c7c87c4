"""Raw CDR bytes -> a message, by the definition in the bag itself: old bags keep their own meaning.

A bag without definitions is read with the installed ones, then with those of ROS 2 Jazzy.
"""

from __future__ import annotations

import struct
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from vla_mbpo_ros.data.bags.definitions import load_definition
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.messages import stamp_of_cdr

# rclpy's serialize_message counts the alignment of empty arrays without writing it: a JointState without
# velocity and effort is 8 bytes longer than its content. So many bytes behind the last field mean nothing.
_STRAY_BYTES = 64
_TIME_FIRST = ("std_msgs/msg/Header", "builtin_interfaces/msg/Time")
_ENCAPSULATION_BYTES = 4
_PLAIN_CDR = (b"\x00\x00", b"\x00\x01")  # big and little endian


class Decoder:
    """Reads the messages of one type. Arrays of the decoded message are views of the bytes given: no copy."""

    def __init__(self, type_name: str, text: str, language: str = "ros2msg", encoding: str = "cdr") -> None:
        self.type_name = type_name
        if encoding != "cdr":
            cause = f"Messages of type {type_name} are encoded as '{encoding}', not as CDR."
            raise BagError(cause, "Record it from ROS 2, or convert it with the tools of its own format.")
        self.store = _store(type_name, text, language)
        self._message = self.store.get_msgdef(type_name)
        self.stamped = self._starts_with_time()

    def __call__(self, data: bytes | memoryview) -> Any:
        if bytes(data[:2]) not in _PLAIN_CDR:
            raise self._damaged(f"it begins with '{bytes(data[:4]).hex()}', which is not plain CDR")
        little = data[1] == 1
        read = self._message.deserialize_cdr_le if little else self._message.deserialize_cdr_be
        try:
            message, used = read(memoryview(data)[_ENCAPSULATION_BYTES:], 0, self._message.cls, self.store)
        except (SerdeError, struct.error, UnicodeDecodeError, ValueError, IndexError, MemoryError) as error:
            raise self._damaged(str(error)) from error
        if len(data) - _ENCAPSULATION_BYTES - used > _STRAY_BYTES:
            raise self._damaged(f"{len(data) - _ENCAPSULATION_BYTES - used} bytes are left over")
        return message

    def stamp_ns(self, data: bytes | memoryview) -> int | None:
        """Its own time, without decoding the rest; None for a type that has none in front."""
        return stamp_of_cdr(data) if self.stamped else None

    def time_ns(self, data: bytes | memoryview, log_ns: int) -> int:
        """Its own time, or the bag's where it has none."""
        return stamp_of_cdr(data) if self.stamped else log_ns

    def _starts_with_time(self) -> bool:
        fields = self.store.fielddefs[self.type_name][1]
        return bool(fields) and fields[0][1][1] in _TIME_FIRST

    def _damaged(self, reason: str) -> BagError:
        cause = f"A message of type {self.type_name} cannot be decoded: {reason}."
        return BagError(cause, "Leave this bag out, or record it again.")


def _store(type_name: str, text: str, language: str) -> Typestore:
    """All that a type is made of."""
    if not text:
        return _known_store(type_name)
    store = get_typestore(Stores.EMPTY)
    try:
        parse = get_types_from_idl if language.endswith("idl") else None
        store.register(parse(text) if parse else get_types_from_msg(text, type_name))
        store.get_msgdef(type_name)
    except Exception as error:  # the parser meets text of any kind, and fails in as many ways
        cause = f"The bag's own definition of {type_name} cannot be understood: {_line(error)}."
        raise BagError(cause, "Record it again with a complete installation.") from error
    return store


def _known_store(type_name: str) -> Typestore:
    """The bag says nothing of this type but its name."""
    if not type_name:
        raise BagError("The type of its messages has no name in the bag.", "Record it again, from ROS 2.")
    try:
        text = load_definition(type_name).text
    except BagError as missing:
        store = get_typestore(Stores.ROS2_JAZZY)
        if type_name in store.types:
            return store
        cause = f"The bag has no definition of {type_name}, and it is not installed."
        raise BagError(cause, "Install the package that defines it, then read the bag again.") from missing
    return _store(type_name, text, "ros2msg")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
