"""A dream as pictures that nobody takes for a camera's: the mark is drawn into the pixels.

strip   IMAGINED by umm-3f2a: chunk 42 · success 87%
                  now      chunk 1   chunk 2        what came
        head       ▢         ▣         ▣             ▢
        wrist      ▢         ▣         ▣             ▢
        several samples stand side by side; ▣ has a frame and a ribbon; "came" is there once reality is

picture one imagined view, large enough that its ribbon can be read
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vla_mbpo_ros.evaluation.dreams import Check, Dream, Errors
from vla_mbpo_ros.evaluation.strips import FAINT, INK, PAPER, height_for
from vla_mbpo_ros.schema import ImageArray

MARK, ON_MARK = (190, 24, 147), (255, 255, 255)  # magenta: rare in kitchens and labs
REAL = (26, 127, 55)
SIDE, LEAST_SIDE, WIDEST = 180, 32, 2600  # pixels: a picture's width, when there are many, of the whole strip
SHOWN = 256  # pixels: the least width of a single picture
GAP, LABELS, HEAD, TITLES, LINE = 6, 92, 34, 24, 18
HEADLINE, LETTERS = 15, 13  # pixels: size of the letters
FRAME = 3  # pixels around what is imagined
NOTHING = "nothing changed"
BETWEEN = 10  # pixels more between now, the samples and what came


@dataclass(frozen=True)
class Cell:
    """One column of the strip."""

    title: str
    pictures: dict[str, ImageArray]  # by view
    ribbon: str = ""  # of what is imagined; empty: a camera's image
    first: bool = False  # of its group
    colour: tuple[int, int, int] = FAINT  # of the title


def draw_strip(dream: Dream, side: int = SIDE) -> ImageArray:
    """(H, W, 3) a row for each view."""
    cells = _cells(dream)
    gaps = BETWEEN * sum(cell.first for cell in cells)
    side = max(min(side, (WIDEST - LABELS - gaps) // len(cells) - GAP), LEAST_SIDE)
    heights = {view: height_for(picture, side) for view, picture in dream.before.items()}
    width = max(LABELS + gaps + len(cells) * (side + GAP), _width(_headline(dream), HEADLINE) + 2 * GAP)
    foot = [part for line in check_lines(dream.check) for part in _wrapped(line, width - 2 * GAP, LETTERS)]
    pictures_end = HEAD + TITLES + sum(heights.values()) + GAP * len(heights)
    page = Image.new("RGB", (width, pictures_end + LINE * len(foot) + GAP), PAPER)
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, width, HEAD - 4), fill=MARK)
    pen.text((GAP, HEAD / 2 - 2), _headline(dream), ON_MARK, _font(HEADLINE), anchor="lm")
    _name_views(pen, heights)
    left = LABELS
    for cell in cells:
        left += BETWEEN * cell.first
        _draw_column(page, cell, left, side, heights)
        left += side + GAP
    colour = REAL if dream.check and dream.check.errors else FAINT
    for index, line in enumerate(foot):
        pen.text((GAP, pictures_end + LINE * (index + 0.5)), line, colour, _font(LETTERS), anchor="lm")
    return np.asarray(page)


def draw_picture(image: ImageArray, success: float, version: str) -> ImageArray:
    """One imagined view, enlarged and marked."""
    large = Image.fromarray(np.ascontiguousarray(enlarged(image)))
    return np.asarray(_marked(large, f"IMAGINED · {success_text(success)} · {version}"))


def enlarged(image: ImageArray) -> ImageArray:
    """Wide enough for a ribbon; by a whole number, so a pixel of the model stays a square."""
    times = max(math.ceil(SHOWN / image.shape[1]), 1)
    return image.repeat(times, axis=0).repeat(times, axis=1)


def draw_nothing(width: int = SHOWN, height: int = SHOWN * 3 // 4) -> ImageArray:
    """What stands there while nothing is imagined."""
    page = Image.new("RGB", (width, height), (225, 225, 225))
    ImageDraw.Draw(page).text((width / 2, height / 2), "nothing imagined", FAINT, _font(15), anchor="mm")
    return np.asarray(page)


def success_text(success: float) -> str:
    """For people."""
    return "not judged" if math.isnan(success) else f"success {success:.0%}"


def success_colour(success: float) -> tuple[float, float, float]:
    """Red to green, each 0 to 1; grey for what is not judged."""
    if math.isnan(success):
        return (0.55, 0.55, 0.55)
    p = min(max(success, 0.0), 1.0)
    return (min(2.0 - 2.0 * p, 1.0) * 0.85, min(2.0 * p, 1.0) * 0.75, 0.1)


def check_lines(check: Check | None) -> Sequence[str]:
    """What came of it, a line for each view or one that says why there is none."""
    if check is None:
        return ("Its chunk is not over yet.",)
    if not check.errors:
        return (f"Not compared. {check.why_not}",)
    return tuple(
        f"{view}: {error.psnr:.1f} dB, SSIM {error.ssim:.3f}, {_changed(error.changed_psnr)}"
        for view, error in check.errors.items()
    )


def error_facts(last: Errors, mean: Errors) -> dict[str, str]:
    """Of one view, for diagnostics: the newest comparison and the mean of the last ones."""
    changed = (NOTHING if math.isnan(each) else f"{each:.2f}" for each in (last.changed_psnr, mean.changed_psnr))
    return {
        "PSNR [dB], mean": f"{last.psnr:.2f}, {mean.psnr:.2f}",
        "SSIM, mean": f"{last.ssim:.4f}, {mean.ssim:.4f}",
        "PSNR where it changed [dB], mean": ", ".join(changed),
    }


def _changed(decibel: float) -> str:
    return NOTHING if math.isnan(decibel) else f"{decibel:.1f} dB where it changed"


def _cells(dream: Dream) -> list[Cell]:
    cells = [Cell("now", dict(dream.before))]
    for sample, chunks in enumerate(dream.imagined):
        for chunk, pictures in enumerate(chunks):
            cells.append(
                Cell(
                    _title(dream, sample, chunk),
                    dict(pictures),
                    f"IMAGINED · {success_text(float(dream.success[sample, chunk]))}",
                    chunk == 0,
                )
            )
    if dream.check and dream.check.truth:
        title = f"what came, {_after(dream, 0)}"
        cells.append(Cell(title, dict(dream.check.truth), first=True, colour=REAL))
    return cells


def _title(dream: Dream, sample: int, chunk: int) -> str:
    what = f"sample {sample + 1}" if dream.samples > 1 else f"chunk {chunk + 1}"
    return f"{what}, {_after(dream, chunk)}"


def _after(dream: Dream, chunk: int) -> str:
    return f"+{(chunk + 1) * dream.chunk_ns / 1e9:.1f} s"


def _headline(dream: Dream) -> str:
    return f"IMAGINED by {dream.model_version}: {dream.title} · {success_text(dream.last_success)}"


def _name_views(pen: ImageDraw.ImageDraw, heights: dict[str, int]) -> None:
    top = HEAD + TITLES
    for view, high in heights.items():
        name = _short(view.replace("_", " "), LABELS - 2 * GAP, LETTERS)
        pen.text((LABELS - GAP, top + high / 2), name, INK, _font(LETTERS), anchor="rm")
        top += high + GAP


def _draw_column(page: Image.Image, cell: Cell, left: int, side: int, heights: dict[str, int]) -> None:
    title, top = _short(cell.title, side, LETTERS), HEAD + TITLES
    ImageDraw.Draw(page).text((left + side / 2, HEAD + TITLES / 2), title, cell.colour, _font(LETTERS), anchor="mm")
    for view, high in heights.items():
        # nearest: a pixel of the model stays a pixel
        shown = Image.fromarray(cell.pictures[view]).resize((side, high), Image.Resampling.NEAREST)
        page.paste(_marked(shown, cell.ribbon) if cell.ribbon else shown, (left, top))
        top += high + GAP


def _marked(picture: Image.Image, text: str) -> Image.Image:
    """With a frame all around and a ribbon at its foot."""
    made = picture.copy()
    pen = ImageDraw.Draw(made)
    width, height = made.size
    size = max(width // 20, 12 if width >= 120 else 9)  # it must be read also where the picture is shown smaller
    pen.rectangle((0, 0, width - 1, height - 1), outline=MARK, width=FRAME)
    pen.rectangle((0, height - size - 5, width - 1, height - 1), fill=MARK)
    pen.text((width / 2, height - size / 2 - 2.5), _short(text, width - 6, size), ON_MARK, _font(size), anchor="mm")
    return made


def _wrapped(text: str, width: int, size: int) -> list[str]:
    """Lines that fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _short(text: str, width: int, size: int) -> str:
    """As much of it as fits."""
    if _width(text, size) <= width:
        return text
    while text and _width(text + "…", size) > width:
        text = text[:-1]
    return f"{text}…"


def _width(text: str, size: int) -> int:
    return math.ceil(_font(size).getlength(text))


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
