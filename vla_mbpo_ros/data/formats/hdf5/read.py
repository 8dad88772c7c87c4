"""HDF5 demonstrations -> episodes: LIBERO's files, robomimic's, and our own.

Images: LIBERO's files hold what OpenGL draws, the first row at the bottom (`macros_image_convention` "opengl"), so by
default ("auto") they are flipped back to what a camera sees. "stored" takes them as they are; "rotate-180" is the
view that many LIBERO policies are trained on: upright, and mirrored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.data.episodes.episode import Episode, IndexArray
from vla_mbpo_ros.data.formats.columns import Mapped, Source, map_source
from vla_mbpo_ros.data.formats.facts import imported, read_facts
from vla_mbpo_ros.data.formats.hdf5 import layout
from vla_mbpo_ros.data.formats.hdf5.values import (
    column_names,
    in_order,
    instruction,
    matrix,
    read_json,
    success_row,
    texts,
    times,
)
from vla_mbpo_ros.data.formats.optional import need
from vla_mbpo_ros.data.formats.rows import check_finite, end_of, sources
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.schema import FloatArray, ImageArray

ORIENTATIONS = ("auto", "stored", "flip", "rotate-180")
_DEFAULT_STATE = (layout.JOINTS, layout.GRIPPERS)


class Hdf5Source:
    """A file, or a folder of files."""

    def __init__(
        self,
        path: Path,
        robot: str = "",
        cameras: Mapping[str, str] | None = None,
        state: Sequence[str] = (),
        orientation: str = "auto",
        fps: float | None = None,
    ) -> None:
        """`state`: what of obs/ makes the state, in this order; empty: joint_states and gripper_states."""
        if orientation not in ORIENTATIONS:
            raise UnknownName("orientation", orientation, ORIENTATIONS)
        self._h5py = need("h5py")
        self.path, self._robot, self._renamed = path, robot, dict(cameras or {})
        self._state, self._orientation, self._fps = tuple(state), orientation, fps
        self._files = _files(path)
        self.count: int | None = None
        self._open: Any = None

    def episodes(self) -> Iterator[tuple[str, Callable[[], Episode]]]:
        for file in self._files:
            try:
                names = self._enter(file)
            except ContractError as error:
                yield file.name, partial(_raise, error)
                continue
            for name in names:
                yield f"{file.name}, {name}", partial(self._read, file, name)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _enter(self, file: Path) -> list[str]:
        """Open it and name its demos."""
        self.close()
        try:
            self._open = self._h5py.File(file, "r")
        except OSError as error:
            raise ContractError(f"{file} cannot be read as HDF5: {error}.", "Get the file again.") from error
        if layout.DATA not in self._open:
            raise ContractError(f"{file} has no group 'data'.", "Read are files of LIBERO and robomimic.")
        return sorted(self._open[layout.DATA], key=layout.demo_number)

    def _read(self, file: Path, name: str) -> Episode:
        try:
            return self._episode(file, name)
        except (OSError, KeyError) as error:  # what h5py raises for damage and for what is missing
            raise ContractError(f"{name} of {file} cannot be read: {error}.", "Leave it out.") from error

    def _episode(self, file: Path, name: str) -> Episode:
        data, demo = self._open[layout.DATA], self._open[layout.DATA][name]
        if layout.ACTIONS not in demo or layout.OBS not in demo:
            raise ContractError(f"It has {', '.join(demo) or 'nothing'}, not actions and obs.", "Leave it out.")
        action = matrix(demo[layout.ACTIONS], layout.ACTIONS)
        state, state_names = self._state_of(data, demo[layout.OBS], len(action))
        mapped = self._mapped(data, demo, state_names, state.shape[1], action.shape[1])
        state, action = state[:, mapped.state.order], action[:, mapped.action.order]
        check_finite("state", mapped.state.names, state)
        check_finite("action", mapped.action.names, action)
        fps = self._rate(data)
        times_ns = times(demo, len(action), fps)
        said = read_facts(str(demo.attrs.get(layout.FACTS, "")), name)
        solved = success_row(demo)
        frames, image_row = self._frames(data, demo, mapped, times_ns)
        success_ns = None if solved is None else end_of(times_ns, solved, round(1e9 / fps))
        if said and said.success_time_s is not None:
            success_ns = int(times_ns[0]) + round(said.success_time_s * 1e9)
        origin = f"hdf5, {file.name}, {name}"
        known = solved is not None if layout.REWARDS in demo else None
        return Episode(
            path=file / name,
            facts=imported(said, mapped, instruction(data, file), known, origin),
            state_names=mapped.state.names,
            action_names=mapped.action.names,
            dt_ns=round(1e9 / fps),
            times_ns=times_ns,
            state=state,
            action=action,
            source=sources(texts(demo, layout.CONTROL), len(action)),
            frames=frames,
            image_row=image_row,
            success_ns=success_ns,
        )

    def _state_of(self, data: Any, observations: Any, rows: int) -> tuple[FloatArray, list[str]]:
        """(T, S) and the names of its columns."""
        keys = self._state or tuple(key for key in _DEFAULT_STATE if key in observations)
        if not keys:
            known = [key for key in observations if not key.endswith(layout.RGB)]
            cause = f"Its observations have neither {' nor '.join(_DEFAULT_STATE)}."
            raise ContractError(cause, f"Say what the state is: --state, of {', '.join(known) or 'nothing there'}.")
        parts, names = [], list[str]()
        for key in keys:
            if key not in observations:
                raise UnknownName("observation", key, list(observations))
            part = matrix(observations[key], key)
            if len(part) != rows:
                raise ContractError(f"'{key}' has {len(part)} rows, actions have {rows}.", "Leave it out.")
            parts.append(part)
            names += column_names(observations[key]) or [f"{key}_{index}" for index in range(part.shape[1])]
        return in_order(np.concatenate(parts, axis=1), names, read_json(data.attrs.get(layout.ORDER, "[]")))

    def _mapped(self, data: Any, demo: Any, state_names: list[str], states: int, actions: int) -> Mapped:
        cameras = [key[: -len(layout.RGB)] for key in demo[layout.OBS] if key.endswith(layout.RGB)]
        source = Source(
            robot=str(data.attrs.get("env_name", "")),
            state_names=state_names,
            state_width=states,
            action_names=column_names(demo[layout.ACTIONS]),
            action_width=actions,
            cameras=cameras,
            renamed=self._renamed,
        )
        return map_source(source, self._robot)

    def _rate(self, data: Any) -> float:
        """Rows a second."""
        if self._fps:
            return self._fps
        environment = read_json(data.attrs.get("env_args", "{}"))
        arguments = environment.get("env_kwargs") if isinstance(environment, dict) else None
        rate = arguments.get("control_freq") if isinstance(arguments, dict) else None
        if not isinstance(rate, (int, float)) or not rate > 0:
            raise ConfigError("The file does not say its control rate (env_args, control_freq).", "Give --fps.")
        return float(rate)

    def _frames(
        self, data: Any, demo: Any, mapped: Mapped, times_ns: IndexArray
    ) -> tuple[dict[str, H5Frames], dict[str, IndexArray]]:
        frames, image_row = {}, {}
        turn = self._turn(str(data.attrs.get(layout.CONVENTION, "")))
        for ours, theirs in mapped.cameras.items():
            images = demo[layout.OBS][theirs + layout.RGB]
            if images.shape[0] != len(times_ns) or images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
                cause = f"'{theirs}{layout.RGB}' is {images.dtype} {images.shape} for {len(times_ns)} rows."
                raise ContractError(cause, "Leave it out, or name the cameras to take: --cameras.")
            where = f"{layout.STAMPS}/{theirs}"
            stamps = np.asarray(demo[where], dtype=np.int64) if where in demo else times_ns
            # Rows that showed one frame, as of a camera slower than the control loop, share it again.
            unique, first, rows = np.unique(stamps, return_index=True, return_inverse=True)
            frames[ours] = H5Frames(images, first, unique, turn)
            image_row[ours] = rows.astype(np.int64)
        return frames, image_row

    def _turn(self, convention: str) -> str:
        if self._orientation != "auto":
            return self._orientation
        return "flip" if convention == layout.OPENGL else "stored"


class H5Frames:
    """Images in an open file."""

    def __init__(self, images: Any, rows: IndexArray, stamps_ns: IndexArray, turn: str) -> None:
        self._images, self._rows, self._turn = images, rows, turn
        self.stamps_ns = stamps_ns

    def __getitem__(self, index: int) -> ImageArray:
        try:
            image: ImageArray = self._images[int(self._rows[index])]
        except OSError as error:  # damage inside the file shows only now
            raise ContractError(f"Image {index} cannot be read: {error}.", "Get the file again.") from error
        if self._turn == "flip":
            return np.ascontiguousarray(image[::-1])
        return np.ascontiguousarray(image[::-1, ::-1]) if self._turn == "rotate-180" else image


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(file for suffix in layout.SUFFIXES for file in path.glob(f"*{suffix}"))
    if not files:
        raise ConfigError(f"{path} has no {' or '.join(layout.SUFFIXES)} file.", "Give a file or a folder of files.")
    return files


def _raise(error: ContractError) -> Episode:
    raise error
