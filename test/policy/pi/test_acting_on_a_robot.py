"""Checkpoints of openpi and lerobot where a node loads them: what they do not say, the robot and the settings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from vla_mbpo_ros.config import PolicyConfig
from vla_mbpo_ros.errors import ConfigError, ContractError
from vla_mbpo_ros.policy.factory import load_checkpoint, make_policy
from vla_mbpo_ros.policy.readiness import rehearse, view_of
from vla_mbpo_ros.robots import Camera, Joint, RobotSpec

CFG = PolicyConfig(horizon=9, replan_steps=4, tokenizer="bytes")
ARM = RobotSpec(
    "arm",
    "Three joints",
    tuple(Joint(name, -3.0, 3.0, 1.0, 0.0) for name in "abc"),
    cameras=tuple(Camera(name, "head", name) for name in ("head", "right_wrist")),
    control_hz=20.0,
)


@pytest.mark.parametrize("kind", ["pi0", "pi05"])
@pytest.mark.parametrize("layout", ["openpi", "lerobot"])
def test_it_acts_with_the_robots_joints_and_cameras(fabricate: Callable[..., Path], layout: str, kind: str) -> None:
    path = fabricate(layout, kind)
    policy = load_checkpoint(path, CFG, ARM, 20.0)
    assert policy.normalisation.action.names == ("a", "b", "c")
    view = view_of(policy, ARM.camera_names)
    assert set(view.cameras) <= {"head", "right_wrist"}
    assert view.needed == ()  # a camera that is missing is masked
    assert rehearse(policy, ARM, {"head": (48, 64), "right_wrist": (48, 64)}, "lift") > 0.0
    assert make_policy(replace(CFG, kind=kind, checkpoint=str(path)), ARM, 20.0).version == policy.version


def test_the_length_of_a_chunk_is_the_checkpoints_if_it_says_one(fabricate: Callable[..., Path]) -> None:
    assert load_checkpoint(fabricate("openpi", "pi05", "a"), CFG, ARM, 20.0).horizon == CFG.horizon
    assert load_checkpoint(fabricate("lerobot", "pi05", "b"), CFG, ARM, 20.0).horizon != CFG.horizon


def test_what_is_not_told_or_does_not_fit_is_refused(fabricate: Callable[..., Path]) -> None:
    path = fabricate("openpi", "pi05")
    with pytest.raises(ConfigError, match="has no tokenizer"):
        load_checkpoint(path, replace(CFG, tokenizer=""), ARM, 20.0)
    with pytest.raises(ContractError, match="asks for a chunk every 10"):
        load_checkpoint(path, replace(CFG, replan_steps=10), ARM, 20.0)
    blind = replace(ARM, cameras=(Camera("ceiling", "head", "ceiling"),))
    with pytest.raises(ContractError, match="looks through head, left_wrist, right_wrist, arm has ceiling"):
        load_checkpoint(path, CFG, blind, 20.0)
    with pytest.raises(ConfigError, match=r"pi05 policy, policy\.kind is pi0"):
        make_policy(replace(CFG, kind="pi0", checkpoint=str(path)), ARM, 20.0)
