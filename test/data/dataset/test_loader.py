"""Batches for torch: the same for any number of workers, however they come to life."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_mbpo_ros.data.dataset import DatasetSettings, EpisodeSet, open_episodes
from vla_mbpo_ros.errors import ConfigError

torch = pytest.importorskip("torch", reason="torch is not installed (the extra 'learn')")


@pytest.fixture
def episodes(folder: Path, make_bag: Callable[..., Path]) -> EpisodeSet:
    make_bag("a", outcome="success", success_time_s=1.0)
    make_bag("b", seed=1)
    return open_episodes(folder, DatasetSettings(k=4))


def batches(samples: Any, **options: Any) -> list[dict[str, Any]]:
    from vla_mbpo_ros.data.dataset.loader import make_loader

    return list(make_loader(samples, batch_size=8, seed=3, **options))


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_a_batch_has_the_shapes_and_values_of_its_samples(episodes: EpisodeSet) -> None:
    samples = episodes.transitions()
    found = batches(samples)
    order = samples.order(3).tolist()
    assert sum(len(batch["row"]) for batch in found) == len(samples) == 35
    batch, first = found[0], samples[order[0]]
    assert batch["row"].tolist() == [samples[index].row for index in order[:8]]
    assert (batch["images"]["head"].shape, batch["images"]["head"].dtype) == ((8, 24, 32, 3), torch.uint8)
    assert np.array_equal(batch["next_images"]["left_wrist"][0].numpy(), first.next_images["left_wrist"])
    assert (batch["action"].shape, batch["action"].dtype) == ((8, 4, 14), torch.float32)
    assert np.array_equal(batch["action"][0].numpy(), first.action.astype(np.float32))
    assert (batch["done"].dtype, batch["reward"].dtype) == (torch.bool, torch.float32)
    assert batch["instruction"] == ["do it"] * 8
    batch["images"]["head"][:] = 0  # a batch is its own: the cache stays as it is
    assert samples[order[0]].images["head"].any()


@pytest.mark.parametrize(("workers", "start"), [(2, "fork"), (2, "spawn"), (1, "forkserver")])
def test_workers_change_nothing(episodes: EpisodeSet, workers: int, start: str) -> None:
    samples = episodes.transitions()
    for alone, shared in zip(batches(samples), batches(samples, workers=workers, start=start), strict=True):
        assert_same(alone, shared)


def test_every_epoch_has_an_order_of_its_own_and_can_be_repeated(episodes: EpisodeSet) -> None:
    from vla_mbpo_ros.data.dataset.loader import make_loader

    samples = episodes.transitions()
    loader = make_loader(samples, batch_size=5, seed=1)
    rows = [[batch["row"].tolist() for batch in loader] for _ in range(3)]
    assert rows[0] != rows[1] != rows[2]
    again = make_loader(samples, batch_size=5, seed=1)
    again.sampler.epoch = 2  # type: ignore[attr-defined]
    assert [batch["row"].tolist() for batch in again] == rows[2]


def test_reward_samples_can_be_loaded_too(episodes: EpisodeSet) -> None:
    found = batches(episodes.reward_samples(), drop_last=True)
    assert {len(batch["label"]) for batch in found} == {8}
    assert found[0]["label"].dtype == torch.bool
    assert found[0]["images"]["head"].shape == (8, 24, 32, 3)


def test_what_cannot_be_loaded_is_refused(episodes: EpisodeSet) -> None:
    with pytest.raises(ConfigError, match="with -1 workers"):
        batches(episodes.transitions(), workers=-1)
    with pytest.raises(ConfigError, match="no sample"):
        batches(EpisodeSet(episodes.settings, ()).transitions())


def test_the_room_itself_does_not_need_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
import vla_mbpo_ros.data.dataset
from vla_mbpo_ros.errors import MissingDependency
try:
    import vla_mbpo_ros.data.dataset.loader
except MissingDependency as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "vla_mbpo_ros[learn]" in done.stdout
