"""Imitation with adapters: little learns, what comes out is an ordinary policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.algorithms.imitation.bc import choose_learning, train_bc  # noqa: E402 (after the checks)
from vla_mbpo_ros.errors import ConfigError  # noqa: E402
from vla_mbpo_ros.models.lora import LoraLinear, merge  # noqa: E402

Weights = dict[str, Any]


@pytest.fixture
def cfg(large: Any) -> Any:
    return large.CASES["lora"]


@pytest.fixture
def made(large: Any) -> Callable[..., Any]:
    return large.make_policy


def weights(policy: Any) -> Weights:
    return {name: value.clone() for name, value in policy.state_dict().items()}


def test_before_the_first_step_the_policy_is_its_parent_bit_for_bit(large: Any, made: Any, cfg: Any) -> None:
    parent, policy, batch = made(), made(), large.Rows().batch(large.np.arange(4))
    choose_learning(policy, cfg)
    one, other = (p.sample(p.encode_inputs(batch.inputs, batch.states), 3, "noise") for p in (parent, policy))
    assert torch.equal(one.chain, other.chain)
    assert torch.equal(one.log_prob, other.log_prob)


def test_adapters_and_what_is_around_the_expert_learn_nothing_else_does(made: Any, cfg: Any) -> None:
    policy = made()
    choose_learning(policy, cfg)
    rooms = {name.split(".")[0] for name, p in policy.net.named_parameters() if p.requires_grad}
    assert rooms == {"expert", "action_in", "action_out", "time_in", "time_out"}
    inside = [name for name, p in policy.net.expert.named_parameters() if p.requires_grad]
    assert {name.rsplit(".", 1)[1] for name in inside} == {"down", "up"}
    assert sum(isinstance(module, LoraLinear) for module in policy.net.modules()) == 2 * (7 + 2) + 1


def test_frozen_weights_do_not_move_and_the_others_do(large: Any, made: Any, cfg: Any) -> None:
    before, policy = weights(made()), made()
    train_bc(policy, large.Rows(), cfg)
    after = weights(policy)
    assert list(after) == list(before)  # the ordinary layers, in their order
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert all(name.startswith(("net.expert.", "net.action_", "net.time_")) for name in moved)
    assert "net.expert.layers.0.q.weight" in moved
    assert not any("modulation.bias" in name for name in moved)
    change = after["net.expert.layers.0.up.weight"] - before["net.expert.layers.0.up.weight"]
    assert int(torch.linalg.matrix_rank(change, rtol=1e-3)) <= cfg.lora_rank
    assert all(parameter.requires_grad for parameter in policy.parameters())


def test_merged_it_acts_as_it_did_with_adapters(large: Any, made: Any, cfg: Any) -> None:
    policy, batch = made(), large.Rows().batch(large.np.arange(4))
    choose_learning(policy, cfg)
    for module in policy.net.modules():
        if isinstance(module, LoraLinear):
            torch.nn.init.normal_(module.up, std=0.1)
    before = policy.sample(policy.encode_inputs(batch.inputs, batch.states), 3).values
    merge(policy)
    after = policy.sample(policy.encode_inputs(batch.inputs, batch.states), 3).values
    large.np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.mark.parametrize("stopped", [1, 3])
def test_an_interrupted_training_goes_on_bit_for_bit(
    large: Any, made: Any, cfg: Any, tmp_path: Path, stopped: int
) -> None:
    whole, first, second = made(), made(), made(seed=1)
    train_bc(whole, large.Rows(), cfg, tmp_path / "whole")
    train_bc(first, large.Rows(), cfg, tmp_path / "parts", until=stopped)
    train_bc(second, large.Rows(), cfg, tmp_path / "parts")
    one, other = weights(whole), weights(second)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_rank_does_not_go_on(large: Any, made: Any, cfg: Any, tmp_path: Path) -> None:
    train_bc(made(), large.Rows(), cfg, tmp_path, until=1)
    with pytest.raises(ConfigError, match="lora_rank was 2, now 4"):
        train_bc(made(), large.Rows(), replace(cfg, lora_rank=4), tmp_path)


def test_the_small_policy_takes_adapters_too(fresh: Any, demos: Any, large: Any) -> None:
    from vla_mbpo_ros.algorithms.imitation.chunks import DemonstrationChunks
    from vla_mbpo_ros.robots.tabletop import TABLETOP

    policy = fresh()
    train_bc(policy, DemonstrationChunks(demos, policy, TABLETOP), replace(large.CFG, lora_rank=4))
    for ours, theirs in zip(policy.net.trunk(), fresh().net.trunk(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert not torch.equal(policy.net.head.enter.weight, fresh().net.head.enter.weight)


def test_held_out_rows_are_looked_at_without_being_learnt_from(large: Any, made: Any, cfg: Any) -> None:
    alone, watched, rows = made(), made(), []
    train_bc(alone, large.Rows(), cfg)
    train_bc(watched, large.Rows(), cfg, watch=rows.append, held_out=large.Rows(3))
    one, other = weights(alone), weights(watched)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert len({row["held_out"] for row in rows}) == cfg.steps
