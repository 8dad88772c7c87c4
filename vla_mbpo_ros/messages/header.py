"""The stamp of a serialised message, without deserialising it.

A message that begins with a Header or a Time has the same first bytes, in CDR as ROS 2 writes it:

    byte  0         1            2 3       4 5 6 7      8 9 10 11
          0         endianness   options   int32 sec    uint32 nanosec
                    0 big, 1 little
"""

from __future__ import annotations

import struct

from vla_mbpo_ros.errors import ContractError

_NS = 1_000_000_000
_LAYOUTS = {b"\x00\x00": struct.Struct(">iI"), b"\x00\x01": struct.Struct("<iI")}
_LENGTH = 12


def stamp_of_cdr(data: bytes | bytearray | memoryview) -> int:
    """Nanoseconds. Right only for types that begin with a Header or a Time; the caller knows the type."""
    if len(data) < _LENGTH:
        raise ContractError(
            f"A message of {len(data)} bytes has no stamp.", "Ask only for types that begin with a Header or a Time."
        )
    layout = _LAYOUTS.get(bytes(data[:2]))
    if layout is None:
        raise ContractError(
            f"A message begins with {bytes(data[:4]).hex()}, which is not plain CDR.",
            "Publish it with an RMW that writes CDR, such as rmw_fastrtps_cpp.",
        )
    sec, nanosec = layout.unpack_from(data, 4)
    if nanosec >= _NS:
        raise ContractError(
            f"A message has {nanosec} nanoseconds in its stamp.",
            "Ask only for types that begin with a Header or a Time.",
        )
    return int(sec) * _NS + int(nanosec)
