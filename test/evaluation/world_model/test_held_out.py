"""What is asked is the same for every model, today and tomorrow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.evaluation.world_model.held_out import Size, hold_out
from vla_mbpo_ros.sim.tabletop import Pool

SMALL = Size(episodes=2, pairs=3, single=5, tasks=("press_blue",))


def test_it_is_kept_and_comes_back(pool: Pool, tmp_path: Path) -> None:
    made, read = (hold_out(pool, SMALL, tmp_path) for _ in range(2))
    assert len(list(tmp_path.glob("*.npz"))) == 3
    np.testing.assert_array_equal(made.journeys.images, read.journeys.images)
    np.testing.assert_array_equal(made.windows, read.windows)
    np.testing.assert_array_equal(made.forks.truth, read.forks.truth)
    for one, other in zip(made.weather, read.weather, strict=True):
        np.testing.assert_array_equal(one.others, other.others)
    with pytest.raises(ConfigError, match="who was clumsy experts, now a policy"):
        hold_out(pool, SMALL, tmp_path, who="a policy")
    with pytest.raises(ConfigError, match="episodes was 2, now 3"):
        hold_out(pool, replace(SMALL, episodes=3), tmp_path)


def test_chance_is_in_the_windy_weather_alone(pool: Pool) -> None:
    calm, windy = hold_out(pool, SMALL).weather
    assert (calm.slip, windy.slip) == (0.0, 1.0)
    np.testing.assert_array_equal(calm.others[0], calm.truth)
    assert (windy.others[0] != windy.truth).any()
