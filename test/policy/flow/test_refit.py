"""A policy gets the heads that reinforcement learning wants, and keeps what it has learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from vla_mbpo_ros.policy.flow.config import FlowConfig  # noqa: E402 (after the check)
from vla_mbpo_ros.policy.flow.refit import refit_heads  # noqa: E402

Make = Callable[..., Any]
WANTED = FlowConfig(steps=3, noise_basis=2, noise_dims=("a", "b"), noise_low=0.2, noise_high=0.9, value_hidden=(16, 8))


def test_a_policy_from_imitation_gets_new_heads_and_acts_as_before(tiny: Make, look: Make) -> None:
    policy = tiny("pi05", FlowConfig(steps=4))
    made, notes = refit_heads(policy, WANTED)
    before, after = (one.sample(one.encode(look(2)), 7).values for one in (policy, made))
    np.testing.assert_array_equal(before, after)  # 4 steps, as it has learnt
    assert made.cfg == replace(WANTED, steps=4)
    assert made.net is policy.net
    assert made.version == policy.version
    assert len(notes) == 2
    assert notes[0].startswith("The noise head begins anew: noise_low 0.08 -> 0.2")
    assert "noise_dims all -> a/b" in notes[0]
    assert notes[1] == "The value head begins anew: value_hidden 1024/512/256 -> 16/8."
    sample = made.sample(made.encode(look(2)), 7, "noise")
    assert torch.equal(made.log_prob(made.encode(look(2)), sample.chain), sample.log_prob)


def test_heads_of_the_same_settings_are_kept_bit_for_bit(tiny: Make) -> None:
    policy = tiny("pi05", WANTED)
    same, notes = refit_heads(policy, replace(WANTED, steps=9))
    assert same is policy
    assert notes == []
    other, notes = refit_heads(policy, replace(WANTED, noise_start=0.5))
    assert other.value_head is policy.value_head
    assert other.noise_head is not policy.noise_head
    assert len(notes) == 1


def test_fresh_heads_depend_on_the_seed_alone(tiny: Make) -> None:
    torch.manual_seed(5)
    made = [refit_heads(tiny(), WANTED, seed)[0].noise_head.state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert any(not torch.equal(made[0][name], made[2][name]) for name in made[0])


def test_it_is_saved_and_loaded_with_its_new_heads(tiny: Make, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from vla_mbpo_ros.policy.checkpoint import Lineage, load_policy, save_policy

    made, _ = refit_heads(tiny(), WANTED)
    save_policy(made, tmp_path / "policy", Lineage())
    assert load_policy(tmp_path / "policy").cfg == made.cfg
