"""One episode as it lies in the cache: a folder of arrays that are mapped into memory, and what is said of them.

    <name of the bag>-<hash>/
        episode.json          facts, names, the identity of the bag, what was left out
        times_ns.npy          (T,)     image_row.npy     (T, C)      chunk_row.npy      (P,)
        state.npy             (T, S)   source.npy        (T,)        chunk_ns.npy       (P, 2) observed, step [ns]
        action.npy            (T, A)   frame_ns.npy      (C, F max)  chunk_values.npy   (P, K, A), NaN where shorter
        images/<camera>.npy   (F, H, W, 3) uint8

C cameras; P chunks of which the observation is known. At a row where a chunk was observed, state and images are
those that its policy saw.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_mbpo_ros.data.dataset.windows import BoolArray
from vla_mbpo_ros.data.episodes.episode import NO_FRAME, IndexArray
from vla_mbpo_ros.data.episodes.reader import success_time_ns
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError
from vla_mbpo_ros.schema import FloatArray, ImageArray

FORMAT = 1  # of the entry; another number is made anew
FACTS_FILE, IMAGES = "episode.json", "images"
_SAME_STEP = 0.01  # a chunk whose steps differ by more from the control period is not laid over the rows


@dataclass
class CachedEpisode:
    """Read-only. Arrays are mapped when they are first asked for; a copy for another process maps them itself."""

    path: Path  # of the entry
    bag: Path
    about: Mapping[str, Any]  # what is in episode.json
    _maps: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, path: Path, bag: Path) -> CachedEpisode:
        """BagError if the entry is not whole or of another format."""
        try:
            about = json.loads((path / FACTS_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BagError(f"The cache {path} cannot be read: {error}.", "Delete it; it is made anew.") from error
        if about.get("format") != FORMAT:
            raise BagError(f"The cache {path} is of another version.", "Delete it; it is made anew.")
        return cls(path, bag, about)

    def __getstate__(self) -> dict[str, Any]:
        """Without the maps and what was made of them."""
        return {"path": self.path, "bag": self.bag, "about": self.about, "_maps": {}}

    # -- what is said ----------------------------------------------------------------------------------------------

    @cached_property
    def facts(self) -> EpisodeFacts:
        return EpisodeFacts.from_custom_data(self.about["facts"], str(self.bag))

    @property
    def id(self) -> str:
        return self.facts.episode_id or self.bag.name

    @property
    def dt_ns(self) -> int:
        return int(self.about["dt_ns"])

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self.about["image_shapes"])

    @property
    def form(self) -> tuple[Any, ...]:
        """What all episodes of a data set must have in common."""
        shapes = tuple((camera, tuple(shape)) for camera, shape in self.about["image_shapes"].items())
        hz = round(1e9 / self.dt_ns) if self.dt_ns else 0
        return tuple(self.about["state_names"]), tuple(self.about["action_names"]), shapes, hz

    @cached_property
    def success_ns(self) -> int | None:
        return success_time_ns(self.facts, int(self.about["start_ns"]), self.times_ns)

    # -- arrays ----------------------------------------------------------------------------------------------------

    @property
    def times_ns(self) -> IndexArray:
        return self._ints("times_ns")

    @property
    def state(self) -> FloatArray:
        return self._floats("state")

    @property
    def action(self) -> FloatArray:
        return self._floats("action")

    @property
    def source(self) -> npt.NDArray[np.uint8]:
        """(T,) index into `sources`."""
        return self._bytes("source")

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.about["sources"])

    @property
    def chunk_row(self) -> IndexArray:
        return self._ints("chunk_row")

    @cached_property
    def chunk_at(self) -> dict[int, int]:
        """Row -> the chunk that was observed there; of several the newest."""
        return {int(row): index for index, row in enumerate(self.chunk_row)}

    @property
    def seen(self) -> BoolArray:
        """(T,) where every camera has an image."""
        return np.asarray((self._ints("image_row") != NO_FRAME).all(axis=1))

    def images(self, row: int) -> dict[str, ImageArray]:
        """Camera -> (H, W, 3), a view of the file. Only for rows that are `seen`."""
        frames = self._ints("image_row")[row]
        return {camera: self._images(camera)[frames[index]] for index, camera in enumerate(self.cameras)}

    def image_stamps_ns(self, row: int) -> IndexArray:
        """(C,) when each of these images was taken."""
        frames = self._ints("image_row")[row]
        return np.asarray(self._ints("frame_ns")[np.arange(len(frames)), frames])

    def proposed(self, row: int, k: int) -> tuple[FloatArray, BoolArray]:
        """(k, A) the steps of the chunk observed at this row for the rows from here on, and (k,) where it has one."""
        values, mask = np.zeros((k, self.action.shape[1])), np.zeros(k, dtype=bool)
        index = self.chunk_at.get(row)
        if index is None:
            return values, mask
        chunk, (observed_ns, step_ns) = self._floats("chunk_values")[index], self._ints("chunk_ns")[index]
        if abs(step_ns - self.dt_ns) > _SAME_STEP * self.dt_ns:
            return values, mask  # its steps are not those of the control loop
        for place, time_ns in enumerate(self.times_ns[row : row + k]):
            step = round((int(time_ns) - int(observed_ns)) / int(step_ns))
            if 0 <= step < len(chunk) and np.isfinite(chunk[step]).all():
                values[place], mask[place] = chunk[step], True
        return values, mask

    def _images(self, camera: str) -> ImageArray:
        return self._bytes(f"{IMAGES}/{camera}")

    def _ints(self, name: str) -> IndexArray:
        return self._array(name)  # type: ignore[no-any-return]

    def _floats(self, name: str) -> FloatArray:
        return self._array(name)  # type: ignore[no-any-return]

    def _bytes(self, name: str) -> npt.NDArray[np.uint8]:
        return self._array(name)  # type: ignore[no-any-return]

    def _array(self, name: str) -> Any:
        if name not in self._maps:
            try:
                # asarray: a plain array over the same memory is indexed much faster than numpy's memmap
                self._maps[name] = np.asarray(np.load(self.path / f"{name}.npy", mmap_mode=_mode(name)))
            except (OSError, ValueError) as error:
                cause = f"The cache {self.path} has lost {name}.npy: {error}."
                raise BagError(cause, "Delete it; it is made anew.") from error
        return self._maps[name]


def _mode(name: str) -> Any:
    """Images are mapped; the rest is small."""
    return "r" if name.startswith(IMAGES) else None
