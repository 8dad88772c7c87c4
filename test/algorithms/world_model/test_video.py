"""Training of the video rival on journeys over the tabletop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.algorithms.descent import CURVE, read_log  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.algorithms.world_model.footage import Footage, make_footage  # noqa: E402
from vla_mbpo_ros.algorithms.world_model.video import VideoTraining, fresh_net, held_out_loss, train_video  # noqa: E402
from vla_mbpo_ros.errors import ConfigError, ContractError  # noqa: E402
from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig  # noqa: E402
from vla_mbpo_ros.models.pictures import to_network  # noqa: E402
from vla_mbpo_ros.robots.tabletop import TABLETOP  # noqa: E402
from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Journeys, Pool, travel  # noqa: E402
from vla_mbpo_ros.sim.tabletop.films import film  # noqa: E402
from vla_mbpo_ros.world_model.actions import for_robot  # noqa: E402
from vla_mbpo_ros.world_model.latents import encode_pictures  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.losses import Clips, video_loss  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.net import VideoNet  # noqa: E402
from vla_mbpo_ros.world_model.umm.config import LatentConfig  # noqa: E402

SMALL = VideoConfig(width=32, layers=2, heads=2, mlp=64, every=5, latent=LatentConfig(height=4, breadth=4, channels=8))
FAST = VideoTraining(steps=6, batch=4, warmup=2, log_every=2, save_every=3, seed=3)
CODEC = for_robot(TABLETOP, SMALL.horizon)


def fresh() -> VideoNet:
    return fresh_net(SMALL, FAST.seed)


def journeys_of(pool: Pool, first: int, count: int) -> Journeys:
    tasks = [task for task in ("press_red", "lift_green") for _ in range(count)]
    return travel(pool, tasks, [first + index for index in range(count)] * 2, ClumsyExperts(pool))


@pytest.fixture(scope="module")
def journeys(pool: Pool) -> Journeys:
    return journeys_of(pool, 0, 6)


@pytest.fixture(scope="module")
def autoencoder(journeys: Journeys) -> Autoencoder:
    """Random, and calibrated on what it will see."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Autoencoder(AutoencoderConfig(widths=(8, 8), patch=4, latent_channels=8, groups=4))
    model.calibrate(to_network(journeys.images[:, 0]))
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def footage(pool: Pool, journeys: Journeys, autoencoder: Autoencoder) -> Footage:
    return make_footage(pool, journeys, autoencoder, CODEC, SMALL)


@pytest.fixture(scope="module")
def held_out(pool: Pool, autoencoder: Autoencoder) -> Footage:
    return make_footage(pool, journeys_of(pool, 100, 2), autoencoder, CODEC, SMALL)


def test_a_clip_is_a_chunk_with_all_its_frames(
    pool: Pool, journeys: Journeys, footage: Footage, autoencoder: Autoencoder
) -> None:
    live = np.flatnonzero(journeys.live)
    assert len(footage) == len(live) > 64  # more than are filmed at once
    rows = np.array([0, 65, len(live) - 1])
    begin = journeys.start[live[rows]]
    clips = footage.clips(rows)
    seen = np.concatenate([journeys.images[begin][:, None], film(pool, journeys, live[rows], 5)], axis=1)
    latents = torch.from_numpy(encode_pictures(autoencoder, seen.reshape(-1, 32, 32, 3), 32))
    tokens = latents.flatten(2).transpose(1, 2).reshape(3, 3, 2, 16, 8)  # (B, F + 1, V, T, D)
    torch.testing.assert_close(clips.told.now, tokens[:, 0])
    torch.testing.assert_close(clips.after, tokens[:, 1:])
    levels = CODEC.encode(journeys.chunks[live[rows]], journeys.state[begin]).levels
    np.testing.assert_allclose(clips.told.actions, levels / 128.0 - 1.0, atol=1e-6)
    np.testing.assert_allclose(clips.told.state, CODEC.encode_state(journeys.state[begin]) / 128.0 - 1.0, atol=1e-6)


@pytest.mark.parametrize("at", [2, 3])
def test_an_interrupted_training_goes_on_bit_for_bit(
    tmp_path: Path, footage: Footage, held_out: Footage, at: int
) -> None:
    whole = train_video(footage, FAST, fresh(), tmp_path / "whole", held_out)
    train_video(footage, FAST, fresh(), tmp_path / "parts", held_out, until=at)
    parts = train_video(footage, FAST, fresh(), tmp_path / "parts", held_out)
    ours, theirs = whole.state_dict(), parts.state_dict()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    curves = [read_log(tmp_path / name / CURVE) for name in ("whole", "parts")]
    kept = [[{key: value for key, value in row.items() if key != "seconds"} for row in curve] for curve in curves]
    assert kept[0] == kept[1]
    assert [row["step"] for row in kept[0]] == ["2", "4", "6"]
    assert "held_out" in kept[0][0]
    assert not any(parameter.requires_grad for parameter in parts.parameters())


def test_a_training_goes_on_with_the_same_settings_and_chunks_only(
    tmp_path: Path, footage: Footage, held_out: Footage
) -> None:
    short = replace(FAST, steps=2)
    train_video(footage, short, fresh(), tmp_path)
    with pytest.raises(ConfigError, match="lr was"):
        train_video(footage, replace(short, lr=1e-4), fresh(), tmp_path)
    with pytest.raises(ConfigError, match="footage was"):
        train_video(held_out, short, fresh(), tmp_path)


def test_without_a_chunk_there_is_nothing_to_learn(pool: Pool, journeys: Journeys, autoencoder: Autoencoder) -> None:
    with pytest.raises(ContractError, match="no chunk to learn from"):
        make_footage(pool, journeys.take([]), autoencoder, CODEC, SMALL)


def test_a_short_training_beats_an_untrained_one_on_episodes_that_it_has_not_seen(
    footage: Footage, held_out: Footage
) -> None:
    net = train_video(
        footage, replace(FAST, steps=200, batch=16, lr=4e-3, warmup=10, ema=0.95, precision="float32"), fresh()
    )
    before, after = held_out_loss(fresh(), held_out), held_out_loss(net, held_out)
    assert after < 0.6 * before
    # and it listens: with the actions of other chunks it does worse
    clips = held_out.clips(np.arange(len(held_out)))
    mixed = Clips(replace(clips.told, actions=clips.told.actions.flip(0)), clips.after)
    eps = torch.randn(clips.after.shape, generator=torch.Generator().manual_seed(0))
    t = torch.full((len(eps),), 0.9)
    with torch.no_grad():
        told, misled = (float(video_loss(net, each, eps, t)) for each in (clips, mixed))
    assert misled > told
