from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.data.dataset import DatasetSettings, open_episodes  # noqa: E402 (after the check for torch)
from vla_mbpo_ros.data.dataset.synthetic import write_synthetic_bag  # noqa: E402
from vla_mbpo_ros.errors import BagError, ContractError  # noqa: E402
from vla_mbpo_ros.models.autoencoder import Autoencoder, AutoencoderConfig  # noqa: E402
from vla_mbpo_ros.models.pictures import ArrayPictures, fit_all, to_network  # noqa: E402
from vla_mbpo_ros.world_model.latents import ABOUT, EpisodePictures, LatentCache, encode_pictures  # noqa: E402

SMALL = AutoencoderConfig(widths=(8, 8), patch=4, latent_channels=4, groups=4)
VIEWS = ("head", "wrist")


def _model(seed: int = 0) -> Autoencoder:
    torch.manual_seed(seed)
    return Autoencoder(SMALL).eval()


class _Counted(ArrayPictures):
    """Pictures that count how often one is read."""

    def __init__(self, images: np.ndarray) -> None:
        super().__init__(images, VIEWS)
        self.read = 0

    def pictures(self, view: str, rows: np.ndarray) -> np.ndarray:
        self.read += len(rows)
        return super().pictures(view, rows)


@pytest.fixture
def source() -> _Counted:
    return _Counted(np.random.default_rng(0).integers(0, 256, (5, 2, 24, 32, 3), np.uint8))


def test_latents_are_what_the_encoder_says_of_the_one_picture(source: _Counted, tmp_path: Path) -> None:
    model = _model()
    latents = LatentCache(tmp_path, model, 32, batch=2).open("run", "a", source)
    assert {view: (each.shape, each.dtype) for view, each in latents.items()} == dict.fromkeys(
        VIEWS, ((5, 4, 4, 4), np.float32)
    )
    with torch.inference_mode():
        expected = model.encode(to_network(fit_all(source.pictures("wrist", np.arange(5)), 32)))
    assert np.allclose(latents["wrist"], expected.numpy(), atol=1e-6)
    assert not latents["wrist"].flags.writeable


def test_the_second_time_nothing_is_encoded(source: _Counted, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    first = LatentCache(tmp_path, _model(), 32, batch=2).open("run", "a", source, lambda *at: told.append(at))
    assert told == [(2, 10), (4, 10), (5, 10), (7, 10), (9, 10), (10, 10)]
    assert source.read == 10
    again = LatentCache(tmp_path, _model(), 32).open("run", "a", source)
    assert source.read == 10
    assert all(np.array_equal(first[view], again[view]) for view in VIEWS)


def test_another_autoencoder_or_size_or_picture_makes_them_anew(source: _Counted, tmp_path: Path) -> None:
    old, new = LatentCache(tmp_path, _model(0), 32), LatentCache(tmp_path, _model(1), 32)
    before = old.open("run", "a", source)
    after = new.open("run", "a", source)
    assert source.read == 20
    assert not np.allclose(before["head"], after["head"])
    assert LatentCache(tmp_path, _model(0), 16).open("run", "a", source)["head"].shape == (5, 4, 2, 2)
    new.open("run", "b", source)
    assert source.read == 40
    (tmp_path / "my-bags").mkdir()
    (tmp_path / "my-bags" / "run.mcap").touch()
    assert sorted(new.forget_others()) == sorted([old.folder.name, f"{_model(0).version}-16"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([new.folder.name, "my-bags"])


def test_an_interrupted_build_leaves_nothing_that_could_be_taken(source: _Counted, tmp_path: Path) -> None:
    class _Interrupted(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 4:
            raise _Interrupted

    cache = LatentCache(tmp_path, _model(), 32, batch=2)
    with pytest.raises(_Interrupted):
        cache.open("run", "a", source, stop)
    assert [path.name for path in cache.folder.iterdir()] == [".run.lock"]
    assert cache.open("run", "a", source)["wrist"].shape[0] == 5


def test_a_damaged_entry_is_made_anew(source: _Counted, tmp_path: Path) -> None:
    cache = LatentCache(tmp_path, _model(), 32)
    cache.open("run", "a", source)
    (cache.folder / "run" / "head.npy").unlink()
    assert cache.open("run", "a", source)["head"].shape[0] == 5
    (cache.folder / "run" / ABOUT).write_text(json.dumps([]))
    cache.open("run", "a", source)
    assert source.read == 30


def test_what_cannot_be_is_refused(source: _Counted, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="multiple"):
        LatentCache(tmp_path, _model(), 30)
    (tmp_path / "file").write_text("")
    with pytest.raises(BagError, match="cannot be written"):
        LatentCache(tmp_path / "file", _model(), 32).open("run", "a", source)


def test_the_pictures_of_a_bag_get_latents_row_by_row(tmp_path: Path) -> None:
    try:
        write_synthetic_bag(tmp_path / "bags" / "one", rows=12, outcome="success")
    except BagError as error:
        pytest.skip(f"message definitions are not installed: {error}")
    model = _model()
    transitions = open_episodes(tmp_path / "bags", DatasetSettings(k=4)).transitions()
    episode = transitions.episodes[0]
    pictures = EpisodePictures(episode)
    latents = LatentCache(tmp_path / "latents", model, 32).open(pictures.name, pictures.identity, pictures)
    row, view = 5, episode.cameras[0]
    expected = encode_pictures(model, episode.images(row)[view][None], 32)
    found = latents[view][pictures.rows[row, pictures.views.index(view)]]
    assert np.allclose(found, expected[0], atol=1e-6)
