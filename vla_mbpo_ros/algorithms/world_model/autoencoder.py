"""TrainingSettings of the small autoencoder: pictures to a few numbers and back.

    pictures of a step = the next `batch` of a shuffled epoch over all views        keyed by (seed, epoch)
    z                  = encode(x) + noise · eps                                    keyed by (seed, step)
    loss               = mean of w · (|x̂ - x| + mse · (x̂ - x)²) + latent · mean of z²
    w                  = 1 + rare · how far a pixel is from its view's mean picture, divided by the mean of w
    step               : gradient clipped, AdamW, warm-up then cosine; what is kept is the moving average

A cube fills two pixels in a hundred: with equal weights it is cheapest to paint table over it. The noise makes the
decoder forgive what a dream gets slightly wrong; the term in z² keeps latents from outgrowing the noise. At the end
scale and shift are chosen so that latents have deviation 1. All chance is keyed: an interrupted training goes on bit
for bit on the same device with the same number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_mbpo_ros.algorithms.descent import Descent, Epochs, TrainingSettings, Watch, descend, evenly, with_default
from vla_mbpo_ros.config import leaf
from vla_mbpo_ros.config_io import nested
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.autoencoder import TINY, Autoencoder, AutoencoderConfig
from vla_mbpo_ros.models.pictures import PictureSource, fit_all, from_network, to_network
from vla_mbpo_ros.models.randomness import mix
from vla_mbpo_ros.schema import ImageArray

_ORDER, _NOISE, _START = 1, 2, 3  # streams of chance
_MEAN_OF, _CALIBRATE_ON = 256, 512  # pictures of a view for its mean picture; of all for scale and shift
_USUAL, _RARE = 0.2, 0.6  # distance from the mean picture, of the range 2: below is light and shade, above is a thing
_LEAST = 0.0625  # mean squared error in steps of 256; less counts as that, for equal pictures have none


@dataclass(frozen=True)
class AutoencoderTraining(TrainingSettings):
    """Settings of the training."""

    size: int = leaf(64, "Side of a picture.", unit="pixel", low=8)
    batch: int = leaf(64, "Pictures in a step, of all views.", low=1)
    lr: float = with_default("lr", 3e-3)
    warmup: int = with_default("warmup", 50)
    mse: float = leaf(2.0, "Weight of the squared error beside the absolute one.", low=0.0)
    rare: float = leaf(4.0, "How much more a pixel counts that its view seldom shows.", low=0.0)
    noise: float = leaf(0.1, "Deviation of the noise on latents.", low=0.0)
    latent: float = leaf(1e-3, "Weight of the mean of squared latents.", low=0.0)


def train_autoencoder(
    source: PictureSource,
    cfg: AutoencoderTraining,
    model: AutoencoderConfig = TINY,
    folder: Path | None = None,  # where the curve and the state go; what is there goes on
    held_out: PictureSource | None = None,  # pictures that nobody learns from: their PSNR is in the curve
    watch: Watch | None = None,
    until: int | None = None,  # stop after this many steps, as an interruption would
) -> Autoencoder:
    """The moving average, calibrated and ready to use."""
    trainer = _Trainer(source, held_out, cfg, model)
    descend(trainer, cfg, folder, watch, until)
    return trainer.finish()


def held_out_psnr(model: Autoencoder, source: PictureSource, size: int, at_most: int = 512) -> dict[str, float]:
    """View -> dB, the average over pictures, of at most so many."""
    return {view: _psnr(model, _spread(source, view, size, at_most)) for view in source.views}


class _Trainer:
    """One training, step by step."""

    def __init__(
        self, source: PictureSource, held_out: PictureSource | None, cfg: AutoencoderTraining, model: AutoencoderConfig
    ) -> None:
        self.source, self.held_out, self.cfg = source, held_out, cfg
        counts = [source.count(view) for view in source.views]
        if not counts or not all(counts):
            raise ContractError(f"Views {source.views} have {counts} pictures.", "Give at least one of each view.")
        # places in an epoch: all pictures of the first view, then of the next
        self._view = np.repeat(np.arange(len(counts)), counts)
        self._row = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
        self._usual = {view: _mean_picture(source, view, cfg.size) for view in source.views}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix(cfg.seed, _START))
            # channels last: a third faster on a CPU
            self.model = Autoencoder(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.descent = Descent(self.model, cfg)
        self._epochs = Epochs(len(self._row), cfg.seed, _ORDER)

    @property
    def step(self) -> int:
        return self.descent.step

    def advance(self) -> dict[str, float]:
        pixels, weight = self._batch()
        generator = torch.Generator().manual_seed(mix(self.cfg.seed, _NOISE, self.step))
        z = self.model.encode(pixels)
        made = self.model.decode(z + self.cfg.noise * torch.randn(z.shape, generator=generator))
        error = (made - pixels).abs()
        loss = (weight * (error + self.cfg.mse * error.square())).mean() + self.cfg.latent * z.square().mean()
        told = {"absolute": float(error.detach().mean()) / 2.0, "spread": float(z.detach().std())}
        return {**self.descent.take(loss), **told}

    def look(self) -> dict[str, float]:
        if self.held_out is None:
            return {}
        with self.descent.averaged():
            found = held_out_psnr(self.model, self.held_out, self.cfg.size, 128)
        return {f"psnr_{view}": value for view, value in found.items()}

    def finish(self) -> Autoencoder:
        self.descent.end()
        result = self.model.to(memory_format=torch.contiguous_format)
        each = -(-_CALIBRATE_ON // len(self.source.views))
        shown = [_spread(self.source, view, self.cfg.size, each) for view in self.source.views]
        result.calibrate(to_network(np.concatenate(shown)))
        return result.eval().requires_grad_(False)  # type: ignore[no-any-return]

    def save(self, folder: Path) -> None:
        self.descent.save(folder, {"config": self._settings()})

    def restore(self, folder: Path) -> None:
        self.descent.restore(folder, self._settings())

    # ---- inside -----------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, object]:
        counts = {view: self.source.count(view) for view in self.source.views}
        return {**nested(self.cfg), "model": nested(self.model.cfg), "pictures": counts}

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Pixels and weights (B, 3, S, S)."""
        chosen = self._epochs.step(self.step, self.cfg.batch)
        pixels, usual = [], []
        for index, view in enumerate(self.source.views):
            rows = self._row[chosen[self._view[chosen] == index]]
            if len(rows):
                pixels.append(to_network(fit_all(self.source.pictures(view, rows), self.cfg.size)))
                usual.append(self._usual[view].expand_as(pixels[-1]))
        shown = torch.cat(pixels)
        far = (shown - torch.cat(usual)).abs().amax(dim=1, keepdim=True)
        weight = 1.0 + self.cfg.rare * ((far - _USUAL) / (_RARE - _USUAL)).clamp(0.0, 1.0)
        return shown.contiguous(memory_format=torch.channels_last), weight / weight.mean()


def _spread(source: PictureSource, view: str, size: int, at_most: int) -> ImageArray:
    """(n, S, S, 3) of a view, evenly over all of its rows."""
    return fit_all(source.pictures(view, evenly(source.count(view), at_most)), size)


def _mean_picture(source: PictureSource, view: str, size: int) -> Tensor:
    """(1, 3, S, S)"""
    return to_network(_spread(source, view, size, _MEAN_OF)).mean(dim=0, keepdim=True)


@torch.no_grad()
def _psnr(model: Autoencoder, pictures: ImageArray) -> float:
    made = np.concatenate([_through(model, part) for part in np.array_split(pictures, max(len(pictures) // 64, 1))])
    errors = np.square(made.astype(np.float64) - pictures).mean(axis=(1, 2, 3))
    return float((10.0 * np.log10(255.0**2 / np.maximum(errors, _LEAST))).mean())


def _through(model: Autoencoder, pictures: ImageArray) -> ImageArray:
    return from_network(model.decode(model.encode(to_network(pictures))))
