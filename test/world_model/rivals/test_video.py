"""The video rival: a network over all frames and views, behind the protocol and in a folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from small_video import SMALL, small_autoencoder, small_net, small_world  # noqa: E402 (after the check)

from vla_mbpo_ros.config import Config, WorldModelConfig  # noqa: E402
from vla_mbpo_ros.errors import ConfigError, ContractError  # noqa: E402
from vla_mbpo_ros.robots.settings import resolve  # noqa: E402
from vla_mbpo_ros.robots.tabletop import TABLETOP  # noqa: E402
from vla_mbpo_ros.schema import FloatArray  # noqa: E402
from vla_mbpo_ros.world_model.actions import for_robot  # noqa: E402
from vla_mbpo_ros.world_model.factory import load_checkpoint, make_world_model, rehearse  # noqa: E402
from vla_mbpo_ros.world_model.protocol import Scenes, StateSource  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.checkpoint import load_video, save_video  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.config import VideoConfig  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.losses import Clips, draw, video_loss  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.model import Setting, VideoWorld  # noqa: E402
from vla_mbpo_ros.world_model.rivals.video.net import Told, VideoNet  # noqa: E402
from vla_mbpo_ros.world_model.umm.config import preset  # noqa: E402
from vla_mbpo_ros.world_model.umm.net import UmmNet  # noqa: E402


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def told(rows: int, cfg: VideoConfig = SMALL) -> Told:
    actions, state = normal(rows, cfg.horizon, cfg.dof, seed=1), normal(rows, cfg.dof, seed=2)
    return Told(normal(rows, cfg.views, cfg.latent.tokens, cfg.latent.width), actions.tanh(), state.tanh())


def scenes(rows: int, size: int = 16) -> Scenes:
    images = np.random.default_rng(0).integers(0, 256, (rows, 2, size, size, 3), dtype=np.uint8)
    return Scenes(images, np.tile(TABLETOP.home, (rows, 1)), ("press the red button",) * rows)


def chunks(rows: int, seed: int = 1) -> FloatArray:
    unit = np.random.default_rng(seed).uniform(-0.4, 0.4, (rows, SMALL.horizon, 7))
    return unit * TABLETOP.max_velocity


def test_a_film_keeps_the_details_of_what_stays_as_it_is() -> None:
    seen = scenes(2)
    plain, detailed = (
        small_world(cfg=replace(SMALL, latent=replace(SMALL.latent, details=reach)))
        .film(seen, chunks(2), [0, 1])
        .astype(float)
        for reach in (0.0, 1.0)
    )
    now = seen.images[:, None]
    assert np.abs(detailed - now).mean() < 0.9 * np.abs(plain - now).mean()


# ---- the network -----------------------------------------------------------------------------------------------------


def test_it_has_about_as_many_parameters_as_the_tiny_world_model() -> None:
    """The tables of words aside: they are looked up, and this one reads no words."""
    counts = []
    with torch.device("meta"):
        for net in (VideoNet(VideoConfig()), UmmNet(preset("tiny"))):
            named = net.named_parameters()
            counts.append(sum(one.numel() for name, one in named if name not in ("words.weight", "head.weight")))
    assert 0.8 < counts[0] / counts[1] < 1.2


def test_every_frame_of_every_view_is_predicted_and_each_hears_of_every_action() -> None:
    net, given, t = small_net(), told(1), torch.full((1,), 0.7)
    x = normal(1, *SMALL.shape, seed=3)
    before = net(x, t, given)
    assert before.shape == (1, *SMALL.shape) == (1, 2, 2, 4, 8)
    for step in range(SMALL.horizon):
        other = given.actions.clone()
        other[0, step] += 0.5
        changed = (net(x, t, replace(given, actions=other)) - before).abs().amax(dim=(0, 3, 4))  # (F, V)
        assert torch.all(changed > 1e-4)


def test_an_action_belongs_to_the_frame_that_it_leads_to() -> None:
    """With no attention between them, only the second of two frames hears of the third and fourth step."""
    net, given, t = small_net(), told(1), torch.full((1,), 0.7)
    for layer in net.layers:
        torch.nn.init.zeros_(layer.out.weight)
    x = normal(1, *SMALL.shape, seed=3)
    before = net(x, t, given)
    for step, frame in enumerate((0, 0, 1, 1)):
        other = given.actions.clone()
        other[0, step] += 0.5
        changed = (net(x, t, replace(given, actions=other)) - before).abs().amax(dim=(0, 2, 3, 4))  # (F,)
        assert (changed > 1e-4).tolist() == [frame == 0, frame == 1]


@pytest.mark.parametrize("name", ["now", "actions", "state"])
def test_it_hears_all_that_it_is_told(name: str) -> None:
    net, given, t = small_net(), told(1), torch.full((1,), 0.7)
    x = normal(1, *SMALL.shape, seed=3)
    other = replace(given, **{name: getattr(given, name) + 0.5})
    assert float((net(x, t, other) - net(x, t, given)).abs().min(dim=-1).values.max()) > 1e-4
    assert float((net(x, t + 0.2, given) - net(x, t, given)).abs().max()) > 1e-4


def test_before_it_learns_its_velocity_is_zero_and_its_loss_that_of_silence() -> None:
    """The mean square of eps - x0: of noise and of latents."""
    net, after = VideoNet(SMALL), normal(64, *SMALL.shape, seed=5) * 2.0
    eps, t = draw(64, net, torch.Generator().manual_seed(0))
    assert torch.all((t > 0.0) & (t < 1.0))
    loss = video_loss(net, Clips(told(64), after), eps, t).detach()
    assert float(loss) == pytest.approx(float((eps - after).square().mean()), rel=1e-5)
    assert float(loss) == pytest.approx(1.0 + 4.0, rel=0.05)


def test_frames_must_fill_the_chunk() -> None:
    assert VideoConfig(horizon=10, every=5).frames == 2
    with pytest.raises(ConfigError, match="horizon by every is 10 by 3"):
        VideoConfig(every=3)


# ---- behind the protocol ---------------------------------------------------------------------------------------------


def test_the_last_frame_is_the_answer_and_the_others_can_be_seen() -> None:
    world, given = small_world(), scenes(3)
    dreams = world.imagine(given, chunks(3), [5, 6, 7])
    film = world.film(given, chunks(3), [5, 6, 7])
    assert film.shape == (3, SMALL.frames, 2, 16, 16, 3)
    np.testing.assert_array_equal(dreams.images, film[:, -1])
    assert np.abs(film[:, 0].astype(int) - film[:, 1]).max() > 0
    assert np.isnan(dreams.success).all()
    rehearse(world, TABLETOP, "press")


def test_the_state_after_is_that_of_the_commands() -> None:
    dreams = small_world().imagine(scenes(2), chunks(2), [0, 1])
    moved = TABLETOP.home + chunks(2).sum(axis=1) / TABLETOP.control_hz
    expected = np.where(TABLETOP.is_velocity, moved, chunks(2)[:, -1])
    np.testing.assert_allclose(dreams.state, np.clip(expected, TABLETOP.low, TABLETOP.high))
    assert dreams.source is StateSource.COMMANDED


def test_a_row_depends_on_its_own_scene_chunk_and_seed_alone() -> None:
    world, given = small_world(), scenes(3)
    together = world.film(given, chunks(3), [5, 6, 7]).astype(int)
    alone = world.film(given.select([1]), chunks(3)[1:2], [6]).astype(int)
    assert np.abs(together[1:2] - alone).max() <= 1  # of 255: a batch of another size rounds otherwise
    assert np.abs(world.film(given, chunks(3), [5, 8, 7]).astype(int) - together)[1].max() > 2


def test_pictures_of_any_size_go_the_one_way_and_misfits_are_refused() -> None:
    world = small_world()
    assert world.imagine(scenes(1, size=40), chunks(1), [0]).images.shape == (1, 2, 16, 16, 3)
    with pytest.raises(ContractError, match="1 seeds came for 2 scenes"):
        world.imagine(scenes(2), chunks(2), [0])
    with pytest.raises(ContractError, match=r"Give chunks \(1, 4, 7\)"):
        world.imagine(scenes(1), np.zeros((1, 5, 7)), [0])


def test_it_can_be_stopped_between_two_steps() -> None:
    seen = []
    small_world().imagine(scenes(1), chunks(1), [0], pause=lambda: seen.append(1))
    assert len(seen) == SMALL.euler_steps


# ---- in a folder -----------------------------------------------------------------------------------------------------


def config(**values: str) -> Config:
    return replace(resolve(Config(robot="tabletop")), world_model=WorldModelConfig(**values))


def test_it_comes_back_from_its_folder_and_the_factory_finds_it(tmp_path: Path) -> None:
    world = small_world()
    version = save_video(world, tmp_path)
    expected = world.imagine(scenes(2), chunks(2), [1, 2]).images
    cfg = config(kind="video", checkpoint=str(tmp_path))
    for loaded in (
        load_video(tmp_path, TABLETOP),
        make_world_model(cfg, TABLETOP),
        load_checkpoint(tmp_path, config(kind="umm"), TABLETOP),  # a folder says what it holds
    ):
        assert isinstance(loaded, VideoWorld)
        assert loaded.version == version
        np.testing.assert_array_equal(loaded.imagine(scenes(2), chunks(2), [1, 2]).images, expected)
    assert save_video(small_world(seed=1), tmp_path) != version


def test_a_folder_of_another_robot_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    save_video(small_world(), tmp_path)
    said = json.loads((tmp_path / "world.json").read_text())
    (tmp_path / "world.json").write_text(json.dumps({**said, "joints": ["a"]}))
    with pytest.raises(ContractError, match="trained for the joints a;"):
        load_video(tmp_path, TABLETOP)
    (tmp_path / "world.json").write_text(json.dumps({**said, "actions": {}}))
    with pytest.raises(ContractError, match=r"world\.json is not whole"):
        load_video(tmp_path, TABLETOP)
    (tmp_path / "world.json").write_text(json.dumps(said))
    settings = json.loads((tmp_path / "video.json").read_text())
    (tmp_path / "video.json").write_text(json.dumps({**settings, "layers": 3}))
    with pytest.raises(ContractError, match=r"missing: layers\.2"):
        load_video(tmp_path, TABLETOP)
    with pytest.raises(ConfigError, match="video imagines by what it has learnt"):
        make_world_model(config(kind="video"), TABLETOP)


def test_what_does_not_go_together_is_refused() -> None:
    setting = Setting(small_autoencoder(), for_robot(TABLETOP, 5), TABLETOP, TABLETOP.camera_names)
    with pytest.raises(ContractError, match=r"\(2, 4, 7, 8\); around it are \(2, 5, 7, 8\)"):
        VideoWorld(small_net(), setting, "")
