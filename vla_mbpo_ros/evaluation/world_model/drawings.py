"""Dreams to look at: truth over dream for a window of every scene, and how errors grow from chunk to chunk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.contact_sheet import COLOURS, GREY
from vla_mbpo_ros.evaluation.positions import GRIPPER
from vla_mbpo_ros.evaluation.strips import draw_strip
from vla_mbpo_ros.evaluation.world_model.dreaming import Rolled
from vla_mbpo_ros.evaluation.world_model.places import OBJECTS
from vla_mbpo_ros.schema import ImageArray

TRUTH = "truth"
_SIDE = 128  # pixels of a picture on the page
_INCHES, _DPI = 3.4, 130
_LABELS = {"psnr": "PSNR [dB]", "changed_psnr": "PSNR, changed pixels [dB]", "places": "off by [pixels]"}


def draw_dreams(rolled: Mapping[str, Rolled], folder: Path) -> list[Path]:
    """A strip for each scene: the truth, and every model's dream of it below."""
    any_one = next(iter(rolled.values()))
    paths = []
    for scene in dict.fromkeys(any_one.scenes):
        window = _telling(any_one, scene)
        rows: dict[str, dict[str, ImageArray]] = {}
        for view, name in enumerate(any_one.views):
            rows[name] = {TRUTH: _course(any_one, any_one.truth, window, view)}
            rows[name] |= {label: _course(one, one.made, window, view) for label, one in rolled.items()}
        titles = ["real", *(f"chunk {chunk + 1}" for chunk in range(any_one.chunks))]
        paths.append(draw_strip(rows, folder / f"dreams_{scene}.png", titles, _SIDE))
    return paths


def draw_growth(models: Mapping[str, Mapping[str, Any]], path: Path) -> Path:
    """PSNR, PSNR of changed pixels, and places, over chunks; shaded 95 %, dotted the chunks of another episode."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no screen, no global state
    from matplotlib.figure import Figure

    views = tuple(next(iter(models.values()))["rolled"]["fidelity"])
    figure = Figure(figsize=(_INCHES * len(_LABELS), _INCHES * 0.8 * len(views)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(views), len(_LABELS), squeeze=False)
    for row, view in enumerate(views):
        for column, what in enumerate(_LABELS):
            axis = axes[row, column]
            for colour, (name, numbers) in zip(COLOURS, models.items(), strict=False):
                _line(axis, _course_of(numbers["rolled"], view, what), colour, "-", name)
                if what != "places":
                    _line(axis, _course_of(numbers["shuffled"], view, what), colour, ":", "")
            _dress(axis, view, what, last=row + 1 == len(views))
    axes[0, 0].legend(fontsize=7, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    return path


def _telling(rolled: Rolled, scene: str) -> int:
    """A window of a scene in which as much happens as in the middling one: no model's best or worst."""
    moved = np.abs(rolled.truth[:, -1].astype(np.int16) - rolled.first).mean(axis=(1, 2, 3, 4))
    own = [window for window, name in enumerate(rolled.scenes) if name == scene]
    order = sorted(own, key=lambda window: float(moved[window]))
    return order[len(order) // 2]


def _course(rolled: Rolled, images: ImageArray, window: int, view: int) -> ImageArray:
    """(1 + C, H, W, 3): the real picture, then one after each chunk."""
    return np.concatenate([rolled.first[window, view][None], images[window, :, view]])


def _course_of(numbers: Mapping[str, Any], view: str, what: str) -> list[Mapping[str, Any]]:
    """Estimates by chunk."""
    if what == "places":
        spots = numbers["places"][view]
        return [chunk["error_px"] for chunk in spots[GRIPPER if GRIPPER in spots else OBJECTS]]
    found: list[Mapping[str, Any]] = numbers["fidelity"][view][what]["by_chunk"]
    return found


def _line(axis: Any, course: list[Mapping[str, Any]], colour: str, style: str, label: str) -> None:
    at = np.arange(1, len(course) + 1)
    value, low, high = (np.array([one[name] for one in course], dtype=float) for name in ("value", "low", "high"))
    axis.plot(at, value, style, color=colour, lw=1.4, marker="o", ms=2.5, label=label or None)
    axis.fill_between(at, low, high, color=colour, alpha=0.12, lw=0)


def _dress(axis: Any, view: str, what: str, last: bool) -> None:
    thing = {"head": "gripper", "wrist": "things"}.get(view, "things")
    title = f"{view}: {thing} {_LABELS[what]}" if what == "places" else f"{view}: {_LABELS[what]}"
    axis.set_title(title, fontsize=8, loc="left")
    axis.set_xticks(range(1, int(axis.get_xlim()[1]) + 1))
    if last:
        axis.set_xlabel("chunks · dotted: the chunks of another episode", fontsize=8, color=GREY)
    axis.tick_params(labelsize=7, colors=GREY, length=2)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color("#bbbbbb")
