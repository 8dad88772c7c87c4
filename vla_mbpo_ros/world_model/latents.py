"""Latents of a data set, made once and kept: a world model then learns without an encoder in its loop.

    FOLDER/<version of the autoencoder>-<size>/<name>/
        about.json        what the latents are of: identity of the pictures, shapes
        <view>.npy        (F, C, h, w) float32: row f is picture f of the view

Another version of the autoencoder, or another size, is another folder; pictures of another identity are encoded anew.
An entry is made beside its place and moved there whole; one process makes it, the others wait. It holds what the
encoder says without chance, of pictures as `models.pictures.fit` makes them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vla_mbpo_ros.data.dataset.cached_episode import IMAGES, CachedEpisode
from vla_mbpo_ros.errors import BagError, ContractError
from vla_mbpo_ros.models.autoencoder import Autoencoder
from vla_mbpo_ros.models.pictures import IntArray, PictureSource, fit_all, to_network
from vla_mbpo_ros.schema import ImageArray

FORMAT = 1  # of an entry; another number is made anew
ABOUT = "about.json"
LatentArray = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]  # pictures done, pictures in all


class LatentCache:
    """Entries of one autoencoder, for pictures of one size."""

    def __init__(self, folder: Path, model: Autoencoder, size: int, batch: int = 64) -> None:
        if size % model.downsample:
            cause = f"Pictures of {size} pixels a side, an autoencoder that takes {model.downsample} at a time."
            raise ContractError(cause, "Give a size that is a multiple of that.")
        self._model, self._size, self._batch = model, size, batch
        self.folder = folder / f"{model.version}-{size}"

    def open(
        self, name: str, identity: str, source: PictureSource, progress: Progress | None = None
    ) -> dict[str, LatentArray]:
        """View -> (F, C, h, w), mapped. `name` is that of a folder; `identity` changes when a picture does."""
        entry = self.folder / name
        found = self._current(entry, identity, source)
        if found is not None:
            return found
        try:
            with self._lock(entry):
                found = self._current(entry, identity, source)
                if found is None:
                    self._make(entry, identity, source, progress)
        except OSError as error:
            cause = f"The latents {entry} cannot be written: {error.strerror}."
            raise BagError(cause, "Free disk space, or give another folder for them.") from error
        return found or self._mapped(entry, source)

    def forget_others(self) -> list[str]:
        """Remove what other autoencoders and sizes have left beside; which they were."""
        others = [path for path in sorted(self.folder.parent.glob("*-*")) if path != self.folder and _is_ours(path)]
        for path in others:
            shutil.rmtree(path, ignore_errors=True)
        return [path.name for path in others]

    def _current(self, entry: Path, identity: str, source: PictureSource) -> dict[str, LatentArray] | None:
        try:
            about = json.loads((entry / ABOUT).read_text(encoding="utf-8"))
            return self._mapped(entry, source) if about == self._about(identity, source) else None
        except (OSError, ValueError, EOFError):
            return None

    def _about(self, identity: str, source: PictureSource) -> Mapping[str, Any]:
        return {
            "format": FORMAT,
            "identity": identity,
            "shapes": {v: list(self._shape(source, v)) for v in source.views},
        }

    def _shape(self, source: PictureSource, view: str) -> tuple[int, int, int, int]:
        side = self._size // self._model.downsample
        return source.count(view), self._model.latent_channels, side, side

    def _mapped(self, entry: Path, source: PictureSource) -> dict[str, LatentArray]:
        # asarray: a plain array over the same memory is indexed much faster than numpy's memmap
        return {view: np.asarray(np.load(entry / f"{view}.npy", mmap_mode="r")) for view in source.views}

    def _make(self, entry: Path, identity: str, source: PictureSource, progress: Progress | None) -> None:
        """Under the lock of the entry."""
        draft, old = entry.with_name(f".{entry.name}.new"), entry.with_name(f".{entry.name}.old")
        for left in (draft, old):
            shutil.rmtree(left, ignore_errors=True)
        try:
            draft.mkdir()
            done, total = 0, sum(source.count(view) for view in source.views)
            for view in source.views:
                with (draft / f"{view}.npy").open("wb") as file:
                    for latents in self._write_header(file, source, view):
                        file.write(latents.tobytes())
                        done += len(latents)
                        if progress is not None:
                            progress(done, total)
            (draft / ABOUT).write_text(json.dumps(self._about(identity, source)), encoding="utf-8")
            if entry.exists():
                entry.rename(old)  # who has mapped it keeps it until it lets go
            draft.rename(entry)
        finally:
            for left in (draft, old):
                shutil.rmtree(left, ignore_errors=True)

    def _write_header(self, file: Any, source: PictureSource, view: str) -> Iterator[LatentArray]:
        """Written, never mapped while it grows: a full disk is an error then, not a signal that kills."""
        shape = self._shape(source, view)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, shape[0], self._batch):
            rows = np.arange(first, min(first + self._batch, shape[0]), dtype=np.int64)
            yield encode_pictures(self._model, source.pictures(view, rows), self._size)

    @contextmanager
    def _lock(self, entry: Path) -> Iterator[None]:
        """Let go of by the system when its holder dies."""
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(entry.with_name(f".{entry.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


@torch.inference_mode()
def encode_pictures(model: Autoencoder, pictures: ImageArray, size: int) -> LatentArray:
    """(n, H, W, 3) as a camera gave them -> (n, C, h, w) float32."""
    parameter = next(model.parameters())
    pixels = to_network(fit_all(pictures, size), parameter.device).to(parameter.dtype)
    return np.asarray(model.encode(pixels).float().cpu().contiguous().numpy())


class EpisodePictures:
    """The pictures of one episode of the data set's cache. Of which rows of the episode they are: `rows`."""

    def __init__(self, episode: CachedEpisode) -> None:
        self._images = {view: np.load(episode.path / IMAGES / f"{view}.npy", mmap_mode="r") for view in episode.cameras}
        self.views = episode.cameras
        self.rows: IntArray = np.load(episode.path / "image_row.npy")  # (T, views): row -> picture, or NO_FRAME
        # as the cache names what the pictures are made of: the messages, and the size that they were kept in
        said = json.dumps([episode.about["content"], episode.about["image_shapes"]], sort_keys=True)
        self.name, self.identity = episode.path.name, hashlib.sha256(said.encode()).hexdigest()

    def count(self, view: str) -> int:
        return len(self._images[view])

    def pictures(self, view: str, rows: IntArray) -> ImageArray:
        return np.asarray(self._images[view][rows])


def _is_ours(folder: Path) -> bool:
    """Whether all that is in it was written here: a folder of somebody else's may have a dash in its name too."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")] if folder.is_dir() else []
    return bool(entries) and all((entry / ABOUT).is_file() for entry in entries)
