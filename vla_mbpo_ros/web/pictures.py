"""Pictures as a browser takes them. What was imagined says so in its own pixels, wherever it is copied to."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vla_mbpo_ros.schema import ImageArray

WORD = "imagined"
SIDE = 256  # pixels: smaller pictures are enlarged, so that the word hides little of them
QUALITY = 88  # of JPEG
_PAPER, _INK = (190, 24, 147), (255, 255, 255)  # magenta: rare in kitchens and labs


def as_jpeg(image: ImageArray) -> bytes:
    """Of (H, W, 3) uint8 RGB."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "JPEG", quality=QUALITY, subsampling=0)
    return stream.getvalue()


def enlarged(image: ImageArray) -> ImageArray:
    """By a whole number, so a pixel of the model stays a square."""
    times = max(-(-SIDE // max(image.shape[:2])), 1)
    return image.repeat(times, axis=0).repeat(times, axis=1)


def marked(image: ImageArray) -> ImageArray:
    """The same with the word in its corner."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(max(picture.width // 16, 8))
    left, top, right, bottom = pen.textbbox((0, 0), WORD, font)
    pad = (bottom - top) // 2
    pen.rectangle((0, 0, right - left + 2 * pad, bottom - top + 2 * pad), fill=_PAPER)
    pen.text((pad - left, pad - top), WORD, _INK, font)
    return np.asarray(picture)
