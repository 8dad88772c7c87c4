"""Which rows of an episode make a sequence of a constant rate, as other formats want it.

    rows      0 1 2 3 . . 6 7 8       . nothing was recorded, or a camera had no fresh image
    pieces    [0 1 2 3]   [6 7 8]

At the episode's own rate rows are taken one for one, so a real clock's jitter is smoothed to i / fps. At a lower
rate row i of a piece is the latest that began by i / fps, half a control period forgiven for jitter. A higher rate
would invent rows and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.data.episodes.episode import NO_FRAME, Episode, IndexArray
from vla_mbpo_ros.errors import ConfigError, ContractError, NotFinite
from vla_mbpo_ros.schema import FloatArray

GAPS = ("split", "skip")
MIN_ROWS = 2  # fewer are no motion
BEFORE = -1  # a success row: solved before the first row
_GAP = 1.5  # control periods between two rows that still belong together
_SAME_RATE = 0.01  # relative


@dataclass(frozen=True)
class Piece:
    """N rows of an episode at a constant rate."""

    episode: Episode
    rows: IndexArray  # (N,)
    fps: int
    number: int  # among the pieces of this episode, from 0
    count: int  # of pieces
    success_row: int | None  # the first row whose action solved the task; BEFORE; None: not in this piece

    @property
    def length(self) -> int:
        return len(self.rows)

    @property
    def state(self) -> FloatArray:
        return self.episode.state[self.rows]

    @property
    def action(self) -> FloatArray:
        return self.episode.action[self.rows]

    @property
    def times_ns(self) -> IndexArray:
        return self.episode.times_ns[self.rows]

    @property
    def source(self) -> tuple[str, ...]:
        return tuple(self.episode.source[row] for row in self.rows)

    @property
    def reward(self) -> npt.NDArray[np.float32]:
        """(N,) 1 at the row that solved the task, else 0."""
        reward = np.zeros(self.length, dtype=np.float32)
        if self.success_row is not None and self.success_row != BEFORE:
            reward[self.success_row] = 1.0
        return reward

    @property
    def success(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the task is solved once the action of the row is done."""
        if self.success_row is None:
            return np.zeros(self.length, dtype=np.bool_)
        return np.arange(self.length) >= self.success_row


def rate_of(episode: Episode) -> int:
    """Its control rate as a whole number of rows a second."""
    if episode.dt_ns <= 0:
        raise ContractError(f"{episode.path} does not say its control rate.", "Give --fps.")
    hz = 1e9 / episode.dt_ns
    if round(hz) < 1 or abs(hz - round(hz)) > _SAME_RATE * hz:
        raise ConfigError(
            f"{episode.path} has {hz:.2f} rows a second, which is no whole number.", f"Give --fps {max(int(hz), 1)}."
        )
    return round(hz)


def cut(episode: Episode, fps: int | None = None, gaps: str = "split") -> list[Piece]:
    """Pieces in order. Raises what makes the whole episode useless."""
    fps = rate_of(episode) if fps is None else fps
    _check(episode, fps)
    runs = [run for run in _runs(episode) if len(run) >= MIN_ROWS]
    if gaps == "skip" and len(runs) > 1:
        raise ContractError(f"{episode.path} has {len(runs) - 1} gaps.", "Use --gaps split to take what is between.")
    runs = [rows for rows in (_resample(episode, run, fps) for run in runs) if len(rows) >= MIN_ROWS]
    if not runs:
        raise ContractError(f"{episode.path} has no two rows in sequence. {_why_none(episode)}", "Leave it out.")
    return [
        Piece(episode, rows, fps, number, len(runs), _success_row(episode, rows, fps))
        for number, rows in enumerate(runs)
    ]


def left_out(episode: Episode, pieces: list[Piece]) -> str:
    """What a person should know of rows that are in no piece; empty if all are."""
    if episode.dt_ns and pieces[0].fps < round(1e9 / episode.dt_ns):
        return f"{sum(piece.length for piece in pieces)} of {episode.rows} rows: a lower rate"
    missing = episode.rows - sum(piece.length for piece in pieces)
    parts = [f"{missing} rows without an image of every camera, or alone between gaps"] if missing else []
    parts += [f"in {len(pieces)} pieces for its gaps"] if len(pieces) > 1 else []
    return ", ".join(parts)


def _check(episode: Episode, fps: int) -> None:
    for what, names, values in (
        ("state", episode.state_names, episode.state),
        ("action", episode.action_names, episode.action),
    ):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0]
            raise NotFinite(
                f"The {what} of {episode.path} is {values[row, column]} for {names[column]} at row {row}.",
                "Leave this episode out.",
            )
    if fps < 1:
        raise ConfigError(f"--fps is {fps}.", "Give a whole number above 0.")
    hz = 1e9 / episode.dt_ns if episode.dt_ns > 0 else 0.0
    if hz and fps > hz * (1 + _SAME_RATE):
        cause = f"{episode.path} has {hz:.4g} rows a second, --fps {fps} would invent some."
        raise ConfigError(cause, f"Give at most {max(round(hz), 1)}.")


def _complete(episode: Episode) -> npt.NDArray[np.bool_]:
    """(T,) True where every camera has a fresh image."""
    good = np.ones(episode.rows, dtype=np.bool_)
    for rows in episode.image_row.values():
        good &= rows != NO_FRAME
    return good


def _runs(episode: Episode) -> Iterator[IndexArray]:
    good = np.flatnonzero(_complete(episode))
    if not len(good):
        return
    late = np.diff(episode.times_ns[good]) > _GAP * episode.dt_ns if episode.dt_ns > 0 else np.zeros(len(good) - 1)
    yield from np.split(good, np.flatnonzero(late) + 1)


def _resample(episode: Episode, run: IndexArray, fps: int) -> IndexArray:
    if episode.dt_ns <= 0 or abs(1e9 / episode.dt_ns - fps) <= _SAME_RATE * fps:
        return run
    times_ns = episode.times_ns[run]
    count = int((times_ns[-1] - times_ns[0] + episode.dt_ns // 2) * fps // 10**9) + 1
    wanted_ns = times_ns[0] + np.round(np.arange(count) * 1e9 / fps).astype(np.int64) + episode.dt_ns // 2
    picked: IndexArray = run[np.searchsorted(times_ns, wanted_ns, side="right") - 1]
    return picked


def _success_row(episode: Episode, rows: IndexArray, fps: int) -> int | None:
    """The action of a row lasts until the next row."""
    if episode.success_ns is None:
        return None
    times_ns = episode.times_ns[rows]
    if episode.success_ns < times_ns[0]:
        return BEFORE
    ends_ns = np.append(times_ns[1:], times_ns[-1] + round(1e9 / fps))
    row = int(np.searchsorted(ends_ns, episode.success_ns, side="left"))
    return row if row < len(rows) else None


def _why_none(episode: Episode) -> str:
    blind = [camera for camera, rows in episode.image_row.items() if (rows == NO_FRAME).all()]
    return f"Of {', '.join(blind)} there is no image at all." if blind else f"It has {episode.rows} rows."
