"""An autoencoder on disk.

    ours     FOLDER/autoencoder.json, FOLDER/autoencoder.safetensors
    FLUX's   ae.safetensors, as Bagel brings it: 244 tensors

Loading is strict: every name that is missing, unknown or of another shape is an error, never a warning.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vla_mbpo_ros.config_io import build, nested
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.autoencoder.config import FLUX, AutoencoderConfig
from vla_mbpo_ros.models.autoencoder.model import Autoencoder
from vla_mbpo_ros.models.need import need
from vla_mbpo_ros.models.weights import refuse_unlike

SETTINGS, WEIGHTS = "autoencoder.json", "autoencoder.safetensors"


def save_autoencoder(model: Autoencoder, folder: Path) -> None:
    """The whole folder at once: a half-written one is never found."""
    save_file = need("safetensors.torch").save_file
    draft, old = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old")
    for left in (draft, old):
        shutil.rmtree(left, ignore_errors=True)
    draft.mkdir(parents=True)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, draft / WEIGHTS
    )
    said = {"config": nested(model.cfg), "version": model.version}
    (draft / SETTINGS).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_autoencoder(folder: Path, device: torch.device | str = "cpu") -> Autoencoder:
    """One that `save_autoencoder` has written, ready to use; ContractError if a byte of it was changed."""
    try:
        said = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in said["config"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        cause = f"{folder} holds no autoencoder that can be read: {error}."
        raise ContractError(cause, f"Give a folder with {SETTINGS} and {WEIGHTS}.") from error
    model = _filled(build(AutoencoderConfig, values, str(folder / SETTINGS)), folder / WEIGHTS)
    if model.version != said.get("version"):
        cause = f"The autoencoder in {folder} has the version {model.version}, written down is {said.get('version')}."
        raise ContractError(cause, "The files were changed or mixed up: copy the folder again, or train it anew.")
    return _ready(model, device)


def load_flux(path: Path, cfg: AutoencoderConfig = FLUX, device: torch.device | str = "cpu") -> Autoencoder:
    """FLUX's autoencoder, in the type that the file has."""
    return _ready(_filled(cfg, path), device)


def fill(model: Autoencoder, tensors: Mapping[str, Tensor], where: str) -> None:
    """Give `model`, which may be on the meta device, exactly these weights."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    refuse_unlike(where, wanted, shapes)
    model.load_state_dict(dict(tensors), assign=True)


def _filled(cfg: AutoencoderConfig, path: Path) -> Autoencoder:
    if path.suffix != ".safetensors":
        cause = f"{path} is no safetensors file; other formats may run a program when they are opened."
        raise ContractError(cause, "Give *.safetensors.")
    with torch.device("meta"):
        model = Autoencoder(cfg)
    fill(model, _read(path), str(path))
    return model


def _read(path: Path) -> dict[str, Tensor]:
    library: Any = need("safetensors.torch")
    try:
        return library.load_file(str(path))  # type: ignore[no-any-return]
    except Exception as error:  # the format's own error has no other base
        cause = f"{path} cannot be read: {error}."
        raise ContractError(cause, "Copy it again, or give another file.") from error


def _ready(model: Autoencoder, device: torch.device | str) -> Autoencoder:
    return model.to(device).eval().requires_grad_(False)
