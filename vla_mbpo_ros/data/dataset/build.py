"""An episode -> the arrays of its entry in the cache. Images are decoded, and resized, once and for all.

Files are written, never mapped while they grow: a full disk is an error then, not a signal that kills.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vla_mbpo_ros.data.bags.foreign import open_bag
from vla_mbpo_ros.data.dataset.cached_episode import FACTS_FILE, FORMAT, IMAGES
from vla_mbpo_ros.data.dataset.settings import DatasetSettings
from vla_mbpo_ros.data.episodes.contract_bag import ContractBag
from vla_mbpo_ros.data.episodes.episode import NO_FRAME, Episode, Frames, IndexArray
from vla_mbpo_ros.data.episodes.frames import BagFrames
from vla_mbpo_ros.data.episodes.reader import read_episode
from vla_mbpo_ros.errors import BagError, ContractError, UnknownName
from vla_mbpo_ros.schema import FloatArray, ImageArray

_CHANNELS = 3


def estimate_bytes(bag: Path, settings: DatasetSettings) -> int:
    """Disk that the images of a bag need at most."""
    source = ContractBag(bag)
    total = 0
    for camera in _cameras(source.cameras, settings, bag):
        topic = source.color_topic(camera)
        first = next(source.messages(topic), None)
        if first is None:
            continue
        height, width = settings.size or BagFrames.peek(source, topic, first).shape[:2]
        total += source.count(topic) * height * width * _CHANNELS
    return total


def build_entry(bag: Path, folder: Path, settings: DatasetSettings, about: dict[str, Any]) -> None:
    """Fill the empty `folder`; `about` is added to what is said of the episode."""
    episode = read_episode(bag, check_images=False)
    if not episode.rows:
        raise BagError(f"{bag} has no row: no command has a fresh joint state.", "See `vla-mbpo bags check`.")
    cameras = _cameras(episode.cameras, settings, bag)
    skipped = Counter(episode.skipped)
    image_row = np.stack([episode.image_row[camera] for camera in cameras], axis=1)  # (T, C)
    state, chunks = episode.state.copy(), _place_chunks(episode, skipped)
    for index, row in chunks:
        seen = episode.seen[index]
        if seen is not None:
            state[row] = seen.state
            image_row[row] = [seen.frames[camera] for camera in cameras]
    shapes, stamps = {}, []
    for column, camera in enumerate(cameras):
        frames, used = episode.frames[camera], np.unique(image_row[:, column])
        used = used[used != NO_FRAME]
        path = folder / IMAGES / f"{camera}.npy"
        shapes[camera], good, cause = write_images(path, frames, used, settings.size)
        if cause and not good.any():
            raise BagError(f"{bag} has no image of {camera} that can be used: {cause}", "Leave this bag out.")
        image_row[:, column] = _renumber(image_row[:, column], used, good)
        if len(used) > good.sum():
            skipped[f"images of {camera} that cannot be used"] += int(len(used) - good.sum())
        stamps.append(frames.stamps_ns[used])
    _save(folder, episode, state, image_row, stamps, chunks)
    names = {"state_names": episode.state_names, "action_names": episode.action_names}
    numbers = {"dt_ns": episode.dt_ns, "start_ns": open_bag(bag).start_ns, "format": FORMAT}
    said = {**about, **names, **numbers, "image_shapes": shapes, "skipped": skipped, "sources": _sources(episode)}
    (folder / FACTS_FILE).write_text(json.dumps(said), encoding="utf-8")


def resize(image: ImageArray, size: tuple[int, int] | None) -> ImageArray:
    """(height, width); Pillow's bilinear filter covers the whole area of each new pixel, so nothing flickers."""
    if size is None or image.shape[:2] == tuple(size):
        return image
    made = Image.fromarray(np.ascontiguousarray(image)).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(made)


