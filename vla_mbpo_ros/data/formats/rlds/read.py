"""An RLDS folder -> episodes.

The format names no columns and no rate. Pictures stay the JPEG or PNG files that they are. An episode counts as
solved from the first step whose reward is 1, if all rewards are 0 or 1; other rewards say nothing of success.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.data.episodes.episode import Episode, IndexArray
from vla_mbpo_ros.data.formats.columns import Source, map_source
from vla_mbpo_ros.data.formats.facts import imported
from vla_mbpo_ros.data.formats.pictures import codec_of, decode
from vla_mbpo_ros.data.formats.rlds.tfrecord import Values, parse_example, read_records
from vla_mbpo_ros.data.formats.rows import check_finite, end_of, even_times, sources
from vla_mbpo_ros.errors import ConfigError, ContractError, UnknownName
from vla_mbpo_ros.schema import FloatArray, ImageArray

STEPS, OBSERVATION, ACTION, REWARD = "steps", "steps/observation", "steps/action", "steps/reward"
_TEXTS = ("steps/language_instruction", "steps/observation/natural_language_instruction", "language_instruction")
_STATES = ("state", "proprio")
_FILE = re.compile(r"(?P<name>.+)-(?P<split>[^-]+)\.tfrecord-\d+-of-\d+")


class RldsSource:
    """The folder of one version of a data set."""

    def __init__(
        self,
        path: Path,
        fps: float,
        robot: str = "",
        cameras: Mapping[str, str] | None = None,
        state: Sequence[str] = (),
        split: str = "",
    ) -> None:
        """`state`: what of observation/ makes the state; empty: `state` or `proprio`."""
        if not fps > 0.0:
            raise ConfigError(f"--fps is {fps}.", "Give the rows a second of the data set, a number above 0.")
        self.path, self._fps, self._robot = path, fps, robot
        self._renamed = dict(cameras or {})
        self.features = flatten_features(_load(path / "features.json"))
        self._state = self._state_keys(state)
        if self.features.get(ACTION, {}).get("kind") != "tensor":
            parts = [name for name in self.features if name.startswith(ACTION)]
            cause = f"{path} has no vector '{ACTION}', it has {', '.join(parts) or 'no action'}."
            raise ContractError(cause, "Only data sets with one action vector are read.")
        self._files = _files(path, split)
        self.count: int | None = None

    def episodes(self) -> Iterator[tuple[str, Callable[[], Episode]]]:
        for file in self._files:
            number = 0
            try:
                for number, record in enumerate(read_records(file)):
                    yield f"{file.name}, {number}", partial(self._read, record, f"{file.name}, {number}")
            except ContractError as error:  # the records before are good
                yield f"{file.name}, after {number}", partial(_raise, error)

    def close(self) -> None:
        """Files are open only while they are read."""

    def _read(self, record: bytes, label: str) -> Episode:
        example = parse_example(record)
        action = self._matrix(example, ACTION)
        if not len(action):
            raise ContractError("It has no steps.", "Leave it out.")
        state = np.concatenate([self._matrix(example, key, len(action)) for key in self._state], axis=1)
        mapped = map_source(self._columns(state.shape[1], action.shape[1]), self._robot)
        state, action = state[:, mapped.state.order], action[:, mapped.action.order]
        check_finite("state", mapped.state.names, state)
        check_finite("action", mapped.action.names, action)
        times_ns, solved = even_times(len(action), self._fps), _success_row(example)
        known = None if solved is None else solved >= 0
        return Episode(
            path=self.path / label,
            facts=imported(None, mapped, _instruction(example), known, f"rlds, {label}"),
            state_names=mapped.state.names,
            action_names=mapped.action.names,
            dt_ns=round(1e9 / self._fps),
            times_ns=times_ns,
            state=state,
            action=action,
            source=sources(None, len(action)),
            frames={ours: self._frames(example, theirs, times_ns) for ours, theirs in mapped.cameras.items()},
            image_row={ours: np.arange(len(action)) for ours in mapped.cameras},
            success_ns=end_of(times_ns, solved, round(1e9 / self._fps)) if known and solved is not None else None,
        )

    def _state_keys(self, wanted: Sequence[str]) -> list[str]:
        known = {
            name[len(OBSERVATION) + 1 :]: feature["kind"]
            for name, feature in self.features.items()
            if name.startswith(f"{OBSERVATION}/") and feature["kind"] == "tensor"
        }
        for name in wanted:
            if name not in known:
                raise UnknownName("observation", name, known, f"{self.path}/features.json")
        keys = list(wanted) or [name for name in _STATES if name in known][:1]
        if not keys:
            cause = f"The observations of {self.path} have neither {' nor '.join(_STATES)}."
            raise ConfigError(cause, f"Say what the state is: --state, of {', '.join(known) or 'nothing there'}.")
        return [f"{OBSERVATION}/{name}" for name in keys]

    def _columns(self, states: int, actions: int) -> Source:
        cameras = [
            name.rsplit("/", 1)[1]
            for name, feature in self.features.items()
            if name.startswith(f"{OBSERVATION}/") and feature["kind"] == "image" and feature["shape"][-1:] == [3]
        ]
        return Source("", (), states, (), actions, cameras, self._renamed)

    def _matrix(self, example: Mapping[str, Values], key: str, rows: int | None = None) -> FloatArray:
        """(T, D)"""
        values = example.get(key)
        if not isinstance(values, np.ndarray):
            raise ContractError(f"It has no numbers '{key}'.", "Leave it out.")
        width = int(np.prod(self.features[key]["shape"], dtype=np.int64)) if self.features[key]["shape"] else 1
        if width < 1 or len(values) % width or (rows is not None and len(values) != rows * width):
            cause = f"'{key}' has {len(values)} numbers, {width} for each step"
            raise ContractError(f"{cause}{'' if rows is None else f' of {rows}'}.", "Leave it out.")
        return values.astype(np.float64).reshape(-1, width)

    def _frames(self, example: Mapping[str, Values], camera: str, times_ns: IndexArray) -> ListFrames:
        files = example.get(f"{OBSERVATION}/{camera}")
        if not isinstance(files, list) or len(files) != len(times_ns):
            count = len(files) if files is not None else 0
            raise ContractError(f"'{camera}' has {count} images for {len(times_ns)} steps.", "Leave it out.")
        return ListFrames(files, times_ns, camera)


class ListFrames:
    """Image files in memory."""

    def __init__(self, files: list[bytes], stamps_ns: IndexArray, camera: str) -> None:
        self._files, self.stamps_ns, self._camera = files, stamps_ns, camera

    def encoded(self, index: int) -> tuple[str, bytes]:
        return codec_of(self._files[index], f"'{self._camera}' of step {index}"), self._files[index]

    def __getitem__(self, index: int) -> ImageArray:
        return decode(self._files[index], f"'{self._camera}' of step {index}")


def flatten_features(feature: Mapping[str, Any], name: str = "") -> dict[str, dict[str, Any]]:
    """Name as in the examples -> kind ("tensor", "image", "text") and shape. What is of another kind is left out."""
    found: dict[str, dict[str, Any]] = {}
    for key, inner in ((feature.get("featuresDict") or {}).get("features") or {}).items():
        found.update(flatten_features(inner, f"{name}/{key}" if name else key))
    if "sequence" in feature:
        found.update(flatten_features(feature["sequence"].get("feature") or {}, name))
    for kind in ("tensor", "image", "text"):
        if kind in feature:
            shape = (feature[kind].get("shape") or {}).get("dimensions") or []
            found[name] = {"kind": kind, "shape": [int(size) for size in shape]}
    return found


def _files(path: Path, split: str) -> list[Path]:
    """In order; of one split, or all."""
    found = {file: match for file in sorted(path.iterdir()) if (match := _FILE.fullmatch(file.name))}
    splits = sorted({match["split"] for match in found.values()})
    if not found:
        raise ConfigError(f"{path} has no file like name-train.tfrecord-00000-of-00001.", "Get the whole data set.")
    if split and split not in splits:
        raise UnknownName("split", split, splits, str(path))
    return [file for file, match in found.items() if not split or match["split"] == split]


def _load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        cause = f"{path.parent} is no RLDS data set: features.json cannot be read: {error}."
        raise ConfigError(cause, "Give the folder of one version, as my_set/1.0.0.") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} is no table of names.", "Get the file again.")
    return found


def _raise(error: ContractError) -> Episode:
    raise error


def _instruction(example: Mapping[str, Values]) -> str:
    for name in _TEXTS:
        texts = example.get(name)
        if isinstance(texts, list) and texts:
            return texts[0].decode("utf-8", "replace")
    return ""


def _success_row(example: Mapping[str, Values]) -> int | None:
    """The first step that was rewarded; -1: none was; None: rewards say nothing."""
    rewards = example.get(REWARD)
    if not isinstance(rewards, np.ndarray) or not np.isin(rewards, (0, 1)).all():
        return None
    solved = np.flatnonzero(rewards)
    return int(solved[0]) if len(solved) else -1
