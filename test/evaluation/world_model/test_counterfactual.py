from __future__ import annotations

import numpy as np
import pytest

from vla_mbpo_ros.evaluation.world_model.counterfactual import BOTH, right_pairs
from vla_mbpo_ros.evaluation.world_model.held_out import HeldOut
from vla_mbpo_ros.robots.tabletop import TABLETOP
from vla_mbpo_ros.world_model.protocol import WorldModel


def test_chunks_are_opposite_and_truths_differ(held: HeldOut) -> None:
    forks = held.forks
    np.testing.assert_allclose(forks.chunks[:, 0, :, :6], -forks.chunks[:, 1, :, :6])
    np.testing.assert_array_equal(forks.chunks[:, 0, :, 6], forks.chunks[:, 1, :, 6])
    fastest = np.abs(forks.chunks[..., :3] / TABLETOP.max_velocity[:3]).max(axis=-1)
    np.testing.assert_allclose(fastest, 1.0)
    assert (forks.truth[:, 0] != forks.truth[:, 1]).any(axis=(1, 2, 3, 4)).all()
    assert forks.episodes == min(len(held.journeys.tasks), len(forks.scenes))


@pytest.mark.parametrize("view", ["head", "wrist", BOTH])
def test_the_simulator_is_right_who_copies_or_contradicts_is_not(
    held: HeldOut, oracle: WorldModel, copy_last: WorldModel, contrary: WorldModel, view: str
) -> None:
    told = right_pairs(oracle, held.forks)
    assert told[view]["right"] == told[view]["n"] == told["pairs"] == held.size.pairs
    for model in (copy_last, contrary):
        assert right_pairs(model, held.forks)[view]["right"] == 0
