"""The one way of a camera image into a world model: square, black around it, nothing stretched.

    (H, W, 3) uint8 ──fit──> (S, S, 3) uint8 ──to_network──> (3, S, S) float32 in [-1, 1] ──from_network──> uint8

    640x480 ──> 256x192 ──> 256x256, 32 black rows above and below

Live images, images of bags and dreams all take it, so a dream can stand where a camera's image stood. Pillow's resize
computes in whole numbers: the same bytes come out on every machine, and it is the one that the data set's cache uses.
What is square and of that size already is left alone, so `fit` twice is `fit` once.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import ImageArray

IntArray = npt.NDArray[np.int64]
_HALF = 127.5  # of the range 0 to 255


class PictureSource(Protocol):
    """Pictures by view, in a fixed order. What is read must be a matter of `view` and `rows` alone."""

    @property
    def views(self) -> tuple[str, ...]: ...

    def count(self, view: str) -> int: ...

    def pictures(self, view: str, rows: IntArray) -> ImageArray:
        """(n, H, W, 3) as the camera gave them."""
        ...


class ArrayPictures:
    """Pictures (N, V, H, W, 3) that lie in memory, or are mapped into it."""

    def __init__(self, images: ImageArray, views: tuple[str, ...]) -> None:
        if images.ndim != 5 or images.shape[1] != len(views) or images.shape[4] != 3 or images.dtype != np.uint8:
            cause = f"Pictures of shape {images.shape} and type {images.dtype} came for {len(views)} views."
            raise ContractError(cause, f"Give (N, {len(views)}, H, W, 3) uint8.")
        self._images, self.views = images, views

    def count(self, view: str) -> int:
        return len(self._images)

    def pictures(self, view: str, rows: IntArray) -> ImageArray:
        return np.asarray(self._images[rows, self.views.index(view)])


def fit(image: ImageArray, size: int) -> ImageArray:
    """(H, W, 3) uint8 -> (size, size, 3) uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 1 or image.dtype != np.uint8:
        cause = f"A picture has the shape {image.shape} and the type {image.dtype}."
        raise ContractError(cause, "Give (H, W, 3) uint8 RGB.")
    if image.shape[:2] == (size, size):
        return image
    height, width = fitted(image.shape[0], image.shape[1], size)
    small = Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BILINEAR)
    square: ImageArray = np.zeros((size, size, 3), dtype=np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = np.asarray(small)
    return square


def fit_all(images: ImageArray, size: int) -> ImageArray:
    """(…, H, W, 3) -> (…, size, size, 3); each picture as `fit` makes it."""
    if images.shape[-3:-1] == (size, size):
        return images
    flat = images.reshape(-1, *images.shape[-3:])
    made = np.stack([fit(image, size) for image in flat]) if len(flat) else np.zeros((0, size, size, 3), np.uint8)
    return np.asarray(made.reshape(*images.shape[:-3], size, size, 3))


def fitted(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) of a picture inside of a square of that size; whole numbers, so nothing is lost by rounding."""
    longest = max(height, width)
    return max(height * size // longest, 1), max(width * size // longest, 1)


def to_network(images: ImageArray, device: torch.device | str = "cpu") -> Tensor:
    """(…, H, W, 3) uint8 -> (…, 3, H, W) float32 in [-1, 1]. The bytes travel, not the numbers four times as large."""
    pixels = torch.from_numpy(np.array(images, dtype=np.uint8, order="C")).to(device)
    return pixels.movedim(-1, -3).float() / _HALF - 1.0


def from_network(pixels: Tensor) -> ImageArray:
    """(…, 3, H, W) -> (…, H, W, 3) uint8, the nearest; what is beyond [-1, 1] is cut off."""
    numbers = (pixels.detach().float() + 1.0) * _HALF
    whole = numbers.round().clamp(0.0, 255.0).to(torch.uint8).movedim(-3, -1)
    return np.asarray(whole.cpu().contiguous().numpy())