def write_images(
    path: Path, frames: Frames, used: IndexArray, size: tuple[int, int] | None
) -> tuple[tuple[int, ...], npt.NDArray[np.bool_], str]:
    """The shape of an image; (U,) which of the used frames could be written, the others are black; why the first
    of those could not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    good, shape, cause = np.zeros(len(used), dtype=bool), (0, 0, 0), ""
    with path.open("wb") as stream:
        for place, index in enumerate(used):
            try:
                image = resize(frames[int(index)], size)
            except (BagError, ContractError) as error:
                cause = cause or error.cause
                continue
            if not good.any():
                shape, start = image.shape, _write_head(stream, (len(used), *image.shape))
            if image.shape == shape:
                good[place] = True
                stream.seek(start + place * image.nbytes)
                stream.write(np.ascontiguousarray(image).data)
        if good.any():
            stream.truncate(start + len(used) * int(np.prod(shape)))
    if not good.any():
        np.save(path, np.zeros((0, *shape), dtype=np.uint8))
    return tuple(int(side) for side in shape), good, cause


def _write_head(stream: Any, shape: tuple[int, ...]) -> int:
    """Where the first image begins."""
    head = {"descr": "|u1", "fortran_order": False, "shape": tuple(int(side) for side in shape)}
    np.lib.format.write_array_header_1_0(stream, head)
    return int(stream.tell())


def _renumber(rows: IndexArray, used: IndexArray, good: npt.NDArray[np.bool_]) -> IndexArray:
    """Numbers of frames in the bag -> numbers in the file."""
    places = {int(index): place if good[place] else NO_FRAME for place, index in enumerate(used)}
    return np.array([places.get(int(row), NO_FRAME) for row in rows], dtype=np.int64)


def _place_chunks(episode: Episode, skipped: Counter[str]) -> list[tuple[int, int]]:
    """(chunk, row at which it was observed), for chunks whose observation is known."""
    placed = []
    for index, chunk in enumerate(episode.chunks):
        row = int(np.argmin(np.abs(episode.times_ns - chunk.observed_ns)))
        if index < len(episode.seen) and episode.seen[index] is None:
            continue  # counted by the reader
        if 2 * abs(int(episode.times_ns[row]) - chunk.observed_ns) > max(episode.dt_ns, 1):
            skipped["chunks that were observed at no row"] += 1
        else:
            placed.append((index, row))
    return placed


def _sources(episode: Episode) -> list[str]:
    return sorted(set(episode.source))


def _save(
    folder: Path,
    episode: Episode,
    state: FloatArray,
    image_row: IndexArray,
    stamps: Sequence[IndexArray],
    placed: Sequence[tuple[int, int]],
) -> None:
    chunks = [episode.chunks[index] for index, _ in placed]
    values = np.full((len(chunks), max((c.horizon for c in chunks), default=0), episode.action.shape[1]), np.nan)
    for place, chunk in enumerate(chunks):
        values[place, : chunk.horizon] = chunk.values
    frame_ns = np.zeros((len(stamps), max((len(row) for row in stamps), default=0)), dtype=np.int64)
    for column, row in enumerate(stamps):
        frame_ns[column, : len(row)] = row
    codes = {name: code for code, name in enumerate(_sources(episode))}
    arrays: dict[str, npt.NDArray[Any]] = {
        "times_ns": episode.times_ns,
        "state": state,
        "action": episode.action,
        "source": np.array([codes[name] for name in episode.source], dtype=np.uint8),
        "image_row": image_row,
        "frame_ns": frame_ns,
        "chunk_row": np.array([row for _, row in placed], dtype=np.int64),
        "chunk_ns": np.array([[c.observed_ns, c.dt_ns] for c in chunks], dtype=np.int64).reshape(-1, 2),
        "chunk_values": values,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def _cameras(present: Sequence[str], settings: DatasetSettings, bag: Path) -> tuple[str, ...]:
    for camera in settings.cameras:
        if camera not in present:
            raise UnknownName("camera", camera, present, str(bag))
    cameras = settings.cameras or tuple(present)
    if not cameras:
        raise BagError(f"{bag} has no images of any camera.", "Leave it out.")
    return tuple(cameras)
