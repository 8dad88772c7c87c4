"""sensor_msgs/CompressedImage <-> (H, W, 3) uint8 RGB.

`format` is written in three ways:

    jpeg, png                          by many drivers
    rgb8; jpeg compressed bgr8         by image_transport: what the image was, the codec, what was compressed
    16UC1; compressedDepth png         depth: refused here

image_transport gives OpenCV a matrix in the order of the last word, and OpenCV takes any matrix for BGR. So
"compressed bgr8" is a JPEG as all the world reads it, whatever the first word says; in one that says "compressed
rgb8" red and blue have changed places.
"""

from __future__ import annotations

import array
import io
import re
import struct
import zlib
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.messages.stamps import fill_stamp
from vla_mbpo_ros.schema import ImageArray

_CODECS = {"jpeg": "JPEG", "jpg": "JPEG", "png": "PNG"}  # word in the format -> Pillow's name
_WRITTEN = "rgb8; jpeg compressed bgr8"  # so that subscribers of image_transport give rgb8 on
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)  # what Pillow raises
_BIT8 = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")


def decode_compressed(message: Any) -> ImageArray:
    """(H, W, 3) uint8 RGB; grey has three equal channels, alpha is dropped."""
    codec, swapped = _read_format(str(message.format))
    image = _pixels(bytes(message.data), codec, str(message.format))
    return image[:, :, ::-1] if swapped else image


def encode_compressed(image: ImageArray, stamp_ns: int, frame_id: str, quality: int, message_class: Any) -> Any:
    """A JPEG of an (H, W, 3) uint8 RGB image; `quality` from 1 to 100."""
    from PIL import Image

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ContractError(f"An image is {image.dtype} {image.shape}.", "Give (height, width, 3) uint8 RGB.")
    if not 1 <= quality <= 100:
        raise ContractError(f"{quality} is no JPEG quality.", "Give 1 to 100.")
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "JPEG", quality=quality)
    message = message_class()
    fill_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    message.format = _WRITTEN
    message.data = array.array("B", stream.getvalue())
    return message


def _read_format(text: str) -> tuple[str, bool]:
    """Pillow's name of the codec, and whether red and blue have changed places."""
    first, _, rest = text.lower().partition(";")
    if "compresseddepth" in rest.replace(" ", "") or first.strip() in ("16uc1", "32fc1", "mono16"):
        raise ContractError(f"A compressed image of format '{text}' is depth, not colour.", "Record the depth raw.")
    words = re.findall(r"[a-z0-9]+", rest or first)
    codec = next((_CODECS[word] for word in words if word in _CODECS), "")
    if not codec:
        known = "Known here: jpeg, png, and what image_transport's `compressed` writes with them."
        raise ContractError(f"The compressed format '{text}' is not known.", known)
    return codec, bool(rest) and words[-1].startswith("rgb")


def _pixels(data: bytes, codec: str, text: str) -> ImageArray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as picture:
            if picture.format != codec:
                raise ContractError(f"An image of format '{text}' is a {picture.format}.", "Mend its sender.")
            if picture.mode not in _BIT8:
                raise ContractError(f"An image of format '{text}' has more than 8 bits a channel.", "Send 8 bits.")
            return np.array(picture.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, *_BROKEN) as error:
        cause = f"An image of format '{text}' with {len(data)} bytes cannot be decoded: {error}."
        raise ContractError(cause, "It may have been cut off on its way; see what its sender sends.") from error
