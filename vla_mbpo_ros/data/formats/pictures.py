"""JPEG and PNG files in memory."""

from __future__ import annotations

import array
from types import SimpleNamespace

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.messages.compressed import decode_compressed
from vla_mbpo_ros.schema import ImageArray

_MAGIC = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}


def codec_of(data: bytes, where: str) -> str:
    """ "jpeg" or "png", by the file's own first bytes."""
    for magic, codec in _MAGIC.items():
        if data.startswith(magic):
            return codec
    raise ContractError(
        f"{where} is neither JPEG nor PNG: it begins with {data[:4].hex() or 'nothing'}.", "Leave it out."
    )


def decode(data: bytes, where: str) -> ImageArray:
    """(H, W, 3) uint8 RGB, by the decoder that bags are read with."""
    message = SimpleNamespace(format=codec_of(data, where), data=array.array("B", data))
    return decode_compressed(message)
