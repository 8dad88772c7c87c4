"""Camera images as a network takes them: square, values in [-1, 1], nothing stretched.

640x480 ──> 224x168 ──> 224x224, 28 black rows above and below
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import ImageArray

LEAST_SIDE = 8  # pixels; less is a thumbnail by mistake


def check_image(image: ImageArray, camera: str) -> None:
    """ContractError unless it is (H, W, 3) uint8."""
    shape, dtype = np.shape(image), getattr(image, "dtype", None)
    if len(shape) != 3 or shape[2] != 3 or min(shape[:2]) < LEAST_SIDE or dtype != np.uint8:
        cause = f"The image of camera '{camera}' has the shape {shape} and the type {dtype}."
        raise ContractError(cause, f"Expected (H, W, 3) uint8 RGB with H and W from {LEAST_SIDE} on.")


def resize_with_pad(image: Tensor, size: int, antialias: bool) -> Tensor:
    """(3, H, W) of 0 to 255 -> (3, size, size) of whole numbers in that range; black around it."""
    height, width = image.shape[1:]
    if (height, width) == (size, size):
        return image
    inner = fitted(height, width, size)
    small = F.interpolate(image[None], size=inner, mode="bilinear", align_corners=False, antialias=antialias)[0]
    if antialias:  # as image libraries do it, which give whole numbers
        small = small.round()
    top, left = (size - inner[0]) // 2, (size - inner[1]) // 2
    around = (left, size - inner[1] - left, top, size - inner[0] - top)
    return F.pad(small.clamp(0.0, 255.0), around)


def fitted(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) of an image inside of a square of that size."""
    ratio = max(width / size, height / size)
    return int(height / ratio), int(width / ratio)


def to_network(image: ImageArray, size: int, antialias: bool) -> Tensor:
    """(H, W, 3) uint8 -> (3, size, size) float32 in [-1, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float()
    return resize_with_pad(pixels, size, antialias) / 127.5 - 1.0
