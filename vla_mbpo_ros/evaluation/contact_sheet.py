"""One page for one episode: what the cameras saw, and how the joints moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.evaluation.episode import EpisodeRecord
from vla_mbpo_ros.schema import FloatArray

# Okabe and Ito's colours: told apart by everyone, and on paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
OUTCOME_COLOURS = {"success": "#007a55", "failure": "#b3261e"}
GREY = "#6b6b6b"
WIDTH_IN, DPI = 13.0, 150
LEFT, RIGHT = 0.06, 0.985  # of the width: where pictures and plots begin and end
TOP_IN, BOTTOM_IN = 1.0, 0.5  # title; labels below the last plot
PICTURE_GAP_IN, PLOT_GAP_IN = 0.08, 0.28
JOINTS_IN, GRIPPERS_IN = 2.3, 1.4
LEGEND = "line: measured · dots: commanded · grey: held · thin lines: observations of chunks · green: task done"
MOVED_RAD = 0.02  # a part whose joints all moved less is left out


def draw_contact_sheet(record: EpisodeRecord, path: Path) -> Path:
    """Write the page as a PNG to `path`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no screen, no global state
    from matplotlib.figure import Figure

    cameras = [camera for camera, pictures in record.pictures.items() if pictures]
    parts = _moving_parts(record)
    heights = [_picture_height_in(record, camera) for camera in cameras]
    heights += [JOINTS_IN] * len(parts) + [GRIPPERS_IN]
    gaps = ([PICTURE_GAP_IN] * len(cameras))[:-1] + [PLOT_GAP_IN] * (len(parts) + bool(cameras)) + [0.0]
    figure = Figure(figsize=(WIDTH_IN, TOP_IN + sum(heights) + sum(gaps) + BOTTOM_IN), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    boxes = _stack(figure, heights, gaps)
    _title(figure, record)
    for row, camera in enumerate(cameras):
        _pictures(figure, boxes[row], record, camera, with_times=row == 0)
    axes = [figure.add_axes(box) for box in boxes[len(cameras) :]]
    for axis, (name, columns) in zip(axes, parts, strict=False):
        _joints(axis, record, name, columns)
    _grippers(axes[-1], record)
    for axis in axes:
        _background(axis, record)
    for axis in axes[:-1]:
        axis.tick_params(labelbottom=False)
    figure.align_ylabels(axes)
    axes[-1].set_xlabel("time since the start of the bag [s]", fontsize=8, color=GREY, loc="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _stack(figure: Any, heights: Sequence[float], gaps: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """Boxes below each other, from the top: left, bottom, width, height as shares of the page; inches come in."""
    total_in = figure.get_figheight()
    boxes, top_in = [], total_in - TOP_IN
    for height_in, gap_in in zip(heights, gaps, strict=True):
        boxes.append((LEFT, (top_in - height_in) / total_in, RIGHT - LEFT, height_in / total_in))
        top_in -= height_in + gap_in
    return boxes


def _title(figure: Any, record: EpisodeRecord) -> None:
    facts, height = record.facts, figure.get_figheight()
    when = "" if facts.success_time_s is None else f" at {facts.success_time_s:.1f} s"
    figure.text(LEFT, 1 - 0.32 / height, f"“{facts.instruction}”", fontsize=15, weight="bold", va="center")
    figure.text(
        RIGHT,
        1 - 0.32 / height,
        f"{facts.outcome}{when}",
        fontsize=15,
        weight="bold",
        va="center",
        ha="right",
        color=OUTCOME_COLOURS.get(facts.outcome, GREY),
    )
    seed = "" if facts.seed is None else f"layout {facts.seed} · "
    text = (
        f"{record.robot.title}{' twin' if facts.simulated else ''} · policy {facts.policy_version or 'none'} · {seed}"
        f"{len(record.chunk_times_s)} chunks · {len(record.sources)} commands at {facts.control_hz:g} Hz"
    )
    figure.text(LEFT, 1 - 0.62 / height, text, fontsize=9, color=GREY, va="center")
    figure.text(RIGHT, 1 - 0.62 / height, record.path.name, fontsize=9, color=GREY, va="center", ha="right")
    figure.text(RIGHT, (BOTTOM_IN - 0.28) / height, LEGEND, fontsize=8, color=GREY, va="center", ha="right")


def _pictures(
    figure: Any, box: tuple[float, float, float, float], record: EpisodeRecord, camera: str, with_times: bool
) -> None:
    """One camera's row in `box`, its pictures as far apart as the rows are."""
    pictures, (left, bottom, width, height) = record.pictures[camera], box
    pitch = (width + PICTURE_GAP_IN / WIDTH_IN) / len(pictures)
    for column, picture in enumerate(pictures):
        axis = figure.add_axes((left + column * pitch, bottom, pitch - PICTURE_GAP_IN / WIDTH_IN, height))
        axis.imshow(picture.image, aspect="equal", interpolation="antialiased")
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_visible(False)
        if with_times:
            axis.set_title(f"{picture.time_s:.1f} s", fontsize=8, color=GREY, pad=3)
        if column == 0:
            axis.set_ylabel(camera.replace("_", " "), fontsize=9)


def _joints(axis: Any, record: EpisodeRecord, name: str, columns: Sequence[int]) -> None:
    for colour, column in zip(COLOURS, columns, strict=False):
        label = record.robot.names[column].removeprefix(f"{name}_")
        _line(axis, record, column, 1.0, colour, label)
    axis.set_ylabel(f"{name} joints [{record.robot.joints[columns[0]].unit}]", fontsize=9)
    axis.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0), ncols=len(columns), fontsize=7, frameon=False)
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.22 * (high - low))  # room for the legend


