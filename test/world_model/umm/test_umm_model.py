"""The unified model behind the protocol, with an autoencoder and a robot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_umm import BLIND, GUIDED, SMALL, WORDS, small_net

from vla_mbpo_ros.config import Config, WorldModelConfig
from vla_mbpo_ros.errors import ContractError
from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig
from vla_mbpo_ros.robots.settings import resolve
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.schema import FloatArray
from vla_mbpo_ros.world_model.actions import for_robot, for_unit_actions
from vla_mbpo_ros.world_model.factory import make_world_model
from vla_mbpo_ros.world_model.protocol import Scenes, StateSource
from vla_mbpo_ros.world_model.umm.checkpoint import load_world, save_world
from vla_mbpo_ros.world_model.umm.config import UmmConfig, preset
from vla_mbpo_ros.world_model.umm.model import Around, UmmWorld

HORIZON = 3
SIDE = 16  # pixels


def autoencoder(channels: int = 6) -> Autoencoder:
    torch.manual_seed(0)
    cfg = AutoencoderConfig(widths=(8, 8), groups=4, latent_channels=channels, patch=2)  # a latent for 4x4 pixels
    return Autoencoder(cfg).eval().requires_grad_(False)


def world(cfg: UmmConfig = SMALL, **around: object) -> UmmWorld:
    parts = Around(autoencoder(), WORDS, for_robot(TABLETOP, HORIZON), TABLETOP, TABLETOP.camera_names)
    return UmmWorld(small_net(cfg), replace(parts, **around), "umm-test")


def scenes(count: int, seed: int = 0) -> Scenes:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 2, SIDE, SIDE, 3), dtype=np.uint8)
    return Scenes(images, np.tile(TABLETOP.home, (count, 1)), tuple(f"push button {row}" for row in range(count)))


def chunks(count: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    found: FloatArray = rng.uniform(-1.0, 1.0, (count, HORIZON, TABLETOP.dof)) * TABLETOP.max_velocity
    found[:, :, -1] = 0.03
    return found


@pytest.mark.parametrize("cfg", [SMALL, BLIND, GUIDED], ids=["with vision encoder", "latents only", "guided"])
def test_a_dream_has_the_form_of_the_protocol(cfg: UmmConfig) -> None:
    model = world(cfg)
    dreams = model.imagine(scenes(2), chunks(2), [0, 1])
    assert dreams.images.shape == (2, 2, SIDE, SIDE, 3)
    assert dreams.images.dtype == np.uint8
    assert (model.size, model.views, model.horizon) == ((SIDE, SIDE), ("head", "wrist"), HORIZON)
    assert dreams.success.shape == (2,)
    assert ((dreams.success > 0) & (dreams.success < 1)).all()
    again = model.imagine(dreams.as_scenes(scenes(2)), chunks(2), [0, 1])
    assert again.images.shape == dreams.images.shape


def test_a_dream_keeps_the_details_of_what_stays_as_it_is() -> None:
    plain, detailed = (replace(SMALL, latent=replace(SMALL.latent, details=reach)) for reach in (0.0, 1.0))
    seen = scenes(2)
    errors = [
        np.abs(world(cfg).imagine(seen, chunks(2), [0, 1]).images.astype(float) - seen.images).mean()
        for cfg in (plain, detailed)
    ]
    assert errors[1] < 0.8 * errors[0]
    told_not_to = world(detailed)
    told_not_to.sample_by(details=0.0)
    assert np.array_equal(
        told_not_to.imagine(seen, chunks(2), [0, 1]).images, world(plain).imagine(seen, chunks(2), [0, 1]).images
    )


def test_only_the_tiny_autoencoder_blurs_so_much_that_details_are_kept() -> None:
    assert [preset(name).latent.details for name in ("tiny", "small", "bagel_7b")] == [0.25, 0.0, 0.0]


def test_a_dream_is_judged_as_its_pictures_would_be() -> None:
    model = world()
    dreams = model.imagine(scenes(2), chunks(2), [0, 1])
    np.testing.assert_allclose(dreams.success, model.judge(dreams.as_scenes(scenes(2))), rtol=1e-6)


def test_samples_of_one_scene_differ_by_their_seed_alone() -> None:
    model = world()
    one = scenes(1).repeat(3)
    dreams = model.imagine(one, np.repeat(chunks(1), 3, axis=0), [7, 8, 7])
    assert np.array_equal(dreams.images[0], dreams.images[2])
    assert not np.array_equal(dreams.images[0], dreams.images[1])


def test_a_row_does_not_mind_its_company() -> None:
    model = world()
    together = model.imagine(scenes(3), chunks(3), [1, 2, 3])
    alone = model.imagine(scenes(3).select([1]), chunks(3)[1:2], [2])
    off = np.abs(together.images[1].astype(int) - alone.images[0].astype(int))
    assert off.max() <= 1  # the last digit of a float may round the other way
    np.testing.assert_allclose(together.success[1], alone.success[0], atol=0.02)


def test_what_is_done_changes_what_is_seen() -> None:
    model = world()
    pair = [model.imagine(scenes(1), chunks(1, seed), [0]).images for seed in (1, 2)]
    assert not np.array_equal(*pair)


def test_the_state_after_is_where_the_commands_lead_within_the_limits() -> None:
    model, told = world(), chunks(1)
    dreams = model.imagine(scenes(1), told, [0])
    moved = TABLETOP.home[:6] + told[0, :, :6].sum(axis=0) / TABLETOP.control_hz
    np.testing.assert_allclose(dreams.state[0, :6], moved)
    assert dreams.state[0, 6] == told[0, -1, 6]
    assert dreams.source is StateSource.COMMANDED
    told[:, :, 0] = 10.0
    assert model.imagine(scenes(1), told, [0]).state[0, 0] == TABLETOP.high[0]


def test_a_learners_actions_say_no_state() -> None:
    model = world(codec=for_unit_actions(TABLETOP, HORIZON), commands=False)
    dreams = model.imagine(scenes(1), np.zeros((1, HORIZON, 7)), [0])
    assert dreams.source is StateSource.NONE
    assert np.isnan(dreams.state).all()


def test_without_interleaved_decoding_the_wrist_does_not_know_the_head() -> None:
    model = world(ivd=False)
    assert model.imagine(scenes(1), chunks(1), [0]).images.shape == (1, 2, SIDE, SIDE, 3)
    with_it = world().imagine(scenes(1), chunks(1), [0]).images
    without = model.imagine(scenes(1), chunks(1), [0]).images
    assert np.array_equal(with_it[:, 0], without[:, 0])
    assert not np.array_equal(with_it[:, 1], without[:, 1])


def test_pictures_of_any_size_are_fitted() -> None:
    large = scenes(1)
    large = replace(large, images=np.zeros((1, 2, 48, 64, 3), np.uint8))
    assert world().imagine(large, chunks(1), [0]).images.shape == (1, 2, SIDE, SIDE, 3)


def test_what_does_not_fit_is_refused() -> None:
    model = world()
    with pytest.raises(ContractError, match="seeds came for"):
        model.imagine(scenes(2), chunks(2), [0])
    with pytest.raises(ContractError, match="Scenes have 1 views"):
        model.imagine(replace(scenes(1), images=scenes(1).images[:, :1]), chunks(1), [0])
    with pytest.raises(ContractError, match="the autoencoder makes 5"):
        world(autoencoder=autoencoder(5))


def test_a_saved_world_dreams_as_before(tmp_path: Path) -> None:
    model = world()
    version = save_world(model, tmp_path / "world")
    loaded = load_world(tmp_path / "world", TABLETOP)
    assert loaded.version == version
    before, after = (one.imagine(scenes(1), chunks(1), [0]) for one in (model, loaded))
    assert np.array_equal(before.images, after.images)
    assert np.array_equal(before.success, after.success)


def test_a_world_of_another_robot_is_refused(tmp_path: Path) -> None:
    save_world(world(), tmp_path)
    with pytest.raises(ContractError, match="was trained for the joints"):
        load_world(tmp_path, replace(TABLETOP, joints=TABLETOP.joints[:-1]))
    with pytest.raises(ContractError, match="imagines wrist"):
        load_world(tmp_path, replace(TABLETOP, cameras=TABLETOP.cameras[:1]))
    (tmp_path / "world.json").write_text("{}")
    with pytest.raises(ContractError, match="is not whole"):
        load_world(tmp_path, TABLETOP)


@pytest.mark.parametrize(("form", "levels"), [("int8", 0.2), ("nf4", 3.0)])
def test_the_setting_quantize_loads_it_in_fewer_bits_and_its_dreams_stay_near(
    tmp_path: Path, form: str, levels: float
) -> None:
    version = save_world(world(), tmp_path)
    settings = WorldModelConfig(kind="umm", checkpoint=str(tmp_path), quantize=form)
    loaded = make_world_model(replace(resolve(Config(robot="tabletop")), world_model=settings), TABLETOP)
    assert loaded.version == f"{version}-{form}"
    whole, packed = (model.imagine(scenes(2), chunks(2), [0, 1]) for model in (world(), loaded))
    away = np.abs(packed.images.astype(int) - whole.images).mean()
    assert 0.0 < away < levels  # of 255
    np.testing.assert_allclose(packed.success, whole.success, atol=0.1)
