"""Pieces of episodes -> HDF5 files, one for each instruction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros import __version__
from vla_mbpo_ros.data.formats.cut import Piece
from vla_mbpo_ros.data.formats.facts import facts_of
from vla_mbpo_ros.data.formats.hdf5 import layout
from vla_mbpo_ros.data.formats.optional import need
from vla_mbpo_ros.errors import ContractError, UnknownName
from vla_mbpo_ros.schema import ImageArray

_GRIPPER = "gripper"  # what its joints are named by


class Hdf5Writer:
    """One folder of files; `folder` exists and is empty."""

    def __init__(
        self, folder: Path, fps: int, cameras: Mapping[str, str] | None = None, convention: str = layout.OPENCV
    ) -> None:
        """`cameras`: ours -> the file's, without `_rgb`. `convention` "opengl" turns images upside down."""
        check_options(convention)
        self.folder, self.fps, self._convention = folder, fps, convention
        self._cameras = dict(cameras or {})
        self._h5py = need("h5py")
        self._names: dict[str, str] = {}  # instruction -> name of its file
        self._solved: dict[str, list[str]] = {}  # name of the file -> demos
        self._form: tuple[Any, ...] | None = None

    def add(self, piece: Piece) -> str:
        """Its place, as `…_demo.hdf5/data/demo_0`."""
        self._check(piece)
        facts = facts_of(piece)
        name = self._file_of(facts.instruction)
        with self._h5py.File(self.folder / name, "a") as file:
            data = file[layout.DATA] if layout.DATA in file else self._new(file, piece, facts.instruction)
            demo = f"demo_{len(data)}"
            try:
                self._fill(data.create_group(demo), piece)
            except BaseException:
                del data[demo]
                raise
            data[demo].attrs[layout.FACTS] = json.dumps(facts.to_custom_data())
            data.attrs["num_demos"] = len(data)
            data.attrs["total"] = int(data.attrs["total"]) + piece.length
        if piece.success.any():
            self._solved.setdefault(name, []).append(demo)
        return f"{name}/{layout.DATA}/{demo}"

    def finish(self) -> None:
        """A file whose every episode was refused goes; `mask/success` lists the others that were solved."""
        for name in self._names.values():
            with self._h5py.File(self.folder / name, "a") as file:
                empty = not len(file[layout.DATA])
                if solved := self._solved.get(name):
                    file["mask/success"] = np.array(solved, dtype="S")
            if empty:
                (self.folder / name).unlink()

    def close(self) -> None:
        """Files are open only while an episode is added."""

    def _check(self, piece: Piece) -> None:
        """All episodes of a folder have one form."""
        episode = piece.episode
        form = (episode.state_names, episode.action_names, tuple(self._used(piece)), piece.fps)
        for what, mine, theirs in zip(("state", "action", "cameras", "fps"), form, self._form or form, strict=True):
            if mine != theirs:
                cause = f"{episode.path} has the {what} {mine}, the data set has {theirs}."
                raise ContractError(cause, "Export it to a data set of its own.")
        self._form = form

    def _used(self, piece: Piece) -> dict[str, str]:
        return self._cameras or {name: name for name in piece.episode.cameras}

    def _file_of(self, instruction: str) -> str:
        if instruction not in self._names:
            name, taken = layout.file_name(instruction), set(self._names.values())
            if name in taken:  # differs only in letters that file names leave out
                name = f"{name.removesuffix('_demo.hdf5')}_{len(taken)}_demo.hdf5"
            self._names[instruction] = name
        return self._names[instruction]

    def _new(self, file: Any, piece: Piece, instruction: str) -> Any:
        data = file.create_group(layout.DATA)
        robot = piece.episode.facts.robot
        data.attrs["env_name"] = robot
        data.attrs["problem_info"] = json.dumps({"problem_name": robot, "language_instruction": instruction})
        environment = {"env_name": robot, "env_version": __version__, "env_kwargs": {"control_freq": self.fps}}
        data.attrs["env_args"] = json.dumps(environment)
        data.attrs[layout.CONVENTION] = self._convention
        data.attrs[layout.ORDER] = json.dumps(list(piece.episode.state_names))
        data.attrs["num_demos"] = data.attrs["total"] = 0
        return data

    def _fill(self, demo: Any, piece: Piece) -> None:
        demo.attrs["num_samples"] = piece.length
        demo[layout.ACTIONS] = piece.action
        demo[layout.ACTIONS].attrs[layout.NAMES] = json.dumps(list(piece.episode.action_names))
        demo[layout.REWARDS] = piece.reward.astype(np.uint8)
        demo[layout.DONES] = (np.arange(piece.length) == piece.length - 1).astype(np.uint8)
        demo[layout.TIMES] = piece.times_ns
        demo[layout.CONTROL] = np.array([name.encode() for name in piece.source])
        observations = demo.create_group(layout.OBS)
        for name, columns in _parts(piece.episode.state_names):
            names = [piece.episode.state_names[column] for column in columns]
            observations[name] = piece.state[:, columns]
            observations[name].attrs[layout.NAMES] = json.dumps(names)
        for ours, theirs in self._used(piece).items():
            self._write_images(demo, observations, piece, ours, theirs)

    def _write_images(self, demo: Any, observations: Any, piece: Piece, ours: str, theirs: str) -> None:
        episode, target = piece.episode, None
        for index, row in enumerate(piece.rows.tolist()):
            image = episode.image(ours, row)
            if target is None:
                shape = (piece.length, *image.shape)
                target = observations.create_dataset(theirs + layout.RGB, shape, np.uint8, chunks=(1, *image.shape))
            if image.shape != target.shape[1:]:
                cause = f"Image {row} of '{ours}' is {image.shape}, the ones before are {target.shape[1:]}."
                raise ContractError(cause, "Leave this episode out.")
            target[index] = turned(image, self._convention)
        seen = episode.image_row[ours][piece.rows]
        demo[f"{layout.STAMPS}/{theirs}"] = np.asarray(episode.frames[ours].stamps_ns)[seen]


def check_options(convention: str) -> None:
    need("h5py")
    if convention not in layout.CONVENTIONS:
        raise UnknownName("image convention", convention, layout.CONVENTIONS)


def turned(image: ImageArray, convention: str) -> ImageArray:
    """From our convention, or back to it."""
    return image[::-1] if convention == layout.OPENGL else image


def _parts(names: tuple[str, ...]) -> Iterator[tuple[str, list[int]]]:
    """The state as LIBERO divides it: joints, and grippers where there are any beside joints."""
    grippers = [index for index, name in enumerate(names) if _GRIPPER in name.lower()]
    joints = [index for index in range(len(names)) if index not in grippers]
    if not joints or not grippers:
        yield layout.JOINTS, list(range(len(names)))
        return
    yield layout.JOINTS, joints
    yield layout.GRIPPERS, grippers
