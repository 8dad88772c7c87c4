"""Every preset is measured by the same lines; what a GPU must hold is tried here at a size that a CPU can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vla_mbpo_ros.errors import ConfigError
from vla_mbpo_ros.world_model.umm import benchmark
from vla_mbpo_ros.world_model.umm.benchmark import Run, Sentences, measure
from vla_mbpo_ros.world_model.umm.config import SamplerConfig, UmmConfig, preset


def test_a_guided_preset_is_measured_at_both_numbers_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def little(name: str) -> UmmConfig:
        cfg = preset("tiny")
        trunk = replace(cfg.trunk, width=32, layers=1, heads=2, kv_heads=1, mlp=32)
        return replace(cfg, trunk=trunk, sampler=SamplerConfig(euler_steps=49, text_scale=6.0, image_scale=2.0))

    monkeypatch.setattr(benchmark, "preset", little)
    told = measure(Run("tiny", repeats=1, batch=2))
    ten, all_steps = told["by_steps"]
    assert (ten["euler_steps"], all_steps["euler_steps"]) == (10, 49)
    assert (ten["passes_a_view"], all_steps["passes_a_view"]) == (28, 133)
    assert all_steps["gflop"] > ten["gflop"]
    assert told["batch1_s"] == all_steps["ours_s"]
    assert told["plain_ratio"] > 1.0
    assert ten["sequential_ratio"] > 0.0
    assert ten["roofline_share"] is None  # nobody states what this CPU can do


def test_sentences_are_about_as_long_as_the_paper_says() -> None:
    levels = np.full((10, 7), 128)
    assert 300 < len(Sentences().prompt(1, levels.tolist())) < 360


def test_impossible_measurements_are_refused() -> None:
    with pytest.raises(ConfigError, match="repeats 0"):
        Run("tiny", repeats=0)
    with pytest.raises(ConfigError, match=r"14\.6 B"):
        Run("bagel_7b")
