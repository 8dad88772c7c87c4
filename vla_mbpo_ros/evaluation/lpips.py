"""LPIPS: how different two pictures look to a network that was trained to name things. Version 0.1, AlexNet.

    picture ──scaled──> conv 1 … conv 5 ──each of length 1 a place──> squared differences ──weighted, mean──> sum of 5

It needs trained weights, which no package brings: a file with the five convolutions, named as in AlexNet
(`features.0.weight` …), and the five weightings (`lin0.model.1.weight` …), as safetensors or as a plain state dict
that torch reads without pickled code. Without such a file there is no LPIPS; with random weights it would say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (as everywhere)
from torch import Tensor

from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.models.need import need
from vla_mbpo_ros.models.pictures import to_network
from vla_mbpo_ros.schema import FloatArray, ImageArray

NOT_COMPUTED = "not computed"
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# number in `features`, stride, padding, whether a 3x3 pooling of stride 2 comes before
_LAYERS = ((0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False))
_BATCH = 64
_SMALL = 1e-10


class Lpips:
    """Reads the weights once."""

    def __init__(self, path: Path) -> None:
        held = _read(path)
        try:
            convolutions = [(held[f"features.{n}.weight"], held[f"features.{n}.bias"]) for n, *_ in _LAYERS]
            self._weightings = [held[f"lin{index}.model.1.weight"] for index in range(len(_LAYERS))]
        except KeyError as error:
            cause = f"{path} has no {error}."
            raise ContractError(cause, "Put AlexNet's features and LPIPS's lin0 to lin4 into one file.") from error
        self._convolutions = convolutions

    @torch.no_grad()
    def __call__(self, truth: ImageArray, made: ImageArray) -> FloatArray:
        """(…, H, W, 3) uint8 each -> (…,), 0 for equal pictures."""
        flat = [images.reshape(-1, *images.shape[-3:]) for images in (truth, made)]
        found = [
            self._distance(*(to_network(images[first : first + _BATCH]) for images in flat))
            for first in range(0, len(flat[0]), _BATCH)
        ]
        return np.asarray(torch.cat(found).double().numpy().reshape(truth.shape[:-3]))

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B,)"""
        total = torch.zeros(len(a))
        for one, other, weighting in zip(self._features(a), self._features(b), self._weightings, strict=True):
            difference = (_unit(one) - _unit(other)).square()
            total = total + F.conv2d(difference, weighting).mean(dim=(1, 2, 3))
        return total

    def _features(self, x: Tensor) -> list[Tensor]:
        x = (x - torch.tensor(_SHIFT)[:, None, None]) / torch.tensor(_SCALE)[:, None, None]
        found = []
        for (weight, bias), (_, stride, padding, pooled) in zip(self._convolutions, _LAYERS, strict=True):
            x = F.max_pool2d(x, 3, 2) if pooled else x
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            found.append(x)
        return found


def _unit(x: Tensor) -> Tensor:
    """Of length 1 over the channels, at every place."""
    return x / (x.square().sum(dim=1, keepdim=True).sqrt() + _SMALL)


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ConfigError(f"There is no file {path}.", "Give the weights of LPIPS, or leave it out.")
    if path.suffix == ".safetensors":
        held: dict[str, Tensor] = need("safetensors.torch").load_file(path)
    else:
        held = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.float() for name, tensor in held.items()}
