"""Truth over dream, view by view, chunk after chunk, as one picture.

                chunk 0   chunk 1   chunk 2
head   truth      ▢         ▢         ▢
       dream      ▢         ▢         ▢
wrist  truth      ▢         ▢         ▢
       dream      ▢         ▢         ▢
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.schema import ImageArray

PAPER, INK, FAINT = (255, 255, 255), (34, 34, 34), (107, 107, 107)
SIDE, GAP, BETWEEN = 160, 4, 14  # pixels: a picture's width, between pictures, between views
LABELS, TOP, TEXT = 96, 26, 14  # width of the labels, height of the titles, size of the letters


def draw_strip(
    rows: Mapping[str, Mapping[str, ImageArray]],
    path: Path,
    titles: Sequence[str] = (),
    side: int = SIDE,
) -> Path:
    """Write a PNG. `rows`: view -> label ("truth", "dream") -> (T, H, W, 3); `titles` (T), else "chunk 0" and so on."""
    every = [pictures for view in rows.values() for pictures in view.values()]
    counts = {len(pictures) for pictures in every}
    if len(counts) != 1 or not min(counts) or any(p.ndim != 4 or p.dtype != np.uint8 for p in every):
        cause = f"A strip of pictures {[pictures.shape for pictures in every]} cannot be drawn."
        raise ContractError(cause, "Give (T, H, W, 3) uint8 for every row, T the same for all and at least 1.")
    columns = counts.pop()
    heights = [[height_for(pictures[0], side) for pictures in view.values()] for view in rows.values()]
    height = TOP + sum(sum(view) + GAP * len(view) for view in heights) + BETWEEN * (len(heights) - 1)
    page = Image.new("RGB", (LABELS + columns * (side + GAP), height), PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    for column, title in enumerate(titles or [f"chunk {index}" for index in range(columns)]):
        pen.text((LABELS + column * (side + GAP) + side / 2, TOP / 2), title, FAINT, font, anchor="mm")
    top = TOP
    for (view, pictures_of), view_heights in zip(rows.items(), heights, strict=True):
        pen.text((GAP, top + TEXT), view.replace("_", " "), INK, font, anchor="ls")
        for (label, pictures), high in zip(pictures_of.items(), view_heights, strict=True):
            pen.text((LABELS - 8, top + high / 2), label, FAINT, font, anchor="rm")
            for column, picture in enumerate(pictures):
                # nearest: a pixel of the model stays a pixel
                shown = Image.fromarray(picture).resize((side, high), Image.Resampling.NEAREST)
                page.paste(shown, (LABELS + column * (side + GAP), top))
            top += high + GAP
        top += BETWEEN
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path, format="PNG")
    return path


def height_for(picture: ImageArray, side: int) -> int:
    """Of a picture that is `side` wide on the page."""
    high: int = picture.shape[0] * side // picture.shape[1]
    return max(high, 1)
