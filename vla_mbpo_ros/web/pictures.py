"""Pictures as a browser takes them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from vla_mbpo_ros.schema import ImageArray

QUALITY = 88  # of JPEG


def as_jpeg(image: ImageArray) -> bytes:
    """Of (H, W, 3) uint8 RGB."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "JPEG", quality=QUALITY, subsampling=0)
    return stream.getvalue()
