"""sensor_msgs/Image <-> arrays.

    encoding                      channels   decoded by     into
    rgb8, bgr8, rgba8, bgra8      3 or 4     decode_image   (H, W, 3) uint8 RGB; alpha is dropped
    mono8                         1          decode_image   (H, W, 3) uint8, three equal channels
    16UC1, mono16                 1          decode_depth   (H, W) float32 [m]; sent in mm, 0 is NaN (REP 118)
    32FC1                         1          decode_depth   (H, W) float32 [m]

Images are views of the message's own memory: nothing is copied, the message lives as long as the view, and
what comes from mono8 or from immutable bytes is read-only. Rows may be padded (`step`).
"""

from __future__ import annotations

import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.messages.stamps import fill_stamp, to_ns
from vla_mbpo_ros.schema import Frame, ImageArray

DepthArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Colour:
    channels: int
    rgb: slice | None  # which channels are red, green, blue; None: repeat the only one


_COLOURS = {
    "rgb8": _Colour(3, slice(0, 3)),
    "bgr8": _Colour(3, slice(None, None, -1)),
    "rgba8": _Colour(4, slice(0, 3)),
    "bgra8": _Colour(4, slice(2, None, -1)),
    "mono8": _Colour(1, None),
}
_DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_MM = np.float32(0.001)


def decode_frame(message: Any, number: int = 0) -> Frame:
    return Frame(to_ns(message.header.stamp), decode_image(message), number)


def decode_image(message: Any) -> ImageArray:
    """(H, W, 3) uint8 RGB."""
    colour = _COLOURS.get(message.encoding)
    if colour is None:
        raise _unknown(message.encoding, _COLOURS, "decode_depth" if message.encoding in _DEPTHS else "")
    pixels = _rows(message, colour.channels)
    image = pixels.reshape(message.height, message.width, colour.channels)  # splits an axis: still a view
    if colour.rgb is None:
        return np.broadcast_to(image, (message.height, message.width, 3))
    return image[:, :, colour.rgb]


def decode_depth(message: Any) -> DepthArray:
    """(H, W) float32 distance along the optical axis [m]; NaN where nothing was measured."""
    kind = _DEPTHS.get(message.encoding)
    if kind is None:
        raise _unknown(message.encoding, _DEPTHS, "decode_image" if message.encoding in _COLOURS else "")
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    raw = np.ascontiguousarray(_rows(message, dtype.itemsize)).view(dtype)
    if kind == "f4":
        metres: DepthArray = raw.astype(np.float32, copy=False)
    else:
        metres = raw.astype(np.float32) * _MM
        metres[raw == 0] = np.nan
    return metres


def fill_image(message: Any, image: ImageArray, stamp_ns: int, frame_id: str) -> None:
    """Write an (H, W, 3) RGB image into a message as rgb8; keep one message a publisher and fill it again.

    Replacing the bytes inside the existing array is the fastest way that rclpy has: a thousand times
    faster than assigning an ndarray. No view that `decode_image` made of this very message may be alive.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ContractError(f"An image is {image.dtype} {image.shape}.", "Give (height, width, 3) uint8 RGB.")
    fill_stamp(message.header.stamp, stamp_ns)
    message.header.frame_id = frame_id
    message.height, message.width = int(image.shape[0]), int(image.shape[1])
    message.encoding, message.is_bigendian, message.step = "rgb8", 0, 3 * int(image.shape[1])
    if not isinstance(message.data, array.array):
        message.data = array.array("B")
    del message.data[:]
    message.data.frombytes(np.ascontiguousarray(image).data)


def _rows(message: Any, bytes_per_pixel: int) -> ImageArray:
    """(H, W * bytes_per_pixel) uint8, without the padding."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    used, size = width * bytes_per_pixel, len(message.data)
    if height < 1 or width < 1 or step < used or size != height * step:
        raise ContractError(
            f"An image of {width} x {height} {message.encoding} has step {step} and {size} bytes.",
            f"Send step >= {used} and exactly height * step bytes.",
        )
    return np.frombuffer(message.data, dtype=np.uint8).reshape(height, step)[:, :used]


def _unknown(encoding: str, known: dict[str, Any], other: str) -> ContractError:
    cure = f"Known here: {', '.join(known)}."
    if other:
        return ContractError(f"Images of encoding '{encoding}' are read by {other}.", cure)
    if encoding.startswith(("bayer", "yuv", "uyvy", "yuyv", "nv")):
        cure += " Let the driver or image_proc convert it to rgb8 (with cv_bridge: cvtColor)."
    return ContractError(f"The image encoding '{encoding}' is not known.", cure)
