from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.algorithms.descent import CURVE, read_log  # noqa: E402
from vla_mbpo_ros.algorithms.world_model.autoencoder import (  # noqa: E402 (after the check for torch)
    AutoencoderTraining,
    held_out_psnr,
    train_autoencoder,
)
from vla_mbpo_ros.errors import ConfigError, ContractError  # noqa: E402
from vla_mbpo_ros.models.autoencoder import AutoencoderConfig  # noqa: E402
from vla_mbpo_ros.models.pictures import ArrayPictures, from_network, to_network  # noqa: E402

SMALL = AutoencoderConfig(widths=(16, 16), patch=4, latent_channels=8, groups=4)  # 16x16 -> 2x2 tokens
FAST = AutoencoderTraining(size=16, steps=6, batch=8, warmup=2, log_every=2, save_every=3, seed=3)
VIEWS = ("head", "wrist")


def _scenes(count: int, seed: int) -> ArrayPictures:
    """A grey table of many shades, and on it a red square of 3x3 pixels that is anywhere."""
    random = np.random.default_rng(seed)
    images = np.empty((count, 2, 16, 16, 3), np.uint8)
    for row, view in np.ndindex(count, 2):
        images[row, view] = random.integers(120, 200)
        x, y = random.integers(0, 14, 2)
        images[row, view, y : y + 3, x : x + 3] = (210, 20, 20)
    return ArrayPictures(images, VIEWS)


@pytest.mark.parametrize("at", [2, 3])
def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path, at: int) -> None:
    source, held = _scenes(20, 0), _scenes(4, 1)
    whole = train_autoencoder(source, FAST, SMALL, tmp_path / "whole", held)
    train_autoencoder(source, FAST, SMALL, tmp_path / "parts", held, until=at)
    parts = train_autoencoder(source, FAST, SMALL, tmp_path / "parts", held)
    assert parts.version == whole.version
    curves = [read_log(tmp_path / name / CURVE) for name in ("whole", "parts")]
    kept = [[{key: value for key, value in row.items() if key != "seconds"} for row in curve] for curve in curves]
    assert kept[0] == kept[1]
    assert [row["step"] for row in kept[0]] == ["2", "4", "6"]
    assert {"psnr_head", "psnr_wrist"} < set(kept[0][0])


def test_another_seed_is_another_training_and_other_settings_do_not_go_on(tmp_path: Path) -> None:
    source, short = _scenes(20, 0), replace(FAST, steps=2)
    one = train_autoencoder(source, short, SMALL, tmp_path)
    assert one.version != train_autoencoder(source, replace(short, seed=4), SMALL).version
    with pytest.raises(ConfigError, match="rare was"):
        train_autoencoder(source, replace(short, rare=1.0), SMALL, tmp_path)
    with pytest.raises(ConfigError, match="pictures was"):
        train_autoencoder(_scenes(21, 0), short, SMALL, tmp_path)


def test_views_without_pictures_are_refused() -> None:
    with pytest.raises(ContractError, match="at least one of each view"):
        train_autoencoder(_scenes(0, 0), FAST, SMALL)


def test_what_comes_out_is_calibrated_and_ready() -> None:
    source = _scenes(20, 0)
    model = train_autoencoder(source, FAST, SMALL)
    latents = model.encode(to_network(np.concatenate([source.pictures(v, np.arange(20)) for v in VIEWS])))
    assert float(latents.std()) == pytest.approx(1.0, abs=0.02)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.slow
def test_small_things_survive_and_the_mean_picture_is_beaten() -> None:
    source, held = _scenes(1000, 0), _scenes(64, 1)
    model = train_autoencoder(source, replace(FAST, steps=600, batch=32, lr=4e-3, warmup=20, ema=0.98), SMALL)
    truth = held.pictures("head", np.arange(64))
    made = from_network(model.decode(model.encode(to_network(truth)))).astype(float)
    red = truth[..., 0].astype(int) - truth[..., 1] > 100
    redness = (made[..., 0] - made[..., 1])[red].mean(), (made[..., 0] - made[..., 1])[~red].mean()
    assert redness[0] > 95.0  # of 190
    assert redness[1] < 15.0
    mean = np.broadcast_to(source.pictures("head", np.arange(1000)).mean(axis=0), truth.shape)
    naive = 10.0 * np.log10(255.0**2 / np.square(mean - truth).mean(axis=(1, 2, 3))).mean()
    assert held_out_psnr(model, held, 16)["head"] > naive + 3.0
