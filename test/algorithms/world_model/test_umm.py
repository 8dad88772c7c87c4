"""Training of UMM-World on a handful of episodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from vla_mbpo_ros.algorithms.descent import CURVE, read_log
from vla_mbpo_ros.algorithms.world_model.dream_data import JourneyDreams
from vla_mbpo_ros.algorithms.world_model.umm import train_world_model
from vla_mbpo_ros.algorithms.world_model.umm_config import WorldModelTraining
from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig
from vla_mbpo_ros.models.pictures import to_network
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.sim.tabletop import ClumsyExperts, Journeys, Pool, travel
from vla_mbpo_ros.world_model.actions import for_robot
from vla_mbpo_ros.world_model.umm.config import LatentConfig, SamplerConfig, TrunkConfig, UmmConfig
from vla_mbpo_ros.world_model.umm.model import Around, UmmWorld
from vla_mbpo_ros.world_model.umm.net import UmmNet
from vla_mbpo_ros.world_model.vocabulary import ByteVocabulary

SMALL = UmmConfig(
    trunk=TrunkConfig(width=32, layers=1, heads=2, kv_heads=1, mlp=48),
    latent=LatentConfig(height=4, breadth=4, channels=8),
    sampler=SamplerConfig(euler_steps=2),
)
FAST = WorldModelTraining(
    steps=6, batch=4, draws=2, judged=4, warmup=2, dreamed=6, dreamed_every=2, log_every=2, save_every=3, seed=3
)
Make = Callable[..., UmmWorld]


@pytest.fixture(scope="module")
def journeys(pool: Pool) -> Journeys:
    tasks = ["press_red", "press_blue"] * 3
    return travel(pool, tasks, range(60, 66), ClumsyExperts(pool), least=7)  # one more than an episode has


@pytest.fixture(scope="module")
def autoencoder(journeys: Journeys) -> Autoencoder:
    """Untrained: latents of 32x32 pictures that are as wide as those of a trained one."""
    torch.manual_seed(0)
    made = Autoencoder(AutoencoderConfig(widths=(8, 8), patch=4, latent_channels=8, groups=4))
    made.calibrate(to_network(journeys.images[:32, 0]))
    return made.eval().requires_grad_(False)


@pytest.fixture
def world(autoencoder: Autoencoder) -> Make:
    def make(seed: int = 0, ivd: bool = True) -> UmmWorld:
        torch.manual_seed(seed)
        around = Around(autoencoder, ByteVocabulary(), for_robot(TABLETOP, 10), TABLETOP, TABLETOP.camera_names, ivd)
        return UmmWorld(UmmNet(SMALL), around, "new")

    return make


def test_a_world_model_learns_where_views_go_and_when_a_task_is_done(world: Make, journeys: Journeys) -> None:
    rows: list[dict[str, float]] = []
    model = world()
    data = JourneyDreams(journeys, model)
    cfg = dataclasses.replace(FAST, steps=160, batch=8, judged=16, lr=5e-3, ema=0.9, dreamed=0, log_every=20)
    train_world_model(model, data, cfg, held_out=data, watch=lambda row: rows.append(dict(row)))
    assert rows[-1]["held_out_mse"] < 0.9 * rows[0]["held_out_mse"]
    assert rows[-1]["held_out_ce"] < 0.9 * rows[0]["held_out_ce"]


def test_an_interrupted_training_goes_on_bit_for_bit_with_the_dreams_that_it_had(
    world: Make, journeys: Journeys, tmp_path: Path
) -> None:
    def train(name: str, seed: int, until: int | None = None) -> UmmWorld:
        model = world(seed)
        return train_world_model(model, JourneyDreams(journeys, model), FAST, tmp_path / name, until=until)

    whole = train("whole", 0)
    train("parts", 0, until=5)  # the dreams of step 4 are kept
    again = train("parts", 1)
    for (name, one), other in zip(whole.net.named_parameters(), again.net.parameters(), strict=True):
        assert torch.equal(one, other), name
    curves = [read_log(tmp_path / name / CURVE) for name in ("whole", "parts")]
    assert [row["loss"] for row in curves[0]] == [row["loss"] for row in curves[1]]
    seconds = [float(row["seconds"]) for row in curves[1]]
    assert seconds == sorted(seconds)  # also of what was learnt before the interruption
    model, other = world(), dataclasses.replace(FAST, batch=6)
    data = JourneyDreams(journeys, model)
    with pytest.raises(ConfigError, match="batch was 4"):
        train_world_model(model, data, other, tmp_path / "parts")
    model = world(ivd=False)
    with pytest.raises(ConfigError, match="ivd was True"):
        train_world_model(model, JourneyDreams(journeys, model), FAST, tmp_path / "parts")


def test_parts_of_a_step_add_up_to_the_whole(world: Make, journeys: Journeys) -> None:
    """Each part draws its own noise, so only what does not depend on it is equal: how many chunks are learnt."""
    model = world()
    cfg = dataclasses.replace(FAST, parts=2, dreamed=0)
    seen: list[int] = []
    data = JourneyDreams(journeys, model)
    moves = data.moves

    def counted(rows: Any) -> Any:
        seen.append(len(rows))
        return moves(rows)

    data.moves = counted  # type: ignore[method-assign]
    train_world_model(model, data, cfg)
    assert seen == [2, 2] * FAST.steps


def test_patience_ends_a_training_and_keeps_the_best_weights(world: Make, journeys: Journeys, tmp_path: Path) -> None:
    model = world()
    data = JourneyDreams(journeys, model)
    cfg = dataclasses.replace(FAST, steps=40, lr=0.0, ema=0.0, patience=3, log_every=1, dreamed=0)
    begun = [parameter.clone() for parameter in model.net.parameters()]
    train_world_model(model, data, cfg, tmp_path, held_out=data)
    assert len(read_log(tmp_path / CURVE)) == 4  # the first look is the best, three are no better
    assert all(torch.equal(a, b) for a, b in zip(begun, model.net.parameters(), strict=True))


def test_chunks_that_began_after_the_end_of_their_episode_are_left_out(world: Make, journeys: Journeys) -> None:
    data = JourneyDreams(journeys, world())
    assert len(data) == int(journeys.live.sum()) < len(journeys)
    rows = np.arange(len(data))
    assert data.after(rows).any()
    _, chunks, after = data.scenes(rows[:3])
    assert chunks.shape == (3, 10, TABLETOP.dof)
    assert after.shape == (3, 2, 32, 32, 3)


def test_without_interleaving_no_view_is_shown_another_ones_future(world: Make, journeys: Journeys) -> None:
    model = world(ivd=False)
    cfg = dataclasses.replace(FAST, dreamed=0)
    train_world_model(model, JourneyDreams(journeys, model), cfg)
    blocks = model.dynamics_blocks(["press"], journeys.chunks[:1], journeys.state[:1], draws=2)[0]
    assert [block.time for block in blocks if block.is_image] == [0, 0, 1, 1, 1, 1]  # all four of noise


def test_done_moments_count_by_the_share_that_they_have_not_by_how_often_they_were_drawn(
    world: Make, journeys: Journeys
) -> None:
    data = JourneyDreams(journeys, world())
    rows = np.concatenate([np.flatnonzero(data.done)[:2], np.flatnonzero(~data.done)[:2]])
    weight = data.judged(rows).weight(0.1)
    assert weight[:2].sum() / weight.sum() == pytest.approx(0.1)
