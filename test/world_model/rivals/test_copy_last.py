from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.world_model.protocol import Scenes, StateSource, WorldModel
from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast

MODEL: WorldModel = CopyLast(("head", "wrist"), (8, 12), horizon=5)


def scenes(rows: int) -> Scenes:
    noise = np.random.default_rng(0)
    images = noise.integers(0, 256, (rows, 2, 8, 12, 3), dtype=np.uint8)
    return Scenes(images, noise.normal(size=(rows, 7)), ("press",) * rows)


def test_the_next_views_are_the_last_ones_whatever_is_done() -> None:
    before = scenes(3)
    for seed in range(3):
        chunks = np.random.default_rng(seed).normal(size=(3, 5, 7))
        dreams = MODEL.imagine(before, chunks, seeds=[seed] * 3)
        np.testing.assert_array_equal(dreams.images, before.images)
        before = dreams.as_scenes(before)


def test_what_it_does_not_know_it_says_it_does_not_know() -> None:
    before = scenes(2)
    dreams = MODEL.imagine(before, np.zeros((2, 5, 7)), seeds=[0, 1])
    assert np.isnan(dreams.success).all()
    assert np.isnan(MODEL.judge(before)).all()
    assert dreams.source is StateSource.NONE
    assert np.isnan(dreams.state).all()
    np.testing.assert_array_equal(dreams.as_scenes(before).state, before.state)


def test_its_dreams_are_its_own() -> None:
    before = scenes(1)
    dreams = MODEL.imagine(before, np.zeros((1, 5, 7)), seeds=[0])
    dreams.images[:] = 0
    assert before.images.any()


def test_a_pause_ends_it() -> None:
    def end() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MODEL.imagine(scenes(1), np.zeros((1, 5, 7)), seeds=[0], pause=end)
