"""A test pattern: colour bars that move, and the number of the frame, readable by people.

Cheap: the bars are painted once, twice as wide as the image; a frame is a slice of them and a small block.
"""

from __future__ import annotations

import numpy as np

from vla_mbpo_ros.schema import ImageArray

DIGITS = 6
_STEP = 4  # pixels that the bars move from frame to frame
_COLOURS = ((230, 230, 230), (200, 200, 0), (0, 200, 200), (0, 170, 0), (200, 0, 200), (190, 0, 0), (0, 0, 190))
# 3 x 5 dots a digit, row by row
_FONT = (
    "111101101101111",
    "010110010010111",
    "111001111100111",
    "111001111001111",
    "101101111001001",
    "111100111001111",
    "111100111101111",
    "111001010010010",
    "111101111101111",
    "111101111001111",
)
_DOTS = np.array([[int(dot) for dot in digit] for digit in _FONT], dtype=np.uint8).reshape(10, 5, 3) * 255


class Pattern:
    def __init__(self, width: int, height: int) -> None:
        bar = np.arange(2 * width) * len(_COLOURS) // width % len(_COLOURS)
        shade = np.linspace(1.0, 0.4, height)[:, None, None]  # darker towards the bottom
        self._bars: ImageArray = (np.array(_COLOURS)[bar] * shade).astype(np.uint8)  # (H, 2 W, 3)
        self._width = width
        # pixels a dot, so that the number fits
        self._dot = max(1, min(height // 7, width // (4 * DIGITS + 1)))

    def frame(self, number: int) -> ImageArray:
        """(H, W, 3), a new array each time."""
        start = number * _STEP % self._width
        image = self._bars[:, start : start + self._width].copy()
        block = self._number(number)
        shown = image[: block.shape[0], : block.shape[1]]
        shown[:] = block[: shown.shape[0], : shown.shape[1]]
        return image

    def _number(self, number: int) -> ImageArray:
        """The number in white on black, with a black edge."""
        text = f"{number % 10**DIGITS:0{DIGITS}d}"
        board = np.zeros((7, 4 * DIGITS + 1, 1), dtype=np.uint8)
        for index, digit in enumerate(text):
            board[1:6, 1 + 4 * index : 4 + 4 * index] = _DOTS[int(digit), :, :, None]
        return board.repeat(self._dot, axis=0).repeat(self._dot, axis=1)