def _grippers(axis: Any, record: EpisodeRecord) -> None:
    columns = [index for index, joint in enumerate(record.robot.joints) if joint.unit == "m"]
    for colour, column in zip(COLOURS, columns, strict=False):
        _line(axis, record, column, 1000.0, colour, record.robot.names[column].replace("_", " "))
    axis.set_ylabel("opening [mm]", fontsize=9)
    axis.legend(loc="lower left", ncols=len(columns), fontsize=7, frameon=False)


def _line(axis: Any, record: EpisodeRecord, column: int, scale: float, colour: str, label: str) -> None:
    """Measured as a line, commanded as dots."""
    measured, executed = record.measured, record.executed
    axis.plot(measured.times_s, scale * measured.values[:, column], color=colour, lw=1.3, label=label)
    axis.plot(executed.times_s, scale * executed.values[:, column], ".", color=colour, ms=2.2, alpha=0.55)


def _background(axis: Any, record: EpisodeRecord) -> None:
    """Where the arm was held (grey), where chunks begin (thin lines), when the task was done (green)."""
    axis.set_xlim(0.0, max(record.duration_s, 1e-3))
    for start_s, end_s in _spans(record.executed.times_s, record.held, 1.0 / max(record.facts.control_hz, 1.0)):
        axis.axvspan(start_s, end_s, color="#000000", alpha=0.07, lw=0)
    for time_s in record.chunk_times_s:
        axis.axvline(time_s, color=GREY, lw=0.4, alpha=0.6)
    if record.facts.success_time_s is not None:
        axis.axvline(record.facts.success_time_s, color=OUTCOME_COLOURS["success"], lw=1.4)
    axis.tick_params(labelsize=7, colors=GREY, length=2)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color("#bbbbbb")


def _spans(times_s: FloatArray, mask: np.ndarray[Any, Any], period_s: float) -> list[tuple[float, float]]:
    """Runs of True as (start, end)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(float(times_s[a]), float(times_s[b - 1]) + period_s) for a, b in edges.reshape(-1, 2)]


def _moving_parts(record: EpisodeRecord) -> list[tuple[str, list[int]]]:
    """Parts of the robot ("left", "right") with the columns of their joints, those that moved."""
    parts: dict[str, list[int]] = {}
    for index, joint in enumerate(record.robot.joints):
        if joint.unit == "rad":
            parts.setdefault(joint.name.rsplit("_", 1)[0], []).append(index)
    if not len(record.measured.values):
        return []
    moved = np.ptp(record.measured.values, axis=0)
    return [(name, columns) for name, columns in parts.items() if moved[columns].max() > MOVED_RAD]


def _picture_height_in(record: EpisodeRecord, camera: str) -> float:
    """Height of a row of pictures that fills the width."""
    pictures = record.pictures[camera]
    height, width = pictures[0].image.shape[:2]
    row_in = (RIGHT - LEFT) * WIDTH_IN - (len(pictures) - 1) * PICTURE_GAP_IN
    return float(row_in / len(pictures) * height / width)
