"""Weights in safetensors files: what is in one, without loading it.

    8 bytes: length of the header | header: JSON, name -> type, shape, place | the numbers, one after the other

A pickle runs whatever program its maker put into it, so none is ever opened.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.need import need

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]
PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
_SUFFIX = ".safetensors"
_LONGEST_HEADER = 100_000_000  # bytes, as in the format's own library
_LISTED = 5  # names of each sort in an error
_BYTES_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Weights:
    """The header of one file."""

    path: Path
    shapes: dict[str, Shape]
    dtypes: dict[str, str]  # as the format writes them: "F32", "BF16"
    metadata: dict[str, str]

    @property
    def parameters(self) -> int:
        return sum(_numbers(shape) for shape in self.shapes.values())

    def count_by_dtype(self) -> dict[str, int]:
        """How many numbers there are of each type."""
        counts: dict[str, int] = {}
        for name, shape in self.shapes.items():
            counts[self.dtypes[name]] = counts.get(self.dtypes[name], 0) + _numbers(shape)
        return counts


def refuse_pickle(path: Path) -> None:
    """ContractError for a file that may run a program when it is opened."""
    if path.suffix.lower() in PICKLES:
        raise ContractError(
            f"{path} is a pickle, which runs a program when it is opened.",
            "Give *.safetensors; whoever trusts the file can convert it where it was made.",
        )


def read_header(path: Path) -> Weights:
    """Names, shapes and types; ContractError for anything but a whole safetensors file."""
    refuse_pickle(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header = _header(file.read(8), file, size, path)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        metadata = {str(key): str(value) for key, value in (header.pop("__metadata__", None) or {}).items()}
        shapes = {name: tuple(int(side) for side in fact["shape"]) for name, fact in header.items()}
        dtypes = {name: str(fact["dtype"]) for name, fact in header.items()}
        end = max((int(fact["data_offsets"][1]) for fact in header.values()), default=0)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise _not_ours(path, f"its header is damaged ({error!r})") from error
    _check_size(path, size, end)
    return Weights(path, shapes, dtypes, metadata)


def load(weights: Weights, names: Mapping[str, str], device: str) -> dict[str, Tensor]:
    """Wanted name -> tensor on `device`, from `names` of wanted name -> name in the file."""
    return dict(each(weights, names, device))


def each(weights: Weights, names: Mapping[str, str], device: str) -> Iterator[tuple[str, Tensor]]:
    """The same, one after the other: for who does not want all of them at once."""
    opened = need("safetensors").safe_open(str(weights.path), framework="pt", device=device)
    with opened as file:
        for wanted, name in names.items():
            yield wanted, file.get_tensor(name)


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    need("safetensors.torch")
    from safetensors.torch import save_file

    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, str(path))


def hash_files(*paths: Path) -> str:
    """SHA-256 over the bytes of all, in this order."""
    found = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while block := file.read(_BYTES_AT_ONCE):
                    found.update(block)
        except OSError as error:
            raise _unreadable(path, error) from error
    return found.hexdigest()


def refuse_mismatch(where: str, missing: list[str], extra: list[str], misshapen: list[str]) -> None:
    """ContractError if any of the three has a name in it."""
    parts = (("missing", missing), ("unknown", extra), ("of another shape", misshapen))
    told = [f"{len(names)} {what}: {_first(names)}" for what, names in parts if names]
    if told:
        cause = f"The weights of {where} do not fit: {'; '.join(told)}."
        raise ContractError(cause, "Load a checkpoint of this architecture and size, whole.")


def refuse_unlike(where: str, ours: Mapping[str, Shape], theirs: Mapping[str, Shape]) -> None:
    """ContractError unless both have the same names and shapes."""
    both = ours.keys() & theirs.keys()
    misshapen = sorted(name for name in both if ours[name] != theirs[name])
    refuse_mismatch(where, sorted(ours.keys() - both), sorted(theirs.keys() - both), misshapen)


def _first(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _header(length: bytes, file: Any, size: int, path: Path) -> dict[str, Any]:
    if len(length) < 8:
        raise _not_ours(path, f"it has {len(length)} bytes")
    wanted = struct.unpack("<Q", length)[0]
    if wanted > min(_LONGEST_HEADER, size - 8):
        raise _not_ours(path, "its first bytes do not give the length of a header")
    try:
        header = json.loads(file.read(wanted))
    except ValueError as error:
        raise _not_ours(path, "its header is no JSON") from error
    if not isinstance(header, dict):
        raise _not_ours(path, "its header is no list of names")
    return header


def _check_size(path: Path, size: int, end: int) -> None:
    with path.open("rb") as file:
        whole = 8 + int(struct.unpack("<Q", file.read(8))[0]) + end
    if size != whole:
        cause = f"{path} has {size} bytes, its header speaks of {whole}: it is cut off or was changed."
        raise ContractError(cause, "Copy it again.")


def _unreadable(path: Path, error: OSError) -> ContractError:
    return ContractError(f"Cannot read {path}: {error.strerror}.", "Give the folder of a whole policy.")


def _not_ours(path: Path, reason: str) -> ContractError:
    return ContractError(f"{path} is not a whole safetensors file: {reason}.", "Copy it again, or give another file.")


def _numbers(shape: Shape) -> int:
    count = 1
    for side in shape:
        count *= side
    return count
