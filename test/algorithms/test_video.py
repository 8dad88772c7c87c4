"""Training of the video rival on films of the tabletop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.algorithms.footage import Footage, tabletop_footage  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.algorithms.log import read_log  # noqa: E402
from vla_mbpo_ros.algorithms.video import CURVE, VideoTraining, fresh_net, held_out_loss, train_video  # noqa: E402
from vla_mbpo_ros.errors import ConfigError, ContractError  # noqa: E402
from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig  # noqa: E402
from vla_mbpo_ros.models.pictures import to_network  # noqa: E402
from vla_mbpo_ros.robots.tabletop import TABLETOP  # noqa: E402
from vla_mbpo_ros.sim.tabletop import Films, Pool, collect_films, to_command  # noqa: E402
from vla_mbpo_ros.world_model.actions import for_robot  # noqa: E402
from vla_mbpo_ros.world_model.latents import encode_pictures  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.losses import Clips, video_loss  # noqa: E402
from vla_mbpo_ros.world_model.umm.config import LatentConfig  # noqa: E402

SMALL = VideoConfig(width=32, layers=2, heads=2, mlp=64, every=5, latent=LatentConfig(height=4, breadth=4, channels=8))
FAST = VideoTraining(steps=6, batch=4, warmup=2, log_every=2, save_every=3, seed=3)


@pytest.fixture(scope="module")
def films(pool: Pool) -> Films:
    return collect_films(("press_red", "lift_green"), range(4), 0.3, pool=pool, every=5)


@pytest.fixture(scope="module")
def autoencoder(films: Films) -> Autoencoder:
    """Random, and calibrated on what it will see."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Autoencoder(AutoencoderConfig(widths=(8, 8), patch=4, latent_channels=8, groups=4))
    model.calibrate(to_network(films.images[:, 0]))
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def footage(films: Films, autoencoder: Autoencoder) -> Footage:
    return tabletop_footage(films, autoencoder, for_robot(TABLETOP, SMALL.horizon), SMALL)


@pytest.fixture(scope="module")
def held_out(pool: Pool, autoencoder: Autoencoder) -> Footage:
    films = collect_films(("press_red", "lift_green"), range(100, 102), 0.3, pool=pool, every=5)
    return tabletop_footage(films, autoencoder, for_robot(TABLETOP, SMALL.horizon), SMALL)


def test_a_clip_is_a_chunk_of_one_film_with_its_frames(
    films: Films, footage: Footage, autoencoder: Autoencoder
) -> None:
    chosen = np.array([0, len(footage) - 1])
    clips = footage.clips(chosen)
    for place, row in enumerate(footage.rows[chosen]):
        assert len(set(films.film[row : row + 3])) == 1
        seen = encode_pictures(autoencoder, films.images[row : row + 3].reshape(-1, 32, 32, 3), 32)
        latents = torch.from_numpy(seen).flatten(2).transpose(1, 2).unflatten(0, (3, 2))  # (F + 1, V, T, D)
        torch.testing.assert_close(clips.told.now[place], latents[0])
        torch.testing.assert_close(clips.after[place], latents[1:])
        chunk = to_command(films.actions[row : row + 2].reshape(1, 10, 7))
        levels = footage.codec.encode(chunk, films.state[row : row + 1]).levels[0]
        np.testing.assert_allclose(clips.told.actions[place], levels / 128.0 - 1.0, atol=1e-6)
    assert clips.told.state.abs().max() <= 1.0
    assert clips.told.actions.abs().max() <= 1.0


@pytest.mark.parametrize("at", [2, 3])
def test_an_interrupted_training_goes_on_bit_for_bit(
    tmp_path: Path, footage: Footage, held_out: Footage, at: int
) -> None:
    whole = train_video(footage, FAST, SMALL, tmp_path / "whole", held_out)
    train_video(footage, FAST, SMALL, tmp_path / "parts", held_out, until=at)
    parts = train_video(footage, FAST, SMALL, tmp_path / "parts", held_out)
    ours, theirs = whole.state_dict(), parts.state_dict()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    curves = [read_log(tmp_path / name / CURVE) for name in ("whole", "parts")]
    kept = [[{key: value for key, value in row.items() if key != "seconds"} for row in curve] for curve in curves]
    assert kept[0] == kept[1]
    assert [row["step"] for row in kept[0]] == ["2", "4", "6"]
    assert "held_out" in kept[0][0]
    assert not any(parameter.requires_grad for parameter in parts.parameters())


def test_a_training_goes_on_with_the_same_settings_and_films_only(
    tmp_path: Path, footage: Footage, held_out: Footage
) -> None:
    short = replace(FAST, steps=2)
    train_video(footage, short, SMALL, tmp_path)
    with pytest.raises(ConfigError, match="lr was"):
        train_video(footage, replace(short, lr=1e-4), SMALL, tmp_path)
    with pytest.raises(ConfigError, match="footage was"):
        train_video(held_out, short, SMALL, tmp_path)
    with pytest.raises(ContractError, match="as long as a chunk"):
        train_video(replace(footage, rows=footage.rows[:0]), short, SMALL)


def test_a_short_training_beats_an_untrained_one_on_films_that_it_has_not_seen(
    footage: Footage, held_out: Footage
) -> None:
    net = train_video(footage, replace(FAST, steps=150, batch=16, lr=4e-3, warmup=10, ema=0.95), SMALL)
    before, after = held_out_loss(fresh_net(SMALL, FAST.seed), held_out), held_out_loss(net, held_out)
    assert after < 0.6 * before
    # and it listens: with the actions of other clips it does worse
    clips = held_out.clips(np.arange(len(held_out)))
    mixed = Clips(replace(clips.told, actions=clips.told.actions.flip(0)), clips.after)
    eps = torch.randn(clips.after.shape, generator=torch.Generator().manual_seed(0))
    t = torch.full((len(eps),), 0.9)
    with torch.no_grad():
        told, misled = (float(video_loss(net, each, eps, t)) for each in (clips, mixed))
    assert misled > told
