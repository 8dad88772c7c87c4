"""Arrays and how they were made, in one compressed file that is there whole or not at all.

An .npz without pickles. Each array carries a checksum (the zip's), and a file that was cut off has no table of
contents; so damage is seen when it is read. It is written beside its place, and takes it when it is on the disk.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vla_mbpo_ros.errors import ConfigError, ContractError

_RECIPE = "recipe"


def write_arrays(path: Path, arrays: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Replaces what is there."""
    kept: dict[str, Any] = {_RECIPE: np.array(json.dumps(recipe)), **arrays}
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.part")
    with half.open("wb") as file:
        np.savez_compressed(file, **kept)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def read_arrays(path: Path, recipe: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """ConfigError if `recipe` is given and they were made otherwise."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        kept = json.loads(str(arrays.pop(_RECIPE)))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ContractError(f"{path} holds no arrays that can be read: {error}.", "Make them anew.") from error
    if recipe is not None:
        _compare(path, kept, json.loads(json.dumps(recipe)))
    return arrays


def _compare(path: Path, kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    changed = [name for name in {**kept, **wanted} if kept.get(name) != wanted.get(name)]
    if changed:
        detail = ", ".join(f"{name} was {kept.get(name)}, now {wanted.get(name)}" for name in changed)
        raise ConfigError(f"What is in {path} was made otherwise ({detail}).", "Ask for the same, or for another file.")
